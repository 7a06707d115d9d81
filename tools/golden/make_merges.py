"""Writes tests/golden/merges: PEFT's add_weighted_adapter over all combination types, and what each one means.

Usage: python tools/golden/make_merges.py
"""

import math
import shutil
import tempfile
import warnings

import common
from common import GOLDEN, VERSIONS, delta, factors, lora_modules, relative, scale_of, stored, write_json, write_tensors

import numpy as np
import torch
from peft import PeftModel, get_peft_model
from safetensors.torch import load_file, save_file

import operators
from make_adapters import base_of, dora_meaning, lora, randomize_adapter, save, save_base
from tiny_models import Convolution, FanInFanOut, Linears

warnings.filterwarnings("ignore")
OUT = GOLDEN / "merges"
TARGETS = ["q_proj", "o_proj"]
FACTORWISE = ["linear", "ties", "dare_linear", "dare_ties", "magnitude_prune"]
TRUNCATED = ["svd", "ties_svd", "dare_linear_svd", "dare_ties_svd", "magnitude_prune_svd"]

POOLS = {
    "unit": (Linears, {n: lora(r=4, lora_alpha=4, target_modules=TARGETS) for n in "ab"}),
    "scaled": (Linears, {n: lora(r=4, lora_alpha=s, target_modules=TARGETS) for n, s in zip("abc", (8, 6, 3))}),
    "unequal": (
        Linears,
        {
            "a": lora(r=2, lora_alpha=4, target_modules=["q_proj", "v_proj"]),
            "b": lora(r=4, lora_alpha=4, target_modules=["q_proj"]),
            "c": lora(r=3, lora_alpha=2, target_modules=["q_proj", "o_proj"]),
        },
    ),
    "fan_in_fan_out": (
        FanInFanOut,
        {
            n: lora(r=3, lora_alpha=s, fan_in_fan_out=True, target_modules=["c_attn", "c_proj"])
            for n, s in zip("ab", (6, 3))
        },
    ),
    "embedding": (
        Linears,
        {n: lora(r=3, lora_alpha=s, target_modules=["embed_tokens", "layers.0.q_proj"]) for n, s in zip("ab", (6, 3))},
    ),
    "conv2d": (
        lambda: Convolution(2),
        {n: lora(r=2, lora_alpha=s, target_modules=["stem", "point"]) for n, s in zip("ab", (4, 2))},
    ),
    "rslora": (
        Linears,
        {n: lora(r=4, lora_alpha=s, use_rslora=True, target_modules=TARGETS) for n, s in zip("ab", (4, 6))},
    ),
    "rank_pattern": (
        Linears,
        {
            n: lora(
                r=4,
                lora_alpha=s,
                rank_pattern={"layers.0.q_proj": 2},
                alpha_pattern={"o_proj": 3},
                target_modules=TARGETS,
            )
            for n, s in zip("ab", (4, 6))
        },
    ),
    "dora": (
        Linears,
        {n: lora(r=4, lora_alpha=s, use_dora=True, target_modules=TARGETS) for n, s in zip("ab", (4, 6))},
    ),
    "lora_bias": (
        Linears,
        {n: lora(r=4, lora_alpha=s, lora_bias=True, target_modules=TARGETS) for n, s in zip("ab", (4, 6))},
    ),
}
HALF_STORED = {("unequal", "c")}


def inputs_of(pool, name):
    return OUT / "inputs" / pool / name


def make_inputs():
    shutil.rmtree(OUT / "inputs", ignore_errors=True)
    for number, (pool, (maker, configs)) in enumerate(POOLS.items()):
        for seed, (name, config) in enumerate(configs.items()):
            model = get_peft_model(base_of(maker, 20 + number), config, autocast_adapter_dtype=False)
            randomize_adapter(model, 1000 + 10 * number + seed)
            folder = inputs_of(pool, name)
            save(model, folder)
            if (pool, name) in HALF_STORED:
                file = folder / "adapter_model.safetensors"
                half = {key: value.half() for key, value in load_file(file).items()}
                save_file(half, str(file), metadata={"format": "pt"})
            if pool == "dora":
                save_base(maker, 20 + number, folder)


def merged_by_peft(pool, names, weights, kind, options):
    """The merged adapter as PEFT applies it (scaling * B * A per module), and whether its save loads again."""
    maker, _ = POOLS[pool]
    number = list(POOLS).index(pool)
    model = PeftModel.from_pretrained(
        base_of(maker, 20 + number), str(inputs_of(pool, names[0])), adapter_name=names[0]
    )
    for name in names[1:]:
        model.load_adapter(str(inputs_of(pool, name)), adapter_name=name)
    model.add_weighted_adapter(names, weights, "merged", combination_type=kind, **options)
    out = {}
    for path, layer in model.base_model.model.named_modules():
        if "merged" in getattr(layer, "lora_A", {}):
            a, b = layer.lora_A["merged"].weight, layer.lora_B["merged"].weight
        elif "merged" in getattr(layer, "lora_embedding_A", {}):
            a, b = layer.lora_embedding_A["merged"], layer.lora_embedding_B["merged"]
        else:
            continue
        a, b = a.detach().double().numpy(), b.detach().double().numpy()
        out[path] = layer.scaling["merged"] * (b.reshape(b.shape[0], -1) @ a.reshape(a.shape[0], -1))
    return out, reloads(model, maker, number)


def reloads(model, maker, number):
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder, selected_adapters=["merged"], save_embedding_layers=False)
        try:
            PeftModel.from_pretrained(base_of(maker, 20 + number), folder + "/merged")
        except Exception:
            return False
    return True


def meant(pool, names, weights, kind, options):
    """What the combination type means, in float64: per module the update, the plain weighted sum, the bias update."""
    loaded = {name: stored(inputs_of(pool, name)) for name in names}
    modules = sorted({m for _, tensors in loaded.values() for m in lora_modules(tensors)})
    density, method = options.get("density"), options.get("majority_sign_method", "total")
    true, total, bias = {}, {}, {}
    for module in modules:
        having = [(w, *loaded[n]) for n, w in zip(names, weights) if module in lora_modules(loaded[n][1])]
        deltas = [delta(config, tensors, module) for _, config, tensors in having]
        total[module] = operators.weighted_sum(deltas, [w for w, *_ in having])
        betas = [
            w * scale_of(c, module)[0] * t[k]
            for w, c, t in having
            if (k := f"{common.PREFIX}{module}.lora_B.bias") in t
        ]
        if betas:
            bias[module] = sum(betas)
        if kind in FACTORWISE:
            true[module] = factorwise(kind, having, module, density, method)
        elif kind == "cat":
            true[module] = total[module]
        else:
            rank = options.get("svd_rank") or largest_rank(pool, names)
            true[module] = operators.truncate(
                operators.operate(kind, deltas, [w for w, *_ in having], density, method), rank
            )
    return true, total, bias


def largest_rank(pool, names):
    """PEFT keeps this one rank in every module, also where no adapter of that rank takes part."""
    configs = [stored(inputs_of(pool, name))[0] for name in names]
    return max(max([c["r"], *(c.get("rank_pattern") or {}).values()]) for c in configs)


def factorwise(kind, having, module, density, method):
    """The operator on the A's and on the B's apart, each weighted by sqrt|w s|, the sign on A: cross terms included."""
    left, right, signed, plain = [], [], [], []
    for weight, config, tensors in having:
        scale, b, a, _ = factors(config, tensors, module)
        root = math.sqrt(abs(weight * scale))
        right.append(a)
        left.append(b)
        signed.append(math.copysign(root, weight * scale))
        plain.append(root)
    return operators.operate(kind, left, plain, density, method) @ operators.operate(
        kind, right, signed, density, method
    )


def dora_sum(names, weights):
    out = {}
    for name, weight in zip(names, weights):
        config, tensors = stored(inputs_of("dora", name))
        base = load_file(inputs_of("dora", name) / "base.safetensors")
        for module in lora_modules(tensors):
            matrix = base[module + ".weight"].double().numpy()
            part = dora_meaning(config, tensors, module, matrix, delta(config, tensors, module))
            out[module] = out.get(module, 0) + weight * part
    return out


def make_case(pool, names, weights, kind, tag="", note="", **options):
    names = list(names)
    case = "-".join(part for part in (kind, pool, tag) if part)
    peft, loads = merged_by_peft(pool, names, weights, kind, options)
    single = len(names) == 1
    true, total, bias = meant(pool, names, weights, "linear" if single else kind, options)
    if pool == "dora":
        true, total = dora_sum(names, weights), {}
    assert sorted(peft) == sorted(true), case
    difference = max(relative(peft[m], true[m]) for m in true)
    if bias:
        difference = max(difference, 1.0)
        note = (note + "; " if note else "") + "PEFT drops the bias update"
    agrees = difference < 1e-5
    if pool not in ("rslora", "dora", "lora_bias") and not agrees:
        raise SystemExit(f"{case}: PEFT differs by {difference} where it should agree")
    document = {
        "case": case,
        **VERSIONS,
        "combination_type": kind,
        "adapters": [{"path": f"inputs/{pool}/{n}", "name": n, "weight": w} for n, w in zip(names, weights)],
        "svd_rank": options.get("svd_rank"),
        "rank": (options.get("svd_rank") or largest_rank(pool, names)) if kind in TRUNCATED else None,
        "density": options.get("density"),
        "majority_sign_method": options.get("majority_sign_method", "total") if "ties" in kind else None,
        "needs_base": pool == "dora",
        "peft_agrees": agrees,
        "peft_difference": float(f"{difference:.3g}"),
        "peft_reloads": loads,
        "cross_terms": max_cross(true, total) if kind in FACTORWISE and total else None,
        "note": note,
    }
    tensors = {f"true/{m}": v for m, v in true.items()} | {f"bias/{m}": v for m, v in bias.items()}
    if agrees:
        tensors |= {f"peft/{m}": v for m, v in peft.items()}
    if kind in ("linear", "svd", "cat"):
        tensors |= {f"sum/{m}": v for m, v in total.items()}
    write_json(OUT / f"{case}.json", document)
    write_tensors(OUT / f"{case}.safetensors", tensors, note or case)
    return document


def max_cross(true, total):
    return float(f"{max(relative(true[m], total[m]) for m in true):.3g}")


def density_of(kind):
    if "dare" in kind:
        return {"density": 1.0}
    return {"density": 0.5} if "ties" in kind or "prune" in kind else {}


def all_cases():
    done = []

    def add(*args, **kwargs):
        done.append(make_case(*args, **kwargs))

    for kind in FACTORWISE + TRUNCATED + ["cat"]:
        plain = density_of(kind)
        add("unit", "ab", [0.7, 0.4], kind, **plain)
        add("scaled", "ab", [0.7, -0.4], kind, "negative", **plain)
        add("scaled", "abc", [0.5, 0.3, -0.2], kind, "three", **plain)
        for pool in ("fan_in_fan_out", "embedding", "conv2d"):
            add(pool, "ab", [0.7, -0.4], kind, **plain)
        if kind not in FACTORWISE:
            add(
                "unequal",
                "abc",
                [0.6, -0.5, 1.2],
                kind,
                note="ranks 2, 4, 3; modules differ; c is stored in float16",
                **plain,
            )
        if "ties" in kind:
            add("scaled", "abc", [0.5, 0.3, -0.2], kind, "frequency", majority_sign_method="frequency", **plain)
        if kind in ("ties", "ties_svd", "magnitude_prune", "magnitude_prune_svd"):
            for density in (0.3, 1.0):
                add("scaled", "abc", [0.5, 0.3, -0.2], kind, f"density{density}", density=density)
        if kind in TRUNCATED:
            add("scaled", "abc", [0.5, 0.3, -0.2], kind, "rank2", svd_rank=2, **plain)
    add("scaled", "abc", [0.5, 0.3, -0.2], "svd", "rank6", svd_rank=6)
    add("unequal", "abc", [0.6, -0.5, 1.2], "svd", "rank3", svd_rank=3)
    for weight, tag in ((1.0, "one"), (-1.5, "one_negative")):
        add("scaled", "b", [weight], "linear", tag)
    defective_cases(add)
    return done


def defective_cases(add):
    for kind in ("linear", "cat", "svd", "ties"):
        note = "PEFT inherits use_rslora and applies sqrt(rank) again"
        add("rslora", "ab", [0.7, -0.4], kind, note=note, **density_of(kind))
    add("rslora", "a", [1.0], "linear", "one", note="PEFT's result is sqrt(rank) times too large")
    for kind in ("linear", "cat", "svd"):
        add("rank_pattern", "ab", [0.7, -0.4], kind, note="what PEFT saves may not load again, see peft_reloads")
        add("lora_bias", "ab", [0.7, -0.4], kind)
    add("rank_pattern", "a", [1.0], "linear", "one")
    add("lora_bias", "a", [1.0], "linear", "one")
    note = (
        "true = weighted sum of the effective updates, given the base (base.safetensors of each input); "
        "PEFT ignores the magnitudes"
    )
    add("dora", "ab", [0.7, -0.4], "cat", note=note)
    add("dora", "a", [1.0], "linear", "one", note=note)


def refused_cases():
    """Pools that PEFT does not merge, with its words."""
    out = []
    for kind in FACTORWISE:
        try:
            merged_by_peft("unequal", list("abc"), [1.0, 1.0, 1.0], kind, density_of(kind))
        except ValueError as error:
            paths = [f"inputs/unequal/{n}" for n in "abc"]
            out.append({"combination_type": kind, "adapters": paths, "error": " ".join(str(error).split())})
    assert len(out) == len(FACTORWISE)
    return out


def main():
    common.check_versions()
    OUT.mkdir(parents=True, exist_ok=True)
    for old in list(OUT.glob("*.json")) + list(OUT.glob("*.safetensors")):
        old.unlink()
    make_inputs()
    torch.manual_seed(0)
    done = all_cases()
    operators.main()
    write_json(OUT / "refused.json", {"versions": VERSIONS, "cases": refused_cases()})
    for case in done:
        if not case["peft_agrees"] or not case["peft_reloads"]:
            print(f"{case['case']}: differs by {case['peft_difference']}, reloads {case['peft_reloads']}")
    print(f"{len(done)} cases, np {np.__version__}")


if __name__ == "__main__":
    main()
