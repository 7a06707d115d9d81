#!/usr/bin/env python3
"""Writes src/text/unicode_data.cpp: what the tokenizers library takes each code point for.

Its parts know different versions of Unicode (regular expressions, pre-tokenizers, normalisation forms), so every class
is asked of the library itself. Needs the Python package tokenizers and the shared library of utf8proc. Takes minutes.
"""
import ctypes
import ctypes.util
import pathlib
import string

import tokenizers.normalizers as N
import tokenizers.pre_tokenizers as P
from tokenizers import Regex

CATEGORIES = "Lu Ll Lt Lm Lo Mn Mc Me Nd Nl No Pc Pd Ps Pe Pi Pf Po Sm Sc Sk So Zs Zl Zp Cc Cf Co Cn".split()
CODES = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]
OUT = pathlib.Path(__file__).resolve().parents[2] / "src" / "text" / "unicode_data.cpp"


class Utf8proc:
    """The library that the normalisation forms are made with."""

    STABLE, COMPAT, COMPOSE, DECOMPOSE = 2, 4, 8, 16
    FORMS = {"NFD": DECOMPOSE, "NFC": COMPOSE, "NFKD": DECOMPOSE | COMPAT, "NFKC": COMPOSE | COMPAT}

    def __init__(self):
        self.lib = ctypes.CDLL(ctypes.util.find_library("utf8proc") or "libutf8proc.so.2")
        self.lib.utf8proc_map.restype = ctypes.c_ssize_t
        self.lib.utf8proc_map.argtypes = [ctypes.c_char_p, ctypes.c_ssize_t, ctypes.POINTER(ctypes.c_void_p), ctypes.c_int]
        self.lib.utf8proc_get_property.restype = ctypes.POINTER(ctypes.c_int16)
        self.libc = ctypes.CDLL(None)
        self.libc.free.argtypes = [ctypes.c_void_p]

    def form(self, name, text):
        raw, made = text.encode(), ctypes.c_void_p()
        size = self.lib.utf8proc_map(raw, len(raw), ctypes.byref(made), self.FORMS[name] | self.STABLE)
        result = ctypes.string_at(made, size).decode()
        self.libc.free(made)
        return result

    def combining_class(self, code):
        return self.lib.utf8proc_get_property(code)[1]  # the property's fields begin: category, class

    def assigned(self, code):
        return self.lib.utf8proc_category(code) != 0


def matched(splitter):
    """The code points that a pre-tokenizer which removes them leaves nothing of."""
    return {c for c in CODES if not splitter.pre_tokenize_str(chr(c))}


def removed(normalizer):
    return {c for c in CODES if normalizer.normalize_str(chr(c)) == ""}


def ranges(codes):
    out = []
    for c in sorted(codes):
        if out and c == out[-1][1] + 1:
            out[-1][1] = c
        else:
            out.append([c, c])
    return out


def categories():
    found = {}
    for name in CATEGORIES:
        for c in matched(P.Split(Regex(r"\p{%s}" % name), "removed")):
            found.setdefault(c, name)
    return found


def inert(category, utf8proc):
    """What the library's forms leave alone and take for starters, or utf8proc does not know."""
    codes = {c for c in CODES if category[c] == "Cn" or not utf8proc.assigned(c)}
    for name in Utf8proc.FORMS:
        form = getattr(N, name)()
        codes |= {c for c in CODES if form.normalize_str(chr(c)) != utf8proc.form(name, chr(c))}
    nfd = N.NFD()
    for c in CODES:
        # A mark of a class below that of U+0345 moves before it, if the library knows the class.
        if 0 < utf8proc.combining_class(c) < 240 and utf8proc.form("NFD", chr(c)) == chr(c):
            if nfd.normalize_str("a\u0345" + chr(c)) == "a\u0345" + chr(c):
                codes.add(c)
    return codes | {0x11930, 0x11935, 0x11938}  # the parts of a younger composition


def lower_runs():
    lower, runs = N.Lowercase(), []
    for c in CODES:
        text = lower.normalize_str(chr(c))
        if text == chr(c) or len(text) > 1:  # U+0130 is in the code
            continue
        delta = ord(text) - c
        last = runs[-1] if runs and runs[-1][3] == delta else None
        if last and last[0] == last[1] and c - last[1] in (1, 2):
            last[1], last[2] = c, c - last[1]
        elif last and last[0] != last[1] and c - last[1] == last[2]:
            last[1] = c
        else:
            runs.append([c, c, 1, delta])
    return runs


def write(tables):
    lines = ['#include "text/unicode_data.h"\n\nnamespace weft::text {\n\n'
             "// Written by tools/golden/make_unicode_tables.py; not to be edited.\n\n// clang-format off\n"]
    for name, kind, items in tables:
        lines.append(f"const {kind} {name}[] = {{\n")
        line = "    "
        for item in items:
            if len(line) + len(item) + 2 > 118:
                lines.append(line.rstrip() + "\n")
                line = "    "
            line += item + ", "
        lines.append(line.rstrip() + f"\n}};\nconst size_t {name}Size = {len(items)};\n\n")
    lines.append("// clang-format on\n\n}  // namespace weft::text\n")
    OUT.write_text("".join(lines))


def main():
    category = categories()
    ascii_punctuation = set(map(ord, string.punctuation))
    of = lambda *names: {c for c in CODES if category[c].startswith(names)}
    words = P.Whitespace()
    word = {c for c in CODES if words.pre_tokenize_str("a" + chr(c) + "!")[0][0] == "a" + chr(c)}
    digits = P.Digits(True)
    numeric = {c for c in CODES if len(digits.pre_tokenize_str("a" + chr(c))) == 2}
    blanks = {0, 9, 10, 13}
    control = (removed(N.BertNormalizer(True, False, False, False)) | blanks) - {0xFFFD}
    runs, before = [], None
    for c in range(0x110000):
        now = CATEGORIES.index(category.get(c, "Co"))  # surrogates never occur
        if now != before:
            runs.append(f"0x{c << 5 | now:X}")
            before = now
    flips = [("kPunctuationFlips", matched(P.Punctuation("removed")) ^ (of("P") | ascii_punctuation)),
             ("kNonspacingFlips", removed(N.BertNormalizer(False, False, True, False)) ^ of("Mn")),
             ("kCombiningFlips", removed(N.StripAccents()) ^ of("M")),
             ("kNumericFlips", numeric ^ of("N")),
             ("kWordFlips", word ^ of("L", "M", "Nd", "Nl", "Pc")),
             ("kControlFlips", control ^ of("Cc", "Cf", "Co")),
             ("kInert", inert(category, Utf8proc()))]
    tables = [("kCategoryRuns", "std::uint32_t", runs)]
    tables += [(name, "CodeRange", ["{0x%X, 0x%X}" % tuple(r) for r in ranges(codes)]) for name, codes in flips]
    tables.append(("kLowerRuns", "LowerRun", ["{0x%X, 0x%X, %d, %d}" % tuple(r) for r in lower_runs()]))
    write(tables)


if __name__ == "__main__":
    main()
