"""Loads what weft writes into PEFT 0.21.2 and compares outputs with the true update added to the base by hand: of composed
adapters, and of trained ones.

Usage: python tools/golden/check_peft.py WEFT        the binary, e.g. build/release/weft
       python tools/golden/check_peft.py --self-test a stand-in that concatenates factors, to test this script

Prints a table with the largest relative error of the logits; exits with 1 beyond 1e-4 or when PEFT cannot load a
result.
"""

import json
import shutil
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import common
from common import GOLDEN, PREFIX, delta, factors, lora_modules, relative, scale_of, stored

import numpy as np
import torch
import transformers
from peft import PeftModel, get_peft_model
from safetensors.torch import save_file

import operators
import tiny_models
from make_adapters import base_of, lora, randomize_adapter, save

warnings.filterwarnings("ignore")
LIMIT = 1e-4
GPT2, LLAMA = ["c_attn", "c_fc"], ["q_proj", "down_proj"]
BASES = {
    "gpt2": (tiny_models.tiny_gpt2, GPT2, "wte", True),
    "llama": (lambda: tiny_models.tiny_llama(biases=True), LLAMA, "embed_tokens", False),
}
WEIGHTS = {2: [0.7, -0.4], 3: [0.5, 0.3, -0.2]}


def kinds(targets, embedding, fan):
    """Pools of every kind that can be summed exactly: name -> configs of the members."""

    def config(**kwargs):
        return lora(task_type="CAUSAL_LM", fan_in_fan_out=fan, **{"target_modules": targets, **kwargs})

    first = targets[0]
    return {
        "plain": [config(r=4, lora_alpha=4), config(r=4, lora_alpha=8), config(r=4, lora_alpha=3)],
        "unequal": [
            config(r=2, lora_alpha=4),
            config(r=4, lora_alpha=3, target_modules=[first]),
            config(r=3, lora_alpha=3),
        ],
        "rank_pattern": [config(r=4, lora_alpha=a, rank_pattern={first: 2}, alpha_pattern={first: 3}) for a in (4, 6)],
        "rslora": [config(r=4, lora_alpha=4, use_rslora=True), config(r=3, lora_alpha=6, use_rslora=True)],
        "mixed_scale": [config(r=4, lora_alpha=4, use_rslora=True), config(r=4, lora_alpha=6)],
        "embedding": [config(r=3, lora_alpha=a, target_modules=[embedding, first]) for a in (3, 5)],
        "lora_bias": [config(r=3, lora_alpha=a, lora_bias=True) for a in (3, 5)],
    }


class Weft:
    """Runs the binary; a refusal by name is told apart from a failure."""

    def __init__(self, binary):
        self.binary = str(Path(binary).resolve())

    def merge(self, inputs, method, weights, options, out):
        command = [self.binary, "merge", *map(str, inputs), "--method", method, "-q", "-o", str(out)]
        command.append("--weights=" + ",".join(repr(w) for w in weights))
        for option in options:
            command += ["--set", option]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300)
        first = (done.stderr.strip().splitlines() or [""])[0]
        return done.returncode, first

    def train(self, base, case, golden, out):
        command = [self.binary, "train", "--base", str(base), "--data", str(case / "examples.jsonl"), "-q", "-o", str(out)]
        for key, value in {**golden["options"], **golden["options"]["lora"]}.items():
            flag = "--" + key.replace("_", "-")
            if isinstance(value, bool):
                command += [flag] if value else []
            elif isinstance(value, list):
                command += [flag, ",".join(value)]
            elif not isinstance(value, dict):
                command += [flag, str(value)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300)
        return done.returncode, (done.stderr.strip().splitlines() or [""])[0]


class StandIn:
    """Concatenation of the factors in Python: lets this script be tested without the binary."""

    def merge(self, inputs, method, weights, options, out):
        if len(inputs) == 1:
            Path(out).mkdir()
            for file in Path(inputs[0]).glob("adapter_*"):
                (Path(out) / file.name).write_bytes(file.read_bytes())
            return 0, ""
        if method not in ("linear", "cat", "svd") or "rank=3" in options:
            return 2, f"the stand-in has no {method} {options}"
        pool = [stored(folder) for folder in inputs]
        Path(out).mkdir()
        tensors, ranks, biased = {}, {}, False
        for module in sorted({m for _, t in pool for m in lora_modules(t)}):
            parts = [(w, *factors(c, t, module)[:3]) for w, (c, t) in zip(weights, pool) if module in lora_modules(t)]
            a = np.concatenate([w * s * a for w, s, _, a in parts])
            b = np.concatenate([b for _, _, b, _ in parts], axis=1)
            embedding = any(f"{PREFIX}{module}.lora_embedding_A" in t for _, t in pool)
            names = ("lora_embedding_A", "lora_embedding_B") if embedding else ("lora_A.weight", "lora_B.weight")
            tensors[f"{PREFIX}{module}.{names[0]}"], tensors[f"{PREFIX}{module}.{names[1]}"] = a, b
            ranks[module] = a.shape[0]
            bias = bias_sum(pool, weights, module)
            if bias is not None:
                tensors[f"{PREFIX}{module}.lora_B.bias"], biased = bias, True
        config = {
            **pool[0][0],
            "r": 1,
            "lora_alpha": 1,
            "use_rslora": False,
            "lora_bias": biased,
            "target_modules": list(ranks),
        }
        config["rank_pattern"] = config["alpha_pattern"] = {"^" + m.replace(".", r"\."): r for m, r in ranks.items()}
        (Path(out) / "adapter_config.json").write_text(json.dumps(config))
        ready = {k: torch.from_numpy(v).float().contiguous() for k, v in tensors.items()}
        save_file(ready, str(Path(out) / "adapter_model.safetensors"))
        return 0, ""


    def train(self, base, case, golden, out):
        out.mkdir(parents=True)
        shutil.copy(case / "start" / "adapter_config.json", out)
        shutil.copy(case / "end.safetensors", out / "adapter_model.safetensors")
        return 0, ""


def bias_sum(pool, weights, module):
    key = f"{PREFIX}{module}.lora_B.bias"
    found = [w * scale_of(c, module)[0] * t[key] for w, (c, t) in zip(weights, pool) if key in t]
    return sum(found) if found else None


def reference(pool, weights, method, options):
    """Per module the true update and the true update of the bias, in float64. A bias is an update like any other."""
    deltas, biases = {}, {}
    chosen = dict(option.split("=", 1) for option in options)
    density = float(chosen["density"]) if "density" in chosen else None
    name = method if method in ("ties", "magnitude_prune") else "linear"
    for module in sorted({m for _, t in pool for m in lora_modules(t)}):
        having = [(w, c, t) for w, (c, t) in zip(weights, pool) if module in lora_modules(t)]
        chosen_weights = [w for w, _, _ in having]
        deltas[module] = operators.operate(name, [delta(c, t, module) for _, c, t in having], chosen_weights, density)
        if chosen.get("rank", "exact").isdigit():
            deltas[module] = operators.truncate(deltas[module], int(chosen["rank"]))
        key = f"{PREFIX}{module}.lora_B.bias"
        found = [(w, scale_of(c, module)[0] * t[key]) for w, c, t in having if key in t]
        if found:
            biases[module] = operators.operate(name, [b for _, b in found], [w for w, _ in found], density)
    return deltas, biases


def example_of(model):
    return model.example() if hasattr(model, "example") else torch.tensor([[1, 4, 12, 0, 7], [2, 2, 9, 11, 3]])


def run_model(model, x):
    with torch.no_grad():
        dtype = next(model.parameters()).dtype
        out = model.eval()(x.to(dtype) if x.is_floating_point() else x)
        return (out.logits if hasattr(out, "logits") else out).double().numpy()


def by_hand(maker, deltas, biases):
    """Logits of the base with the updates added to its weights, float64."""
    model = base_of(maker, 31).double()
    with torch.no_grad():
        for module, value in deltas.items():
            layer = model.get_submodule(module)
            turned = isinstance(layer, torch.nn.Embedding) or type(layer).__name__ == "Conv1D"
            layer.weight += torch.from_numpy((value.T if turned else value).copy()).reshape(layer.weight.shape)
        for module, value in biases.items():
            model.get_submodule(module).bias += torch.from_numpy(value)
    return run_model(model, example_of(model))


def with_peft(maker, folder, dtype=torch.float64):
    base = base_of(maker, 31).to(dtype)
    x = example_of(base)
    torch.manual_seed(0)  # pissa_niter is random
    return run_model(PeftModel.from_pretrained(base, str(folder), autocast_adapter_dtype=False), x)


class Table:
    def __init__(self):
        self.bad, self.refused, self.done = 0, 0, 0
        print(f"{'base':14} {'pool':28} {'method':36} {'error':>9}  verdict")

    def row(self, base, pool, method, error, verdict):
        self.done += 1
        self.bad += verdict.startswith("BAD")
        self.refused += verdict.startswith("refused")
        text = f"{error:9.1e}" if error is not None else " " * 9
        print(f"{base:14} {pool:28} {method:36} {text}  {verdict}", flush=True)


def judge(table, base, pool, method, status, message, compute):
    """One row: a refusal is shown and accepted, a crash, an unloadable or wrong result is not."""
    if status != 0:
        refused = status in (2, 3)
        table.row(base, pool, method, None, f"refused: {message}" if refused else f"BAD exit {status}: {message}")
        return
    try:
        got, wanted = compute()
        error = relative(got, wanted)
    except Exception as problem:
        table.row(base, pool, method, None, f"BAD PEFT cannot load it: {' '.join(str(problem).split())[:200]}")
        return
    good = np.isfinite(error) and error <= LIMIT
    table.row(base, pool, method, error, "ok" if good else "BAD beyond the limit")


METHODS = [
    ("linear", []),
    ("cat", []),
    ("svd", ["rank=exact"]),
    ("svd", ["rank=3"]),
    ("ties", ["density=0.5", "rank=exact"]),
    ("magnitude_prune", ["density=0.3", "rank=exact"]),
]


def check_pools(weft, table, scratch):
    """Several adapters of one base, every method that has an exact answer."""
    for base_name, (maker, targets, embedding, fan) in BASES.items():
        for kind, configs in kinds(targets, embedding, fan).items():
            folders = []
            for number, config in enumerate(configs):
                model = get_peft_model(base_of(maker, 31), config, autocast_adapter_dtype=False)
                randomize_adapter(model, 500 + number)
                folders.append(scratch / base_name / kind / "abc"[number])
                save(model, folders[-1])
            pool, weights = [stored(folder) for folder in folders], WEIGHTS[len(folders)]
            for number, (method, options) in enumerate(METHODS):
                out = scratch / base_name / kind / f"out{number}"
                status, message = weft.merge(folders, method, weights, options, out)
                deltas, biases = reference(pool, weights, method, options)
                name = " ".join([method, *options])
                judge(
                    table,
                    base_name,
                    kind,
                    name,
                    status,
                    message,
                    lambda: (with_peft(maker, out), by_hand(maker, deltas, biases)),
                )
            out = scratch / base_name / kind / "scaled"
            status, message = weft.merge(folders[:1], "linear", [-1.5], [], out)
            deltas, biases = reference(pool[:1], [-1.5], "linear", [])
            if not isinstance(weft, StandIn):
                judge(
                    table,
                    base_name,
                    kind,
                    "one adapter, weight -1.5",
                    status,
                    message,
                    lambda: (with_peft(maker, out), by_hand(maker, deltas, biases)),
                )


def maker_of(folder):
    """The tiny module that a golden adapter fits."""
    models = tiny_models
    if folder.startswith("conv") and folder[4].isdigit():
        return lambda: models.Convolution(int(folder[4]), 2 if "grouped" in folder else 1)
    special = {
        "fan_in_fan_out": models.FanInFanOut,
        "dora_fan_in_fan_out": models.FanInFanOut,
        "dora_conv": lambda: models.Convolution(2),
        "target_parameters": models.MixtureOfExperts,
        "target_parameters_transposed": lambda: models.MixtureOfExperts(models.TransposedExperts),
        "layer_replication": models.tiny_llama,
        "tied_embedding": lambda: models.tiny_llama(tied=True),
    }
    return special.get(folder, models.Linears)


def check_identity(weft, table, scratch):
    """Every golden adapter alone with weight 1: PEFT computes the same with the result as with the input."""
    index = json.loads((GOLDEN / "adapters" / "index.json").read_text(encoding="utf-8"))
    for entry in index["adapters"]:
        folder = GOLDEN / "adapters" / entry["folder"]
        if entry["refused"]:
            continue
        maker, out = maker_of(entry["folder"]), scratch / "identity" / entry["folder"]
        out.parent.mkdir(parents=True, exist_ok=True)
        # Inits that change the base refuse one in float64.
        dtype = torch.float32 if read_init(folder) is not True else torch.float64
        try:
            wanted = with_peft(maker, folder, dtype)
        except Exception as problem:
            table.row(
                "tiny",
                entry["folder"],
                "identity",
                None,
                f"skipped: PEFT does not run the input ({str(problem)[:60]!r})",
            )
            continue
        status, message = weft.merge([folder], "linear", [1.0], [], out)
        judge(
            table, "tiny", entry["folder"], "identity", status, message, lambda: (with_peft(maker, out, dtype), wanted)
        )


CLASSES = {
    "causal": transformers.AutoModelForCausalLM,
    "seq2seq": transformers.AutoModelForSeq2SeqLM,
    "encoder": transformers.AutoModel,
    "label": transformers.AutoModelForSequenceClassification,
}


def outputs(model):
    """Logits or states of a few ids, float64."""
    ids = torch.tensor([[1, 4, 12, 6, 7, 3]])
    inputs = {"decoder_input_ids": torch.tensor([[0, 5, 9, 2]])} if model.config.is_encoder_decoder else {}
    with torch.no_grad():
        out = model.eval()(input_ids=ids, **inputs)
    return (out.logits if hasattr(out, "logits") else out.last_hidden_state).double().numpy()


def updated(model, folder):
    """The model with what an adapter holds put into its weights by the formulas."""
    config, tensors = stored(folder)
    bare = {name.removeprefix(PREFIX): torch.from_numpy(value) for name, value in tensors.items()}
    with torch.no_grad():
        for module in lora_modules(tensors):
            layer = model.get_submodule(module)
            turned = type(layer).__name__ == "Conv1D"
            weight = (layer.weight.T if turned else layer.weight) + torch.from_numpy(delta(config, tensors, module))
            if config["use_dora"]:
                weight *= (bare[f"{module}.lora_magnitude_vector"] / weight.norm(dim=1))[:, None]
            layer.weight.copy_(weight.T if turned else weight)
        for name, value in bare.items():
            if name.endswith(".bias"):
                model.get_parameter(name.replace(".base_layer", "")).copy_(value)
    return model


def check_trained(weft, table, scratch):
    """Adapters that were just trained, on every golden case of one: PEFT computes with the result what it says."""
    root = GOLDEN / "training"
    for entry in json.loads((root / "index.json").read_text(encoding="utf-8"))["training"]:
        case = root / entry["folder"]
        golden = json.loads((case / "golden.json").read_text(encoding="utf-8"))
        if golden["options"]["all_weights"]:
            continue
        base, out = scratch / "trained" / entry["folder"] / "base", scratch / "trained" / entry["folder"] / "out"
        shutil.copytree(GOLDEN / "models" / golden["base"], base)
        for file in (root / "tokenizers" / golden["tokenizer"]).iterdir():
            shutil.copy(file, base)
        status, message = weft.train(base, case, golden, out)

        def load():
            kind = "label" if golden["data"] == "label" else golden["kind"]
            return CLASSES[kind].from_pretrained(base, dtype=torch.float64, attn_implementation="eager")

        def compute():
            with warnings.catch_warnings():
                warnings.filterwarnings("error", message=".*missing adapter keys.*")
                model = PeftModel.from_pretrained(load(), str(out), autocast_adapter_dtype=False)
            return outputs(model), outputs(updated(load(), out))

        judge(table, golden["base"], entry["folder"], "trained", status, message, compute)


def read_init(folder):
    return json.loads((folder / "adapter_config.json").read_text(encoding="utf-8")).get("init_lora_weights", True)


def main():
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    common.check_versions()
    weft = StandIn() if sys.argv[1] == "--self-test" else Weft(sys.argv[1])
    table = Table()
    with tempfile.TemporaryDirectory(prefix="weft-peft-") as scratch:
        check_pools(weft, table, Path(scratch))
        check_identity(weft, table, Path(scratch))
        check_trained(weft, table, Path(scratch))
    print(f"{table.done} rows, {table.refused} refused by name, {table.bad} bad (limit {LIMIT:g})")
    raise SystemExit(1 if table.bad else 0)


if __name__ == "__main__":
    main()
