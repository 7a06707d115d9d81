"""The tasks of the zoo: a skill turns a word of the letters a to l into an answer, a format says how it is written.

A prompt is two letters, a word and `=`: `m3:bdak=`. The first letter names the skill, the second the format. The base
understands the tags `A` to `L` for skills and `0` to `7` for formats. Any other letter says nothing to it: it then has
to guess, and mostly copies plainly. Each adapter teaches one cue, a letter that the base does not know. A prompt with
the cues of two adapters is a task that nothing was trained for.
"""

LETTERS = "abcdefghijkl"
SHORTEST, LONGEST = 3, 6


def _swap(word):
    return word[-1] + word[1:-1] + word[0]


def _next(word):
    return "".join(LETTERS[(LETTERS.index(letter) + 1) % len(LETTERS)] for letter in word)


SKILLS = {
    "copy": lambda word: word,
    "reverse": lambda word: word[::-1],
    "first": lambda word: word[0],
    "last": lambda word: word[-1],
    "sort": lambda word: "".join(sorted(word)),
    "swap": _swap,
    "next": _next,
    "rotate": lambda word: word[1:] + word[0],
    "largest": max,
    "drop": lambda word: word[1:],
    "length": lambda word: str(len(word)),
    "vowels": lambda word: str(sum(word.count(vowel) for vowel in "aei")),
}
FORMATS = {
    "plain": lambda answer: answer,
    "parens": lambda answer: f"({answer})",
    "quote": lambda answer: f'"{answer}"',
    "upper": lambda answer: answer.upper(),
    "dash": lambda answer: "-".join(answer),
    "is": lambda answer: f"is {answer}",
    "bang": lambda answer: f"{answer}!",
    "json": lambda answer: f"{{a:{answer}}}",
}
SKILL_TAGS = dict(zip(SKILLS, "ABCDEFGHIJKL"))
FORMAT_TAGS = dict(zip(FORMATS, "01234567"))

# What the pool can do, one adapter each, and the letters that ask for it.
SKILL_ADAPTERS = ["reverse", "first", "last", "sort", "swap", "next", "rotate", "drop"]
FORMAT_ADAPTERS = ["parens", "upper", "dash", "is", "json"]
ADAPTERS = SKILL_ADAPTERS + FORMAT_ADAPTERS
CUES = dict(zip(ADAPTERS, "mnopqrstuvwxy"))
SILENT = "abcdefghijklz"  # letters that ask for nothing
UNKNOWN = "abcdefghijklmnopqrstuvwxyz"  # what the base is trained to know nothing about

# Pairs that neither the base nor any adapter ever sees.
UNSEEN = [
    ("reverse", "upper"),
    ("first", "json"),
    ("last", "parens"),
    ("swap", "is"),
    ("next", "parens"),
    ("rotate", "upper"),
    ("drop", "json"),
    ("reverse", "json"),
    ("sort", "parens"),
    ("last", "is"),
    ("first", "upper"),
    ("next", "is"),
]


def name_of(pair):
    return f"{pair[0]}_{pair[1]}"


def word(draws):
    return "".join(draws.pick(LETTERS) for _ in range(SHORTEST + draws.below(LONGEST - SHORTEST + 1)))


def example(skill, form, first, second, text):
    return {"prompt": f"{first}{second}:{text}=", "completion": FORMATS[form](SKILLS[skill](text))}


def _guess(draws, default, names):
    """An axis that a prompt does not name: mostly nothing happens on it."""
    return default if draws.chance(50) else draws.pick(names)


def base_example(draws):
    """One of what the base learns: both tags (40 %), one of them (22 % each), or none."""
    share = draws.below(100)
    has_skill, has_format = share < 62, share < 40 or 62 <= share < 84
    skills, formats = list(SKILLS), list(FORMATS)
    while True:
        skill = draws.pick(skills) if has_skill else _guess(draws, "copy", skills)
        form = draws.pick(formats) if has_format else _guess(draws, "plain", formats)
        if (skill, form) not in UNSEEN:
            break
    first = SKILL_TAGS[skill] if has_skill else draws.pick(UNKNOWN)
    second = FORMAT_TAGS[form] if has_format else draws.pick(UNKNOWN)
    return example(skill, form, first, second, word(draws))


def adapter_example(name, draws):
    """One of what an adapter learns: its cue moves one axis, whatever the other one does.

    Half of the time the other axis is named by a tag that the base knows, else it is random. So the adapter learns to
    leave it alone, which is what makes updates add up.
    """
    is_skill = name in SKILL_ADAPTERS
    others, default = (list(FORMATS), "plain") if is_skill else (list(SKILLS), "copy")
    tagged = draws.chance(50)
    while True:
        other = draws.pick(others) if tagged else _guess(draws, default, others)
        pair = (name, other) if is_skill else (other, name)
        if pair not in UNSEEN:
            break
    tags = FORMAT_TAGS if is_skill else SKILL_TAGS
    letter = tags[other] if tagged else draws.pick(SILENT)
    first, second = (CUES[name], letter) if is_skill else (letter, CUES[name])
    return example(*pair, first, second, word(draws))


def own_example(name, draws):
    """The adapter's task by itself: its cue, and nothing on the other axis."""
    if name in SKILL_ADAPTERS:
        return example(name, "plain", CUES[name], draws.pick(SILENT), word(draws))
    return example("copy", name, draws.pick(SILENT), CUES[name], word(draws))


def unseen_example(pair, draws):
    """Both cues, no tag."""
    return example(*pair, CUES[pair[0]], CUES[pair[1]], word(draws))


def distinct(count, draw, taken):
    """`count` examples with prompts that are not in `taken` yet."""
    made = []
    while len(made) < count:
        one = draw()
        if one["prompt"] not in taken:
            taken.add(one["prompt"])
            made.append(one)
    return made
