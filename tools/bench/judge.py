"""Judges results by independent arithmetic in float64. Run by tools/bench/merge.

judge.py POOL METHOD DENSITY OURS PEFT   prints JSON: relative Frobenius errors of both results and of the best one

Weighted sums are compared with the sum itself, in factors. For ties the dense merge is made here. For dare_ties PEFT's
masks are drawn again from the same seed; ours are others, so our error is left out (tools/bench/merge shows the one
that Weft measured).
"""

import json
import os
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file

ROWS = 512


def adapter(folder):
    """Module name -> (B, A) with the scale in B, float64."""
    folder = Path(folder)
    config = json.loads((folder / "adapter_config.json").read_text())
    scale = config["lora_alpha"] / config["r"]
    tensors, out = load_file(str(folder / "adapter_model.safetensors")), {}
    for key in tensors:
        if key.endswith(".lora_A.weight"):
            name = key.removeprefix("base_model.model.").removesuffix(".lora_A.weight")
            b = tensors[key.replace(".lora_A.", ".lora_B.")].double() * scale
            out[name] = (b, tensors[key].double())
    return out


def core(terms):
    """The small matrix with the singular values of a sum of products."""
    b, a = torch.cat([t[0] for t in terms], 1), torch.cat([t[1] for t in terms], 0)
    return torch.linalg.qr(b)[1] @ torch.linalg.qr(a.T)[1].T


def norm(terms):
    return core(terms).norm().item()


def judge_sum(parts, results):
    """Squared norms: of the sum, of each result's difference from it, of the best possible at the result's rank."""
    total = norm(parts)
    lost = [norm([*parts, (-b, a)]) ** 2 for b, a in results]
    rank = max(a.shape[0] for _, a in results)
    values = torch.linalg.svdvals(core(parts))
    return total**2, lost, values[rank:].square().sum().item()


def keep_largest(delta, density):
    count = int(density * delta.numel())
    kth = torch.kthvalue(delta.abs().reshape(-1), delta.numel() - count + 1).values
    return torch.where(delta.abs() >= kth, delta, 0.0)


def keep_random(delta, density):
    return delta * torch.bernoulli(torch.full_like(delta, density)) / density


def dense_ties(parts, sparsify, density):
    """Float32 deltas, as both sides have them; unit weights."""
    kept = [sparsify(b.float() @ a.float(), density) for b, a in parts]
    total = sum(kept[1:], kept[0].clone())
    elected = torch.where(total >= 0, 1.0, -1.0)
    total.zero_()
    count = torch.zeros_like(total)
    for delta in kept:
        agrees = delta.sign() == elected
        total += torch.where(agrees, delta, 0.0)
        count += agrees
    return total / count.clamp(min=1.0)


def gram(dense):
    if dense.shape[0] < dense.shape[1]:
        dense = dense.T
    out = torch.zeros(dense.shape[1], dense.shape[1], dtype=torch.float64)
    for rows in dense.split(ROWS):
        rows = rows.double()
        out += rows.T @ rows
    return out


def judge_dense(parts, results, method, density):
    torch.manual_seed(1)
    dense = dense_ties(parts, keep_random if method.startswith("dare") else keep_largest, density)
    values = torch.linalg.eigvalsh(gram(dense)).flip(0)
    total, rank = values.sum().item(), max(a.shape[0] for _, a in results)
    lost = [0.0 for _ in results]
    for i in range(0, dense.shape[0], ROWS):
        rows = dense[i : i + ROWS].double()
        for k, (b, a) in enumerate(results):
            lost[k] += (rows - b[i : i + ROWS] @ a).square().sum().item()
    return total, lost, values[rank:].sum().item()


def main(pool, method, density, *outs):
    adapters = [adapter(p) for p in sorted(Path(pool).iterdir()) if p.is_dir()]
    found = [adapter(out) for out in outs]
    squares, lost, best = 0.0, [0.0 for _ in outs], 0.0
    for name in adapters[0]:
        parts, results = [a[name] for a in adapters], [f[name] for f in found]
        dense = method in ("ties", "dare_ties")
        one = judge_dense(parts, results, method, float(density)) if dense else judge_sum(parts, results)
        squares += one[0]
        lost = [x + y for x, y in zip(lost, one[1])]
        best += one[2]
    errors = [(max(0.0, x) / squares) ** 0.5 for x in lost]
    ours = None if method.startswith("dare") else errors[0]
    print(json.dumps({"ours": ours, "peft": errors[1], "best": (best / squares) ** 0.5}))


if __name__ == "__main__":
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    main(*sys.argv[1:])
