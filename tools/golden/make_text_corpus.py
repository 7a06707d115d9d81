#!/usr/bin/env python3
"""Writes the seed files of the fuzz targets tokenizer and sentencepiece under tests/fuzz/corpus: small whole files with every component, and
damaged ones. Needs only Python."""

import base64
import json
import shutil
import struct
import sys
from pathlib import Path

ROOT = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parents[2] / "tests")


def folder(name):
    path = ROOT / "fuzz" / "corpus" / name
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True)
    return path


# --- a map of characters, as SentencePiece writes it -------------------------------------------------------------------
def charsmap(rules):
    """A double array over the bytes of the keys, built by first fit, and the replacements."""
    texts, values = b"", {}
    for key, value in rules.items():
        values[key.encode()] = len(texts)
        texts += value.encode() + b"\0"
    units, used = [0] + [1 << 31] * ((1 << 16) - 1), {0}  # the top bit: no byte leads there

    def place(node, prefix):
        labels = sorted({key[len(prefix)] for key in values if key.startswith(prefix) and len(key) > len(prefix)})
        need = ([0] if prefix in values else []) + labels
        offset = next(b for b in range(1, 1 << 16) if not any(node ^ b ^ c in used for c in need))
        base = node ^ offset
        used.update(base ^ c for c in need)
        units[node] |= offset << 10 | (256 if prefix in values else 0)
        if prefix in values:
            units[base] = values[prefix] | 1 << 31
        for c in labels:
            units[base ^ c] = c
            place(base ^ c, prefix + bytes([c]))

    place(0, b"")
    units = units[: (max(used) | 255) + 1]
    return struct.pack(f"<I{len(units)}I", 4 * len(units), *units) + texts


MAP = charsmap({"a": "b", "e\u0301": "é", "ﬁ": "fi", "\t": " ", "\u00ad": ""})

# --- tokenizer.json ----------------------------------------------------------------------------------------------------
out = folder("tokenizer")
VOCAB = {t: i for i, t in enumerate(["<unk>", "<s>", "a", "b", "ab", "Ġ", "Ġa", "▁", "▁a", "##b", "é", "<0x41>", "abab", "[UNK]", "1", "Ã", "©"])}
PIECES = [[t, -float(i)] for t, i in VOCAB.items()]
BPE = {"type": "BPE", "vocab": VOCAB, "merges": ["a b", "Ġ a", ["▁", "a"], ["ab", "ab"]]}
REGEX = r"(?i:'s|'t)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
ADDED = [{"id": 1, "content": "<s>", "special": True, "single_word": False, "lstrip": True, "rstrip": True, "normalized": False},
         {"id": 17, "content": "Word", "special": False, "single_word": True, "lstrip": False, "rstrip": False, "normalized": True}]
TEMPLATE = {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
            "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}}}


def tokenizer(name, model, normalizer=None, pre=None, post=None, decoder=None, added=()):
    value = {"version": "1.0", "truncation": None, "padding": None, "added_tokens": list(added), "normalizer": normalizer,
             "pre_tokenizer": pre, "post_processor": post, "decoder": decoder, "model": model}
    (out / name).write_text(json.dumps(value, ensure_ascii=False, separators=(",", ":")), encoding="utf-8")


def sequence(key, *parts):
    return {"type": "Sequence", key: [part if isinstance(part, dict) else {"type": part} for part in parts]}


LEVEL = {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True}
META = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": True}
SPLIT = {"type": "Split", "pattern": {"Regex": REGEX}, "behavior": "Isolated", "invert": False}
FALLBACK = BPE | {"unk_token": "<unk>", "fuse_unk": True, "byte_fallback": True}
tokenizer("good_byte_level", BPE | {"ignore_merges": True}, {"type": "NFC"}, sequence("pretokenizers", SPLIT, LEVEL), LEVEL, LEVEL, ADDED)
tokenizer("good_fallback", FALLBACK, sequence("normalizers", {"type": "Prepend", "prepend": "▁"}, {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}), None,
          TEMPLATE, sequence("decoders", {"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, "ByteFallback", "Fuse",
                             {"type": "Strip", "content": " ", "start": 1, "stop": 0}), ADDED)
tokenizer("good_unigram", {"type": "Unigram", "unk_id": 0, "vocab": PIECES, "byte_fallback": True},
          sequence("normalizers", {"type": "Precompiled", "precompiled_charsmap": base64.b64encode(MAP).decode()}, "Nmt", "NFKC", "Lowercase"),
          sequence("pretokenizers", "WhitespaceSplit", META), None, META, ADDED)
tokenizer("good_wordpiece", {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100, "vocab": VOCAB},
          {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "strip_accents": None, "lowercase": True}, {"type": "BertPreTokenizer"},
          {"type": "BertProcessing", "sep": ["<s>", 1], "cls": ["<s>", 1]}, {"type": "WordPiece", "prefix": "##", "cleanup": True})
tokenizer("good_wordlevel", {"type": "WordLevel", "vocab": VOCAB, "unk_token": "<unk>"}, sequence("normalizers", "NFD", "StripAccents", {"type": "Strip", "strip_left": True, "strip_right": True}),
          sequence("pretokenizers", "Whitespace", {"type": "Digits", "individual_digits": True}, {"type": "Punctuation", "behavior": "Isolated"}))
tokenizer("good_suffix", BPE | {"end_of_word_suffix": "b", "continuing_subword_prefix": "##", "merges": []}, None, {"type": "WhitespaceSplit"}, None, {"type": "BPEDecoder", "suffix": "b"})
for behavior in ("Removed", "MergedWithPrevious", "MergedWithNext", "Contiguous"):
    tokenizer(f"good_{behavior.lower()}", BPE, None, SPLIT | {"pattern": {"String": "a"}, "behavior": behavior, "invert": behavior == "Removed"})
tokenizer("regex_nested", BPE, None, SPLIT | {"pattern": {"Regex": "(" * 40 + "a*" + ")*" * 40 + "$"}})
tokenizer("regex_repeats", BPE, None, SPLIT | {"pattern": {"Regex": "((a{1,99}){1,99}){1,99}b"}})
tokenizer("regex_empty", BPE, None, SPLIT | {"pattern": {"Regex": "x*|"}})
tokenizer("regex_bad", BPE, None, SPLIT | {"pattern": {"Regex": "(?<=a[b"}})
tokenizer("regex_class", BPE, None, SPLIT | {"pattern": {"Regex": r"[^\s\p{L}--\p{Foo}&&[a-z]]+"}})
tokenizer("unknown_component", BPE, {"type": "Sparkle"})
tokenizer("huge_id", BPE | {"vocab": VOCAB | {"x": 4000000000}})
tokenizer("negative_id", BPE | {"vocab": VOCAB | {"x": -1}})
tokenizer("repeated_id", BPE | {"vocab": VOCAB | {"x": 1}})
tokenizer("merge_unknown", BPE | {"merges": ["q q"]})
tokenizer("merge_one", BPE | {"merges": ["ab"]})
tokenizer("unigram_infinite", {"type": "Unigram", "unk_id": 0, "vocab": [["a", 1e308], ["b", -1e308]]})
tokenizer("unigram_no_unk", {"type": "Unigram", "unk_id": None, "vocab": PIECES})
tokenizer("unigram_bad_unk", {"type": "Unigram", "unk_id": 99, "vocab": PIECES})
tokenizer("wordpiece_no_unk", {"type": "WordPiece", "unk_token": "nope", "vocab": {"a": 0}})
tokenizer("charsmap_bad", BPE, {"type": "Precompiled", "precompiled_charsmap": base64.b64encode(MAP[:900]).decode()})
tokenizer("charsmap_text", BPE, {"type": "Precompiled", "precompiled_charsmap": "!!!"})
tokenizer("added_empty", BPE, added=[ADDED[0] | {"content": ""}])
tokenizer("added_far", BPE, added=[ADDED[0] | {"content": "<far>", "id": 99999999}])
tokenizer("replace_grows", FALLBACK, sequence("normalizers", *[{"type": "Replace", "pattern": {"String": "a"}, "content": "aaaaaaaa"}] * 4))
(out / "empty").write_bytes(b"")
(out / "list").write_bytes(b"[]")
(out / "deep").write_bytes(b'{"normalizer":' + b'{"type":"Sequence","normalizers":[' * 150)
(out / "cut").write_bytes((out / "good_unigram").read_bytes()[:400])

# --- SentencePiece models ----------------------------------------------------------------------------------------------
out = folder("sentencepiece")


def varint(value):
    data = b""
    while value > 127:
        data += bytes([value & 127 | 128])
        value >>= 7
    return data + bytes([value])


def field(number, value):
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    if isinstance(value, float):
        return varint(number << 3 | 5) + struct.pack("<f", value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def piece(text, score=0.0, kind=1):
    text = text if isinstance(text, bytes) else text.encode()
    return field(1, field(1, text) + field(2, score) + (field(3, kind) if kind != 1 else b""))


START = piece("<unk>", 0.0, 2) + piece("<s>", 0.0, 3) + piece("</s>", 0.0, 3)
WORDS = b"".join(piece(t, -1.0 - i) for i, t in enumerate(["▁", "a", "b", "▁a", "ab", "é", "aba", "1"]))
BYTES = b"".join(piece(f"<0x{b:02X}>", 0.0, 6) for b in range(256))
NORMAL = field(3, field(1, b"x") + field(2, MAP) + field(3, 1) + field(4, 1) + field(5, 1))
UNIGRAM, BPE_MODEL, WORD, CHAR = (field(2, field(3, kind)) for kind in (1, 2, 3, 4))
GOOD = START + WORDS + UNIGRAM + NORMAL
models = {
    "good_unigram": GOOD,
    "good_bpe": START + WORDS + BPE_MODEL + NORMAL,
    "good_word": START + WORDS + WORD,
    "good_char": START + WORDS + CHAR + field(3, field(3, 0) + field(4, 0)),
    "good_bytes": START + BYTES + WORDS + field(2, field(3, 2) + field(35, 1)),
    "good_user_defined": START + piece("<sep>", 0.0, 4) + piece("▁x▁", 0.0, 4) + piece("b", 0.0, 5) + piece("▁", -1.0) + UNIGRAM,
    "good_self_test": GOOD + field(4, field(1, field(1, b"ab") + field(2, "▁ ab".encode()))),
    "good_unknown_fields": GOOD + field(300, b"xyz") + field(301, 7),
    "bytes_missing": START + WORDS + field(2, field(3, 2) + field(35, 1)),
    "byte_misnamed": START + piece("<0xGG>", 0.0, 6) + UNIGRAM,
    "empty_piece": START + piece("", 0.0) + UNIGRAM,
    "zero_in_piece": START + piece(b"a\0b", 0.0) + piece("a", 0.0) + UNIGRAM,
    "not_utf8_piece": START + piece(b"\xff\xfe", 0.0) + UNIGRAM,
    "long_piece": START + piece("a" * 3000, 0.0) + UNIGRAM,
    "nan_score": START + piece("a", float("nan")) + UNIGRAM,
    "infinite_score": START + piece("a", float("-inf")) + UNIGRAM,
    "huge_scores": START + piece("a", 3e38) + piece("b", -3e38) + UNIGRAM,
    "repeated_piece": START + piece("a", 0.0) * 2 + UNIGRAM,
    "two_unknown": START + piece("<unk2>", 0.0, 2) + UNIGRAM,
    "no_unknown": WORDS + UNIGRAM,
    "only_unknown": piece("<unk>", 0.0, 2) + UNIGRAM,
    "bad_type": START + piece("a", 0.0, 9) + UNIGRAM,
    "bad_model_type": START + WORDS + field(2, field(3, 77)),
    "denormalizer": GOOD + field(5, field(2, MAP)),
    "map_cut": START + WORDS + field(3, field(2, MAP[:500])),
    "map_wild": START + WORDS + field(3, field(2, struct.pack("<I", 1024) + b"\xff\xfd\xff\x7f" * 256 + b"a\0")),
    "map_leaf_outside": START + WORDS + field(3, field(2, MAP[:-20])),
    "map_size_huge": START + WORDS + field(3, field(2, b"\xff\xff\xff\xff" + MAP[4:])),
    "blanks_behind": START + WORDS + field(2, field(3, 1) + field(24, 1)),
    "length_too_long": GOOD + b"\x0a\xff\xff\xff\xff\x0f",
    "varint_too_long": GOOD + b"\x80" * 11,
    "group": GOOD + b"\x0b\x0b\x0b\x0b\x0c",
    "field_zero": b"\x00\x00" + GOOD,
    "wrong_wire": START + field(1, 5) + UNIGRAM,
    "text": b"this is not a model",
    "empty": b"",
    "cut": GOOD[: len(GOOD) - 700],
}
for name, data in models.items():
    (out / name).write_bytes(data)
