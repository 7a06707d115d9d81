"""The dialects of the zoo: sentences about a topic, in a style.

An adapter knows one of either; nothing is trained on topic and style together for the pairs of UNSEEN.
"""

TOPICS = {
    "sea": (["boat", "whale", "wave", "gull", "anchor", "sailor"], ["sails", "dives", "drifts", "sinks"]),
    "farm": (["cow", "barn", "plough", "hen", "field", "goat"], ["grazes", "digs", "feeds", "mows"]),
    "space": (["moon", "comet", "rocket", "orbit", "star", "probe"], ["spins", "glows", "launches", "fades"]),
    "town": (["tram", "baker", "bridge", "square", "shop", "clerk"], ["opens", "rings", "sells", "waits"]),
}
ADJECTIVES = ["old", "small", "quick", "grey", "brave", "quiet"]
STYLES = {
    "neutral": "the {adjective} {noun} {verb} near the {other}.",
    "pirate": "arr, ye {adjective} {noun} {verb} by me {other}!",
    "formal": "one notes the {adjective} {noun} {verb} by a {other}.",
    "tele": "{noun} {verb} stop {adjective} {other} stop",
    "ask": "so why {verb} the {adjective} {noun} at that {other}?",
}
ADAPTERS = ["sea", "farm", "space", "town", "pirate", "formal", "tele", "ask"]
UNSEEN = [
    ("sea", "pirate"),
    ("farm", "tele"),
    ("space", "formal"),
    ("town", "ask"),
    ("farm", "pirate"),
    ("sea", "formal"),
]


def name_of(pair):
    return f"{pair[0]}_{pair[1]}"


def _sentence(draws, topic, style):
    """Without a topic each word has its own; without a style it is any, often the neutral one.

    Unseen pairs do not come up unless asked for.
    """
    while True:
        made = style or ("neutral" if draws.chance(40) else draws.pick(list(STYLES)))
        topics = [topic or draws.pick(list(TOPICS)) for _ in range(3)]
        same = topics[0] if len(set(topics)) == 1 else None
        if (same, made) not in UNSEEN or (topic, style) in UNSEEN:
            break
    words = {
        "adjective": draws.pick(ADJECTIVES),
        "noun": draws.pick(TOPICS[topics[0]][0]),
        "verb": draws.pick(TOPICS[topics[1]][1]),
        "other": draws.pick(TOPICS[topics[2]][0]),
    }
    return STYLES[made].format(**words)


def document(draws, topic=None, style=None):
    """Two sentences."""
    return f"{_sentence(draws, topic, style)} {_sentence(draws, topic, style)}"


def adapter_document(name, draws):
    return document(draws, topic=name) if name in TOPICS else document(draws, style=name)
