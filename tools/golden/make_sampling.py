"""Writes tests/golden/sampling: what transformers' logits processors make of small vectors of logits.

Usage: python tools/golden/make_sampling.py
"""

import common
from common import GOLDEN, VERSIONS, write_json

import torch
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM

OUT = GOLDEN / "sampling"

# Name, settings, vocabulary, prompt ids, kind of logits.
CASES = [
    ("greedy", {}, 16, [], "normal"),
    ("greedy_penalty", {"repetition_penalty": 1.7}, 16, [3, 3, 9, 11, 0], "normal"),
    ("greedy_reward", {"repetition_penalty": 0.4}, 16, [3, 9, 11], "normal"),
    ("plain", {"temperature": 1.0}, 16, [], "normal"),
    ("cold", {"temperature": 0.3}, 24, [], "normal"),
    ("hot", {"temperature": 2.5}, 24, [], "wide"),
    ("penalty", {"temperature": 1.0, "repetition_penalty": 1.3}, 24, [1, 5, 5, 7, 20, 23], "normal"),
    ("reward", {"temperature": 0.9, "repetition_penalty": 0.7}, 24, [1, 5, 5, 7, 20, 23], "wide"),
    ("top_k_1", {"temperature": 1.0, "top_k": 1}, 32, [], "normal"),
    ("top_k_5", {"temperature": 0.7, "top_k": 5}, 32, [], "wide"),
    ("top_k_20", {"temperature": 1.4, "top_k": 20}, 32, [], "normal"),
    ("top_k_all", {"temperature": 1.0, "top_k": 500}, 32, [], "normal"),
    ("top_k_ties", {"temperature": 1.0, "top_k": 6}, 40, [], "steps"),
    ("top_k_ties_of_all", {"temperature": 1.0, "top_k": 3}, 12, [], "equal"),
    ("top_p_1_percent", {"temperature": 1.0, "top_p": 0.01}, 32, [], "normal"),
    ("top_p_half", {"temperature": 1.0, "top_p": 0.5}, 32, [], "normal"),
    ("top_p_90", {"temperature": 1.2, "top_p": 0.9}, 40, [], "wide"),
    ("top_p_99", {"temperature": 1.5, "top_p": 0.99}, 40, [], "wide"),
    ("top_p_ties", {"temperature": 1.0, "top_p": 0.8}, 40, [], "steps"),
    ("top_p_ties_of_all", {"temperature": 1.0, "top_p": 0.5}, 8, [], "equal"),
    ("top_p_nine_of_ten", {"temperature": 1.0, "top_p": 0.9}, 10, [], "equal"),
    ("top_k_then_top_p", {"temperature": 0.8, "top_k": 10, "top_p": 0.7}, 40, [], "normal"),
    ("everything", {"temperature": 0.8, "top_k": 12, "top_p": 0.85, "repetition_penalty": 1.2}, 40, [2, 4, 8, 16, 32], "normal"),
    ("everything_ties", {"temperature": 1.5, "top_k": 9, "top_p": 0.95, "repetition_penalty": 1.5}, 40, [0, 1, 2, 3], "steps"),
]


def logits_of(kind, size, seed):
    noise = torch.randn(size, generator=torch.Generator().manual_seed(seed))
    return {"normal": noise * 2, "wide": noise * 6, "steps": (noise * 3).round() / 2, "equal": torch.zeros(size)}[kind]


def processors(model, settings):
    """Those that model.generate() would use, in its order."""
    settings = {"top_k": 0, **settings}
    config = GenerationConfig(do_sample="temperature" in settings, **settings)
    config._eos_token_tensor = None
    return model._get_logits_processor(config, input_ids_seq_length=1)


def ambiguous(scores, kept):
    """True if a kept and a dropped token are equal at the end: which of them goes depends on the sort."""
    lowest = scores[kept].min()
    return bool((scores[~kept] == lowest).any())


def case_of(model, index, name, settings, size, ids, kind):
    logits = logits_of(kind, size, 100 + index)
    row = torch.tensor([ids], dtype=torch.long)
    scores = processors(model, settings)(row, logits[None].clone())[0]
    if "temperature" not in settings:
        expected = {"token": int(scores.argmax())}
    else:
        kept = torch.isfinite(scores)
        unfiltered = {k: v for k, v in settings.items() if k not in ("top_k", "top_p")}
        before = processors(model, unfiltered)(row, logits[None].clone())[0]
        probabilities = torch.softmax(scores.double(), -1)
        expected = {
            "ids": torch.nonzero(kept)[:, 0].tolist(),
            "probabilities": [round(p, 12) for p in probabilities[kept].tolist()],
            "any_of_equals": ambiguous(before, kept) if not kept.all() else False,
        }
    return {"name": name, "settings": settings, "seen": ids, "logits": logits.tolist(), **expected}


def main():
    common.check_versions()
    tiny = LlamaConfig(
        vocab_size=8, hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=1, num_key_value_heads=1
    )
    model = LlamaForCausalLM(tiny)
    OUT.mkdir(exist_ok=True)
    cases = [case_of(model, index, *entry) for index, entry in enumerate(CASES)]
    write_json(OUT / "sampling.json", {"versions": VERSIONS, "cases": cases})


if __name__ == "__main__":
    main()
