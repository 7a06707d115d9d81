#!/usr/bin/env python3
"""Writes tests/golden/tokenizers: corpus.json (10,000 hard strings), small tokenizers of the usual families and small SentencePiece models,
and per tokenizer what the tokenizers library (SentencePiece for .model files) makes of the strings. Tokenizers under shared/data are read
where they lie, only what comes out is stored."""

import argparse
import contextlib
import io
import json
import random
import shutil
import struct
import tempfile
import unicodedata
from pathlib import Path

import sentencepiece
import small_tokenizers
import tokenizers
import transformers
from tokenizer_corpus import corpus, training_text
from tokenizers import Tokenizer

ROOT = Path(__file__).resolve().parents[2]
OUT = ROOT / "tests" / "golden" / "tokenizers"
DATA = ROOT.parent / "shared" / "data"
VERSIONS = {"tokenizers": tokenizers.__version__, "sentencepiece": sentencepiece.__version__, "transformers": transformers.__version__}
# name -> (folder under shared/data, files that are read)
REAL = {
    "gpt2": ("tokenizers/gpt2", ["tokenizer.json", "tokenizer_config.json"]),
    "bert-base-uncased": ("tokenizers/bert-base-uncased", ["tokenizer.json", "tokenizer_config.json"]),
    "t5-small": ("tokenizers/t5-small", ["tokenizer.json", "tokenizer_config.json"]),
    "stories260K": ("models/stories260K", ["tokenizer.json", "tokenizer_config.json"]),
    "qwen3-files": ("tokenizers/qwen3", ["vocab.json", "merges.txt", "tokenizer_config.json"]),
    "gpt2-files": ("tokenizers/gpt2", ["vocab.json", "merges.txt", "tokenizer_config.json"]),
    "bert-files": ("tokenizers/bert-base-uncased", ["vocab.txt", "tokenizer_config.json"]),
    "llama2-spm": ("tokenizers/llama2-spm", ["tokenizer.model"]),
    "t5-spm": ("tokenizers/t5-small", ["spiece.model"]),
    "stories260K-spm": ("models/stories260K", ["tokenizer.model"]),
}
# Strings on which SentencePiece 0.1.97 and 0.2.3 disagree: paths of equal score, added up in another order.
UNSTABLE = {"t5-spm": [51, 1435, 3526, 7304]}


def fnv(ids):
    value = 2166136261
    for token in ids:
        value = (value ^ token) * 16777619 & 0xFFFFFFFF
    return value


class Library:
    def __init__(self, tokenizer):
        tokenizer.no_padding()
        tokenizer.no_truncation()
        self.tokenizer, self.size = tokenizer, tokenizer.get_vocab_size(with_added_tokens=True)

    def encode(self, text, special):
        return self.tokenizer.encode(text, add_special_tokens=special).ids

    def decode(self, ids, skip):
        return self.tokenizer.decode(ids, skip_special_tokens=skip)


class SentencePiece:
    """Bare .model files: nothing is added, control pieces give no text."""

    def __init__(self, path):
        self.processor = sentencepiece.SentencePieceProcessor(model_file=str(path))
        self.size = self.processor.get_piece_size()

    def encode(self, text, special):
        return self.processor.encode(text)

    def decode(self, ids, skip):
        return self.processor.decode([i for i in ids if 0 <= i < self.size]) if skip else None


def decode_lists(encoder, texts, encoded, r):
    lists = [encoded[i] for i in r.sample(range(len(texts)), 120)]
    for _ in range(60):  # neighbours that no text has
        lists.append([r.randrange(encoder.size) for _ in range(r.randint(1, 12))])
    for _ in range(20):  # pieces of real ones, so that characters are cut
        ids = encoded[r.randrange(len(texts))]
        lists.append(ids[r.randint(0, 3) :][: r.randint(1, 9)] + [encoder.size + 7])
    return [{"ids": ids, "text": encoder.decode(ids, True), "all": encoder.decode(ids, False)} for ids in lists if len(ids) < 60]


def write_golden(name, encoder, source, texts):
    r = random.Random(name)
    encoded = [encoder.encode(text, True) for text in texts]
    (OUT / f"{name}.hashes").write_bytes(struct.pack(f"<{len(texts)}I", *map(fnv, encoded)))
    short = [i for i in range(len(texts)) if len(encoded[i]) < 40]
    sample = sorted(r.sample(short, 24))
    golden = {
        "versions": VERSIONS, **source, "size": encoder.size, "unstable": UNSTABLE.get(name, []),
        "encode": [{"index": i, "ids": encoded[i], "plain": encoder.encode(texts[i], False)} for i in sample],
        "decode": decode_lists(encoder, texts, encoded, r),
    }
    lines = [json.dumps(key) + ": " + (json.dumps(value, ensure_ascii=False) if not isinstance(value, list) or not value or not isinstance(value[0], dict)
             else "[\n" + ",\n".join(json.dumps(row, ensure_ascii=False) for row in value) + "\n]") for key, value in golden.items()]
    (OUT / f"{name}.json").write_text("{" + ",\n".join(lines) + "}\n", encoding="utf-8")
    print(f"{name}: {encoder.size} tokens, {sum(map(len, encoded))} ids")


def character_rules():
    """A small map of characters in SentencePiece's form: compatibility forms, odd blanks, dropped controls."""
    rules = {}
    for code in [*range(0xC0, 0x180), *range(0x1E00, 0x1F00), *range(0xFB00, 0xFB07), *range(0xFF01, 0xFFA0), *range(0x2460, 0x2480), 0x2122, 0xBD]:
        folded, split = unicodedata.normalize("NFKC", chr(code)), unicodedata.normalize("NFD", chr(code))
        if folded != chr(code):
            rules[chr(code)] = folded
        if split != chr(code):
            rules[split] = folded
    rules |= {chr(code): " " for code in (9, 10, 13, 0xA0, 0x2003, 0x3000, 0x200B)}
    rules |= {chr(code): "" for code in (*range(1, 9), 0x7F, 0xAD)}
    return rules


def train_spm(text, **options):
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):  # the model keeps the name of the rules
        rules = Path("rules.tsv")
        spell = lambda s: " ".join(f"{ord(c):X}" for c in s)  # noqa: E731
        rules.write_text("".join(f"{spell(a)}\t{spell(b)}\n" for a, b in sorted(character_rules().items())))
        model = io.BytesIO()
        sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(text), model_writer=model, minloglevel=2, num_threads=1,
                                                 normalization_rule_tsv=str(rules), **options)
    return model.getvalue()


def wire(data):
    """(field, value) of a protobuf message; lengths, varints and 32-bit numbers."""
    at = 0

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while at < len(data):
        tag = varint()
        if tag & 7 == 0:
            yield tag >> 3, varint()
            continue
        length = varint() if tag & 7 == 2 else 4
        yield tag >> 3, data[at : at + length]
        at += length


def pieces_and_map(model):
    pieces, charsmap = [], b""
    for field, value in wire(model):
        if field == 1:
            piece = {"type": 1} | {{1: "text", 2: "score", 3: "type"}[f]: v for f, v in wire(value)}
            if piece["type"] == 1:
                pieces.append((piece["text"].decode(), struct.unpack("<f", piece["score"])[0]))
        elif field == 3:
            charsmap = dict(wire(value)).get(2, b"")
    return pieces, charsmap


SMALL_SPM = {
    "spm_unigram": {"model_type": "unigram", "vocab_size": 400, "user_defined_symbols": ["<sep>", "▁x▁"], "control_symbols": ["<c>"]},
    "spm_bpe": {"model_type": "bpe", "vocab_size": 700, "byte_fallback": True, "remove_extra_whitespaces": False, "character_coverage": 0.98},
}


def train():
    """The small tokenizers. The tokenizers library numbers some tokens in hash order, so they are kept once made."""
    text = training_text()
    for name, options in SMALL_SPM.items():
        (OUT / "models" / name).mkdir(parents=True, exist_ok=True)
        (OUT / "models" / name / "tokenizer.model").write_bytes(train_spm(text, **options))
    vocab, charsmap = pieces_and_map((OUT / "models" / "spm_unigram" / "tokenizer.model").read_bytes())
    for name, tokenizer in small_tokenizers.all_of(text, vocab, charsmap).items():
        (OUT / "models" / name).mkdir(exist_ok=True)
        written = json.dumps(json.loads(tokenizer.to_str()), ensure_ascii=False, separators=(",", ":"))
        (OUT / "models" / name / "tokenizer.json").write_text(written + "\n", encoding="utf-8")


def small(texts):
    for folder in sorted((OUT / "models").iterdir()):
        name, file = folder.name, folder / "tokenizer.json"
        encoder = Library(Tokenizer.from_file(str(file))) if file.exists() else SentencePiece(folder / "tokenizer.model")
        write_golden(name, encoder, {"model": f"models/{name}"}, texts)


def real(texts):
    if not DATA.exists():
        print("shared/data is not there: the golden files of real tokenizers stay as they are")
        return
    for name, (folder, files) in REAL.items():
        source = {"data": folder, "files": files}
        if files[0].endswith(".model"):
            encoder = SentencePiece(DATA / folder / files[0])
        elif files[0] == "tokenizer.json":
            encoder = Library(Tokenizer.from_file(str(DATA / folder / files[0])))
        else:
            with tempfile.TemporaryDirectory() as copy:
                for file in files:
                    shutil.copy(DATA / folder / file, copy)
                if name == "gpt2-files":  # transformers wants to be told; without any word of it Weft takes GPT-2
                    (Path(copy) / "config.json").write_text('{"model_type": "gpt2"}')
                encoder = Library(transformers.AutoTokenizer.from_pretrained(copy)._tokenizer)
        write_golden(name, encoder, source, texts)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--train", action="store_true", help="make the small tokenizers anew, not only what comes out of them")
    anew = parser.parse_args().train
    if VERSIONS["tokenizers"] != "0.23.3" or VERSIONS["sentencepiece"] != "0.2.3":
        raise SystemExit(f"golden files are made with tokenizers 0.23.3 and sentencepiece 0.2.3, found {VERSIONS}")
    OUT.mkdir(parents=True, exist_ok=True)
    texts = corpus()
    (OUT / "corpus.json").write_text("[\n" + ",\n".join(json.dumps(text, ensure_ascii=False) for text in texts) + "\n]\n", encoding="utf-8")
    if anew or not (OUT / "models").exists():
        train()
    small(texts)
    real(texts)


if __name__ == "__main__":
    main()
