"""Writes tests/golden/embeddings, or compares `weft embed` with transformers: mean of the last states over all tokens, normalised.

Usage: python tools/golden/make_embeddings.py MODEL            writes the golden rows of all-MiniLM-L6-v2
       python tools/golden/make_embeddings.py MODEL WEFT [N]   compares N (200) texts, prints the largest difference
"""

import json
import pathlib
import random
import subprocess
import sys
import tempfile

import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModel, AutoTokenizer

GOLDEN = pathlib.Path(__file__).resolve().parents[2] / "tests" / "golden" / "embeddings"
WORDS = "the a cat dog river matrix of and bank naïve Übung 東京 loom weaves thread 12 3.14 don't e-mail ЖЗ ﬁne 😀 \t !? ... (x)".split(" ")


def texts_of(count):
    """Seeded texts of 0 to 120 words, with accents, other scripts, emoji and punctuation."""
    draw = random.Random(7)
    texts = ["", "Hello world", "A loom weaves threads into one cloth."]
    while len(texts) < count:
        texts.append(" ".join(draw.choice(WORDS) for _ in range(draw.choice([1, 3, 10, 40, 120]))))
    return texts[:count]


def reference(folder, texts):
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModel.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    limit = json.loads((pathlib.Path(folder) / "sentence_bert_config.json").read_text())["max_seq_length"]
    rows = []
    with torch.no_grad():
        for text in texts:
            ids = tokenizer(text, return_tensors="pt", truncation=True, max_length=limit)
            mean = model(**ids).last_hidden_state[0].mean(0)
            rows.append(mean / mean.norm().clamp_min(1e-12))
    return torch.stack(rows)


def write(folder):
    texts = texts_of(8)
    GOLDEN.mkdir(parents=True, exist_ok=True)
    (GOLDEN / "texts.txt").write_text("".join(text + "\n" for text in texts))
    save_file({"embeddings": reference(folder, texts)}, GOLDEN / "all-MiniLM-L6-v2.safetensors")


def compare(folder, weft, count):
    texts = texts_of(count)
    with tempfile.TemporaryDirectory() as place:
        file, out = pathlib.Path(place) / "texts.txt", pathlib.Path(place) / "out.safetensors"
        file.write_text("".join(text + "\n" for text in texts))
        subprocess.run([weft, "embed", "--base", folder, "--file", str(file), "-o", str(out)], check=True)
        found = load_file(out)["embeddings"]
    expected = reference(folder, texts)
    difference = (found.double() - expected.double()).norm(dim=1) / expected.double().norm(dim=1)
    print(f"{len(texts)} texts: largest relative difference {difference.max().item():.2e}")
    if difference.max().item() > 1e-4:
        raise SystemExit("they disagree")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        raise SystemExit(__doc__)
    write(sys.argv[1]) if len(sys.argv) == 2 else compare(sys.argv[1], sys.argv[2], int((sys.argv[3:] or ["200"])[0]))
