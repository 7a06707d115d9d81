"""Writes tests/golden/metrics: what other programs make of predictions and answers, and likelihoods by transformers.

Usage: python tools/golden/make_metrics.py
- normalized: lorahub 0.1.0's own `accuracy_score`, taken out of `lorahub_inference` and run (its heavy imports are not needed for that)
- rouge_l: rouge-score 0.1.2, rougeL, use_stemmer=False, F-measure, `score_multi` of several answers
- f1: scikit-learn 1.9.1
- similarity: tests/golden/models/bert_sentence; choices: tests/golden/models/llama; float32, eager, one unpadded sequence at a time
"""

import random
import sys
import types
from importlib.metadata import version
from unittest.mock import MagicMock, patch

import common
from common import GOLDEN, VERSIONS, write_json

import torch
from rouge_score import rouge_scorer
from sklearn.metrics import accuracy_score, f1_score
from transformers import AutoModelForCausalLM, BertModel

OUT = GOLDEN / "metrics"
WANTED = {"rouge-score": "0.1.2", "scikit-learn": "1.9.1", "lorahub": "0.1.0"}
PAIRS = [
    ("yes", "yes"), ("Yes.", "yes"), (" yes \n", "yes"), ("y.e.s", "YES"), (" . yes", "yes"), ("no", "yes"), ("", ""), (".", ""), (". ", ""),
    ("(A)", "(a)"), ("( A )", "(A)"), ("a  b", "a b"), ("\u00a0x\u2003", "X"), ("\x1cx\x1f", "x"), ("x\u200b", "x"), ("STRASSE", "straße"), ("ΟΔΟΣ", "οδος"), ("ΟΔΟΣ.", "οδος."),
    ("ΟΔΟΣ'", "οδος'"), ("ΟΔΟΣΑ", "οδοσα"), ("Σ", "σ"), ("ΑΣ ΒΣ", "ας βς"), ("İ", "i̇"), ("I", "i"), ("Ǆ", "ǆ"), ("ÀÉÎ", "àéî"), ("ЖЗ", "жз"), ("3.14", "314"), ("e.g.", "eg"), ("True", "true"),
    ("the answer is (B).", "the answer is (b)"), ("A.\u3000", "a"), ("x…", "x"), ("K", "k"), ("ﬁ", "fi"), ("\ufeffx", "x"),
]  # fmt: skip
WORDS = "the cat sat on a mat dog ran fast it's U.S. 3.14 don't co-operate naïve İstanbul Straße K 東京 WORD1 word_2 ... — \t".split(" ")


def lorahub_accuracy():
    with patch.dict(sys.modules, {name: MagicMock() for name in ("datasets", "pandas", "nevergrad")}):
        from lorahub.algorithm import lorahub_inference

    (code,) = [c for c in lorahub_inference.__code__.co_consts if getattr(c, "co_name", "") == "accuracy_score"]
    return types.FunctionType(code, {})


def sentences(draw, count):
    return [draw.choice([" ", "  ", "\n"]).join(draw.choice(WORDS) for _ in range(draw.choice([0, 1, 3, 8, 20]))) for _ in range(count)]


def rouge(draw):
    scorer = rouge_scorer.RougeScorer(["rougeL"], use_stemmer=False)
    rows = []
    for said in sentences(draw, 60):
        # Answers share words with what was said.
        answers = [" ".join(word for word in said.split(" ") if draw.random() < 0.6) + " " + draw.choice(WORDS) for _ in range(draw.choice([1, 1, 3]))]
        rows.append({"said": said, "right": answers, "value": scorer.score_multi(answers, said)["rougeL"].fmeasure})
    return rows


def f1(draw):
    rows = []
    for labels, count in ((2, 20), (3, 40), (7, 30), (5, 1)):
        truth = [draw.randrange(labels) for _ in range(count)]
        said = [t if draw.random() < 0.5 else draw.randrange(labels) for t in truth]
        row = {"labels": labels, "truth": truth, "said": said, "accuracy": accuracy_score(truth, said)}
        for key, average in (("f1", "macro"), ("f1_weighted", "weighted"), ("f1_micro", "micro")):
            row[key] = f1_score(truth, said, average=average, zero_division=0)
        rows.append(row)
    return rows


def ids_of(draw, vocabulary, low, high):
    return [draw.randrange(3, vocabulary) for _ in range(draw.randrange(low, high))]


def similarity(draw):
    """Labels are names of ids; ids of a text longer than max_tokens are cut at the end, the special token 1 behind them stays."""
    model = BertModel.from_pretrained(GOLDEN / "models" / "bert_sentence", dtype=torch.float32, attn_implementation="eager").eval()
    end, limit, temperature, before = 1, 20, 0.07, [11, 5]

    def embed(ids):
        ids = ids[: limit - 1] + [end]
        with torch.no_grad():
            return torch.nn.functional.normalize(model(torch.tensor([ids])).last_hidden_state[0].mean(0), dim=0)

    labels = [ids_of(draw, 60, 1, 5) for _ in range(4)]
    names = torch.stack([embed(before + ids) for ids in labels])
    texts = []
    for _ in range(12):
        ids = ids_of(draw, 60, 1, 30)
        logits = names @ embed(ids) / temperature
        texts.append({"ids": ids, "logits": logits.tolist(), "losses": (-torch.log_softmax(logits.double(), 0)).tolist()})
    return {"end": end, "max_tokens": limit, "temperature": temperature, "before": before, "labels": labels, "texts": texts}


def choices(draw):
    model = AutoModelForCausalLM.from_pretrained(GOLDEN / "models" / "llama", dtype=torch.float32, attn_implementation="eager").eval()
    rows = []
    for _ in range(8):
        prompt = ids_of(draw, 60, 1, 12)
        options = [ids_of(draw, 60, 1, 6) for _ in range(draw.randrange(2, 6))]
        values = []
        for option in options:
            with torch.no_grad():
                logits = model(torch.tensor([prompt + option])).logits[0].double()
            logs = torch.log_softmax(logits, -1)[len(prompt) - 1 : -1]
            values.append(float(logs.gather(1, torch.tensor(option)[:, None]).sum()))
        rows.append({"prompt": prompt, "choices": options, "log_likelihoods": values})
    return rows


def main():
    common.check_versions()
    for name, wanted in WANTED.items():
        if version(name) != wanted:
            raise SystemExit(f"golden files are made with {name} {wanted}, found {version(name)}")
    accuracy = lorahub_accuracy()
    draw = random.Random(5)
    OUT.mkdir(parents=True, exist_ok=True)
    write_json(
        OUT / "golden.json",
        {
            "made_by": {**{name: VERSIONS[name] for name in ("torch", "transformers")}, **WANTED},
            "normalized": [{"said": said, "right": right, "value": accuracy([said], [right]) / 100} for said, right in PAIRS],
            "rouge_l": rouge(draw),
            "f1": f1(draw),
            "similarity": similarity(draw),
            "choices": choices(draw),
        },
    )


if __name__ == "__main__":
    main()
