"""Writes tests/golden/search: what weight vectors of tiny pools score by PEFT and by LoRAHub's own objective.

Usage: python tools/golden/make_search.py
Adapters for tests/golden/models/{t5,llama} are made by PEFT. Rule `factors`: lorahub 0.1.0's own get_score on a PEFT model (its functions are
run; its imports that are not needed here, datasets, pandas and nevergrad, are stubbed). Rule `delta`: PEFT's add_weighted_adapter, combination
type cat, compared here with the adapters active together; scored by the same default_get_loss.
"""

import json
import random
import shutil
import sys
import warnings
from importlib.metadata import version
from unittest.mock import MagicMock, patch

import common
from common import GOLDEN, VERSIONS

import make_attached
import torch
from peft import LoraConfig, PeftModel
from peft.tuners.lora import LoraLayer
from peft.utils.save_and_load import get_peft_model_state_dict

warnings.filterwarnings("ignore")
OUT = GOLDEN / "search"
NAMES = ["a", "b", "c", "d", "e"]
TARGETS = {"t5": ["q", "v"], "llama": ["q_proj", "v_proj"]}
END = {"t5": 1, "llama": None}
VECTORS, BATCHES, PAD, IGNORED = 50, [1, 2, None], 0, -100


def lorahub():
    with patch.dict(sys.modules, {name: MagicMock() for name in ("datasets", "pandas", "nevergrad")}):
        from lorahub import algorithm
    return algorithm


class Columns(list):
    """Rows as a Hugging Face dataset shows them: a row by number, a column by name."""

    def __getitem__(self, key):
        return [row[key] for row in self] if isinstance(key, str) else super().__getitem__(key)


def padded(ids, length, filler):
    return ids + [filler] * (length - len(ids))


def dataset_of(name, examples):
    end = [] if END[name] is None else [END[name]]
    rows = []
    for prompt, completion in examples:
        if name == "llama":
            rows.append((prompt + completion, [IGNORED] * len(prompt) + completion))
        else:
            rows.append((prompt + end, completion + end))
    longest = [max(len(row[side]) for row in rows) for side in (0, 1)]
    return Columns(
        {
            "input": number,
            "input_ids": padded(ids, longest[0], PAD),
            "attention_mask": padded([1] * len(ids), longest[0], 0),
            "labels": padded(labels, longest[1], IGNORED),
        }
        for number, (ids, labels) in enumerate(rows)
    )


class Scorer:
    """Only what a model reads goes into it: a collator would hand on the row's number too."""

    def __init__(self, model):
        self.model = model

    def __call__(self, input_ids, attention_mask, labels, **_):
        return self.model(input_ids=input_ids, attention_mask=attention_mask, labels=labels)


def opened(name):
    folder = OUT / name
    model = PeftModel.from_pretrained(make_attached.base_of({"base": name}), str(folder / "a"), adapter_name="a")
    for other in NAMES[1:]:
        model.load_adapter(str(folder / other), adapter_name=other)
    return model.eval()


def factor_scores(name, hub, dataset, vectors):
    """lorahub's get_score without and with its regulariser."""
    cache = {}
    for adapter in NAMES:
        loaded = PeftModel.from_pretrained(make_attached.base_of({"base": name}), str(OUT / name / adapter))
        cache[adapter] = get_peft_model_state_dict(loaded)
    model = PeftModel.from_pretrained(make_attached.base_of({"base": name}), str(OUT / name / "a")).eval()

    def score(weights, batch, regular):
        loss = lambda data, subject, size: hub.default_get_loss(data, Scorer(subject), size)  # noqa: E731
        return hub.get_score(weights, model, cache, dataset, batch, loss, regular)

    rows = [[score(weights, batch, lambda _: 0.0) for batch in BATCHES] for weights in vectors]
    regular = [score(weights, None, hub.default_l1_regularization) for weights in vectors]
    return rows, regular


def scale_active(model, weights):
    for layer in model.modules():
        if isinstance(layer, LoraLayer):
            for adapter, weight in zip(NAMES, weights):
                layer.scaling[adapter] = weight * layer.lora_alpha[adapter] / layer.r[adapter]


def delta_scores(name, hub, dataset, vectors):
    apart = opened(name)
    apart.base_model.set_adapter(NAMES)
    rows = []
    for weights in vectors:
        model = opened(name)
        model.base_model.add_weighted_adapter(NAMES, weights, "sum", combination_type="cat")
        model.set_adapter("sum")
        row = [hub.default_get_loss(dataset, Scorer(model), batch) for batch in BATCHES]
        scale_active(apart, weights)
        other = hub.default_get_loss(dataset, Scorer(apart), None)
        if abs(row[-1] / other - 1) > 1e-5:
            raise SystemExit(f"{name}: cat gives {row[-1]}, active adapters {other} at {weights}")
        rows.append(row)
    return rows


def vectors_of(draw):
    """Zero, each alone, each subtracted, and drawn ones in LoRAHub's box."""
    out = [[0.0] * 5]
    for sign in (1.0, -1.0):
        out += [[sign if i == j else 0.0 for j in range(5)] for i in range(5)]
    while len(out) < VECTORS:
        out.append([round(draw.uniform(-1.5, 1.5), 4) for _ in range(5)])
    return out


def examples_of(draw):
    def ids(low, high):
        return [draw.randrange(3, 58) for _ in range(draw.randrange(low, high))]

    return [[ids(3, 9), ids(1 + number, 6)] for number in range(5)]


def numbers(rows):
    return ",\n  ".join(json.dumps([float(f"{x:.9g}") for x in row]) for row in rows)


def make(name, hub, draw):
    folder = OUT / name
    shutil.rmtree(folder, ignore_errors=True)
    configs = {x: LoraConfig(r=4, lora_alpha=6, target_modules=list(TARGETS[name])) for x in NAMES}
    make_attached.save_adapters({"name": f"search {name}", "base": name, "adapters": configs}, folder)
    examples, vectors = examples_of(draw), vectors_of(draw)
    dataset = dataset_of(name, examples)
    factors, regular = factor_scores(name, hub, dataset, vectors)
    delta = delta_scores(name, hub, dataset, vectors)
    made = ", ".join(f"{key} {VERSIONS[key]}" for key in ("peft", "torch", "transformers")) + ", lorahub 0.1.0"
    text = (
        "{"
        + f'"made_by": {json.dumps(made)},\n "end": {json.dumps(END[name])},\n "batches": [1, 2, 0],\n "examples": {json.dumps(examples)},\n'
        + f' "vectors": [\n  {numbers(vectors)}],\n "factors": [\n  {numbers(factors)}],\n'
        + f' "factors_regularised": {json.dumps([float(f"{x:.9g}") for x in regular])},\n "delta": [\n  {numbers(delta)}]}}\n'
    )
    (folder / "golden.json").write_text(text, encoding="utf-8")
    for file in folder.rglob("*"):
        file.chmod(0o644 if file.is_file() else 0o755)
    spread = [max(row[-1] for row in rows) / min(row[-1] for row in rows) for rows in (factors, delta)]
    print(f"{name}: losses spread by {spread[0]:.2f} (factors) and {spread[1]:.2f} (delta)")


@torch.no_grad()
def main():
    common.check_versions()
    if version("lorahub") != "0.1.0":
        raise SystemExit(f"golden files are made with lorahub 0.1.0, found {version('lorahub')}")
    hub, draw = lorahub(), random.Random(7)
    for name in ("t5", "llama"):
        make(name, hub, draw)


if __name__ == "__main__":
    main()
