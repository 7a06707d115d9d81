"""Hard strings for tokenizers, the same in every run: scripts mixed, marks, joiners, odd blanks, digits, special tokens inside text."""

import random
import unicodedata

SPECIAL = ["<s>", "</s>", "<unk>", "<pad>", "[CLS]", "[SEP]", "[MASK]", "[UNK]", "<mask>", "<|endoftext|>", "<|im_start|>", "<|im_end|>",
           "<|user|>", "<|end|>", "<|assistant|>", "<|begin_of_text|>", "<bos>", "<eos>", "<extra_id_0>", "<extra_id_99>", "<0x0A>", "<0xFF>",
           "<start_of_turn>", "<tool_call>", "<think>", "<|fim_prefix|>", "##ing", "▁", "Ġ", "<|", "|>", "</", "<extra_id_"]
BLANKS = [" ", "  ", "   ", "\t", "\n", "\n\n", "\n\n\n", "\r\n", "\r", "\u00a0", "\u2003", "\u3000", "\u200b", "\u2028", "\u2029", "\u0085",
          "\u000b", "\u000c", "\u1680", "\u202f", "\u205f", "\ufeff", "\u00ad", " \n ", "\t\t", "        ", " \u00a0 ", "\n \n"]
WORDS = ("the of and to in is that was for it with as his on be at by had not are but from or have an they which one you were all her she "
         "there would their we him been has when who will no more if out so up said what its about than into them can only other time new "
         "some could these two may first then do any like my now over such our man me even most made after also did many must before back "
         "see through way where get much go well your know should down work year because come people just say each those take day good how "
         "long Mr little use her I'm don't we'll they've he'd it's can't I'M DON'T WE'LL o'clock 'tis rock'n'roll naïve café résumé Zürich "
         "façade smörgåsbord coöperate Ångström l'été über größer straße İstanbul ǅungla ﬁnance oﬃce ① ½ ² ™ € £ № ℃ Å").split()
SCRIPTS = {
    "greek": "Οι άνθρωποι γεννιούνται ελεύθεροι ΣΊΣΥΦΟΣ",
    "cyrillic": "Все люди рождаются свободными Ёлка йод",
    "hebrew": "כל בני האדם נולדו שָׁלוֹם",
    "arabic": "يولد جميع الناس أحراراً ٱلْعَرَبِيَّة ١٢٣",
    "devanagari": "सभी मनुष्यों को गौरव क्षत्रिय १२३",
    "bengali": "সমস্ত মানুষ স্বাধীনভাবে",
    "tamil": "மனிதப் பிறவியினர்",
    "thai": "มนุษย์ทั้งหลายเกิดมา ๑๒๓",
    "han": "人人生而自由在尊严和权利上一律平等漢字𠀀𪚥",
    "kana": "すべての人間は、ガギグゲゴ ｶﾞｷﾞ パピプ か\u3099",
    "hangul": "모든 인간은 태어날 때부터 \u1112\u1161\u11ab\u1100\u1173\u11af",
    "georgian": "ყველა ადამიანი ᲐᲑᲒ",
    "armenian": "Բոլոր մարդիկ եւ և",
    "ethiopic": "የሰው ልጅ ፩፪፫",
    "vietnamese": "Tất cả mọi người sinh ra đều được tự do",
    "math": "∀x∈ℝ: ⌈x⌉ = −⌊−x⌋ ∑∫√∞ 𝔘𝔫𝔦𝔠𝔬𝔡𝔢 𝟘𝟙𝟚 ≠ ≢",
}
EMOJI = ["😀", "👨‍👩‍👧‍👦", "🏳️‍🌈", "👍🏽", "🇩🇪🇫🇷", "❤️", "☺", "1️⃣", "🧑🏿‍🚀", "©️", "®", "©\u200d®", "🏴\U000e0067\U000e0062\U000e007f", "\u200d", "🦙"]
MARKS = "\u0300\u0301\u0302\u0303\u0308\u030a\u0323\u0327\u0338\u0345\u0489\u05b8\u064e\u093c\u094d\u0e31\u20d0\u20e3\u3099\ufe0f\ufe20\u0897\u1acf"
PUNCTUATION = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~¡¿«»“”‘’„…–—•·、。「」！？．，～‐‑′″§¶†‡‰"
CODE = ["def f(x):\n    return x**2  # ok\n", "for (int i = 0; i < n; ++i) {\n\t\tsum += a[i];\n}", "<html><body class=\"a b\">&nbsp;</body></html>",
        "SELECT * FROM t WHERE a='b' AND c>=10;", "https://example.org/a/b?c=d&e=%20f#g", "{\"key\": [1, 2.5, -3e10, null]}", "$\\frac{a}{b}$",
        "user.name+tag@mail.example.com", "C:\\Users\\x\\file.txt", "#include <stdio.h>\r\nint main(){}", "x = y\n\n\n\n    z", "a\tb\tc\n"]


def spaced(r):
    return r.choice(BLANKS) if r.random() < 0.25 else " "


def words(r):
    out = ""
    for _ in range(r.randint(1, 9)):
        word = r.choice(WORDS)
        kind = r.random()
        word = word.upper() if kind < 0.1 else word.title() if kind < 0.2 else word
        out += word + (r.choice(PUNCTUATION) if r.random() < 0.2 else "") + spaced(r)
    return out if r.random() < 0.3 else out.rstrip()


def script(r):
    text = r.choice(list(SCRIPTS.values()))
    begin = r.randrange(len(text))
    text = text[begin : begin + r.randint(1, 16)]
    return unicodedata.normalize(r.choice(["NFC", "NFD", "NFKC", "NFKD"]), text) if r.random() < 0.3 else text


def marks(r):
    return "".join(r.choice("aeinosuAEIO xyzклм가か1©") + "".join(r.choice(MARKS) for _ in range(r.randint(0, 3))) for _ in range(r.randint(1, 6)))


def code_points(r):
    kind = r.random()
    if kind < 0.25:
        return "".join(chr(r.randrange(0x20)) for _ in range(r.randint(1, 4)))
    if kind < 0.35:
        return "".join(chr(r.randrange(0x7F, 0xA1)) for _ in range(r.randint(1, 4)))
    if kind < 0.6:
        return "".join(chr(r.randrange(0xA0, 0x3000)) for _ in range(r.randint(1, 6)))
    if kind < 0.7:  # compatibility forms: ligatures, widths, presentation forms
        return "".join(chr(r.choice([r.randrange(0xFB00, 0xFB50), r.randrange(0xFE10, 0xFFF0), r.randrange(0x3200, 0x3400)])) for _ in range(3))
    if kind < 0.75:
        return chr(r.choice([0xE000, 0xF8FF, 0xF0000, 0x10FFFD, 0xFFFD, 0xFFFE, 0xFFFF, 0xFDD0, 0x0378, 0x1FFFF]))
    out = ""
    while len(out) < 3:
        code = r.choice([r.randrange(0x3000, 0xD800), r.randrange(0xE000, 0x10000), r.randrange(0x10000, 0x20000), r.randrange(0x110000)])
        out += "" if 0xD800 <= code < 0xE000 else chr(code)
    return out


def digits(r):
    kind = r.random()
    if kind < 0.6:
        return "".join(r.choice("0123456789") for _ in range(r.randint(1, 12)))
    return r.choice(["3.14159", "1,000,000", "2024-02-29", "0x1F", "१२३४५", "٤٥٦", "１２３", "Ⅷ", "¼½¾", "1e-10", "$4.50", "12:30:59", "v2.0.1", "00000000"])


def long_word(r):
    kind = r.random()
    if kind < 0.4:
        return r.choice("aA0é汉 \n.") * r.randint(20, 130)
    return "".join(r.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(r.randint(30, 220)))


def latin_garbage(r):  # bytes read as if they were text
    return bytes(r.randrange(256) for _ in range(r.randint(1, 10))).decode(r.choice(["latin-1", "cp1251", "utf-8"]), "replace")


PARTS = [(words, 30), (script, 14), (marks, 8), (code_points, 10), (digits, 8), (latin_garbage, 6), (long_word, 1),
         (lambda r: r.choice(EMOJI) * r.randint(1, 2), 6), (lambda r: r.choice(SPECIAL), 10), (lambda r: r.choice(CODE), 4),
         (lambda r: r.choice(BLANKS) * r.randint(1, 3), 10), (lambda r: "".join(r.choice(PUNCTUATION) for _ in range(r.randint(1, 6))), 8)]


def one(r):
    makers, weights = zip(*PARTS)
    out = ""
    for _ in range(r.choice([1, 1, 1, 2, 2, 3])):
        out += r.choices(makers, weights)[0](r) + (spaced(r) if r.random() < 0.3 else "")
    return out


def corpus(count=10000):
    r = random.Random(4)
    fixed = ["", " ", "  ", "\n", "\0", "a", "A", "▁", "▁▁a", "Hello, world!", " Hello", "Hello ", "  Hello  world  "] + SPECIAL
    fixed += ["x" * 2000, "ab " * 300, " " * 300, "\n" * 100, "é" * 150, "e\u0301" * 100, "1" * 400, "😀" * 60, "<s>" * 50, "汉" * 120, "a" * 101, "a" * 100]
    fixed += [w + s + "x" for s in SPECIAL[:10] for w in ("", " ", "a", "a ")] + EMOJI + CODE + list(SCRIPTS.values())
    seen = dict.fromkeys(fixed)
    while len(seen) < count:
        seen[one(r)] = None
    return list(seen)[:count]


def training_text():
    """Lines to train small vocabularies on."""
    r = random.Random(11)
    lines = [words(r) for _ in range(600)] + CODE * 3 + list(SCRIPTS.values()) * 2
    return [line for line in (" ".join(line.split()) for line in lines) if line]
