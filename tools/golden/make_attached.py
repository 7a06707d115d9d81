"""Writes tests/golden/attached: adapters on the models of tests/golden/models, and what PEFT computes with them.

Usage: python tools/golden/make_attached.py [folder ...]
"""

import json
import shutil
import sys
import warnings

import common
from common import GOLDEN, VERSIONS, relative, write_json

import attached_table
import make_adapters
import make_models
import model_table
import numpy as np
import torch
from peft import PeftModel, get_peft_model
from peft.tuners.lora import LoraLayer
from safetensors.numpy import save_file as save_numpy
from safetensors.torch import load_file
from transformers.utils.logging import disable_progress_bar

warnings.filterwarnings("ignore")
disable_progress_bar()
OUT = GOLDEN / "attached"
MODELS = {entry["name"]: entry for entry in model_table.entries()}
CHOSEN = ("t5", "t17")


def base_of(entry):
    model = make_models.fresh(MODELS[entry["base"]], GOLDEN / "models" / entry["base"])
    model.name_or_path = entry["base"]
    return model


def randomize(model, entry, seed):
    """As after a training: small pairs, moved biases, heads and magnitudes."""
    generator = torch.Generator().manual_seed(seed)
    scale = 0.05 if entry.get("near") else 0.25
    for name, parameter in sorted(model.named_parameters()):
        noise = torch.randn(parameter.shape, generator=generator)
        if "monteclora" in name or "velora" in name:
            continue
        if "lora_magnitude_vector" in name:
            parameter.copy_(parameter * (1 + 0.3 * noise.abs()))
        elif ".lora_" in name:
            parameter.copy_(parameter + scale * noise if entry.get("near") else scale * noise)
        elif parameter.requires_grad:
            parameter.add_(0.2 * noise)


def save_adapters(entry, folder):
    for number, (name, config) in enumerate(entry["adapters"].items()):
        torch.manual_seed(number)
        config.base_model_name_or_path = entry["base"]
        model = get_peft_model(base_of(entry), config)
        randomize(
            model,
            entry,
            make_models.seed_of(entry.get("adapters_of") or entry.get("same_as") or entry["name"]) + number,
        )
        target = folder / name
        make_adapters.save(model, target)
        if "edit" in entry:
            make_adapters.edit(target, **entry["edit"])


def loaded(entry, folder):
    """The adapters as PEFT loads them, in evaluation, those of `active` together."""
    names = list(entry["adapters"])
    model = PeftModel.from_pretrained(base_of(entry), str(folder / names[0]), adapter_name=names[0])
    for name in names[1:]:
        model.load_adapter(str(folder / name), adapter_name=name)
    model.base_model.set_adapter(entry.get("active") or names[0])
    for name, weight in zip(entry.get("active", ()), entry.get("weights", ())):
        set_weight(model, name, weight)
    return model.eval()


def cases_of(entry, kind):
    vocab = (
        make_models.fresh(MODELS[entry["base"]], GOLDEN / "models" / entry["base"]).config.get_text_config().vocab_size
    )
    cases = [case for case in kind.cases(MODELS[entry["base"]].get("same_as") or entry["base"], vocab)]
    cases = [case for case in cases if case["name"] in CHOSEN]
    if "insert" in entry:
        cases[1]["ids"][4:6] = entry["insert"]
        cases[1]["ids"][11:13] = entry["insert"]
    return cases


def stored(kind, values):
    """What is kept of a case: logits where there is a head, else the embedding; encoder states of encoder-decoders."""
    parts = ("logits", "encoder") if kind.kind == "seq2seq" else ("logits",)
    return {part: values[part] for part in parts} if "logits" in values else {"embedding": values["embedding"]}


def row_ids(entry, kind, cases):
    """As many rows as adapters are asked for, all of one length, each its own ids."""
    first = dict(cases[1])
    rows = []
    for number, _ in enumerate(entry["rows"]):
        case = {"name": f"row{number}", "ids": first["ids"][number:] + first["ids"][:number]}
        if kind.kind == "seq2seq":
            case |= {"labels": first["labels"], "decoder_ids": first["decoder_ids"]}
        rows.append(case)
    return rows


def compute_rows(entry, kind, model, rows):
    names = [name or "__base__" for name in entry["rows"]]
    ids = torch.tensor([row["ids"] for row in rows])
    more = {} if kind.kind == "encoder" else {"use_cache": False}
    if kind.kind == "seq2seq":
        more["decoder_input_ids"] = torch.tensor([row["decoder_ids"] for row in rows])
    logits = model(input_ids=ids, adapter_names=names, **more).logits
    return [{"logits": row} for row in logits]


def single_rows(entry, kind, model, rows):
    """The same row by row with one adapter active."""
    out = []
    for name, row in zip(entry["rows"], rows):
        if name is None:
            with model.disable_adapter():
                out.append(compute(kind, model, row))
        else:
            model.base_model.set_adapter(name)
            out.append(compute(kind, model, row))
    return out


def compute(kind, model, case):
    """Through PEFT's own forward: aLoRA finds its invocation tokens there."""
    if kind.kind == "causal":
        return {"logits": model(input_ids=torch.tensor([case["ids"]]), use_cache=False).logits[0]}
    return kind.compute(model.base_model.model, case)


def set_weight(model, name, weight):
    for module in model.modules():
        if isinstance(module, LoraLayer):
            module.set_scale(name, weight)


def fused(entry, folder):
    """The base with each adapter's own update added, in no order: what merging them one by one changes, summed."""
    base = base_of(entry)
    state = {name: value.clone() for name, value in base.state_dict().items()}
    total = {name: value.clone() for name, value in state.items()}
    names = entry.get("active") or list(entry["adapters"])[:1]
    for name, weight in zip(names, entry.get("weights", [1.0] * len(names))):
        model = PeftModel.from_pretrained(base_of(entry), str(folder / name), adapter_name=name)
        set_weight(model, name, weight)
        merged = model.merge_and_unload()
        for key, value in merged.state_dict().items():
            total[key] = total.get(key, 0) + value - state.get(key, 0)
        base = merged if len(names) == 1 else base
    # Under one adapter the merged model itself: biases and untied heads are then in it.
    missing = base.load_state_dict(total, strict=False).unexpected_keys
    if missing:
        raise SystemExit(f"{entry['name']}: {missing} cannot be added")
    return base.eval()


def compare_fused(entry, folder, kind, cases, values, golden, tensors):
    """PEFT's forward against the sum of the updates; where PEFT depends on the order, the sum is stored beside it."""
    if not entry.get("merges", True):
        golden["fused_difference"] = None
        return
    model = fused(entry, folder)
    worst = 0.0
    for case, got in zip(cases, values):
        for part, value in stored(kind, kind.compute(model, case)).items():
            worst = max(worst, relative(value.numpy(), got[part].numpy()))
            if golden["active"][1:]:
                tensors[f"sum/{part}/{case['name']}"] = np.ascontiguousarray(value.numpy())
    golden["fused_difference"] = worst
    if worst < 1e-5:
        for name in [name for name in tensors if name.startswith("sum/")]:
            del tensors[name]
    elif len(golden["active"]) == 1:
        raise SystemExit(f"{entry['name']}: merged differs from the forward by {worst:.1e}")


def check_every_tensor(entry, kind, model, case, values):
    """Each tensor of the active adapters, moved, must move the outputs."""
    active = entry.get("active") or list(entry["adapters"])[:1]
    idle = ("monteclora", "velora")
    for name, parameter in model.named_parameters():
        own = any(f".{adapter}" in name for adapter in active) and not any(part in name for part in idle)
        if not own or make_models.without_effect(MODELS[entry["base"]], name.replace("base_layer.", "")):
            continue
        kept = parameter.clone()
        parameter += 0.3 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(3))
        after = compute(kind, model, case)
        parameter.copy_(kept)
        moved = max(relative(after[part].numpy(), values[part].numpy()) for part in stored(kind, values))
        if moved < 1e-5 and not entry.get("idle"):
            raise SystemExit(f"{entry['name']}: {name} does not matter ({moved:.1e})")


def make(entry):
    folder = OUT / entry["name"]
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    save_adapters(entry, folder)
    kind = make_models.kind_of(MODELS[entry["base"]])
    cases, model = cases_of(entry, kind), loaded(entry, folder)
    golden = {"base": entry["base"], "kind": kind.kind, "what": entry["what"], "adapters": list(entry["adapters"])}
    if "rows" in entry:
        rows = row_ids(entry, kind, cases)
        values = compute_rows(entry, kind, model, rows)
        single = single_rows(entry, kind, model, rows)
        worst = max(relative(a["logits"].numpy(), b["logits"].numpy()) for a, b in zip(values, single))
        golden |= {"rows": entry["rows"], "single_difference": worst}
        cases = rows
        if worst > 1e-5:
            raise SystemExit(f"{entry['name']}: the mixed batch differs from single rows by {worst:.1e}")
    else:
        golden |= {"weights": entry["weights"]} if "weights" in entry else {}
        golden["active"] = entry.get("active") or list(entry["adapters"])[:1]
        values = [compute(kind, model, case) for case in cases]
        check_every_tensor(entry, kind, model, cases[1], values[1])
        before = compute_base(entry, kind, cases[1])
        golden["change"] = max(relative(values[1][p].numpy(), before[p].numpy()) for p in stored(kind, values[1]))
        if golden["change"] < 0.01:
            raise SystemExit(f"{entry['name']}: the adapter changes little")
    tensors = {
        f"{part}/{case['name']}": np.ascontiguousarray(value.numpy())
        for case, got in zip(cases, values)
        for part, value in sorted((stored(kind, got) if "rows" not in entry else got).items())
    }
    if "rows" not in entry:
        compare_fused(entry, folder, kind, cases, values, golden, tensors)
    made = ", ".join(f"{name} {version}" for name, version in VERSIONS.items())
    write_json(folder / "golden.json", {"made_by": made, **golden, "cases": cases})
    save_numpy(tensors, str(folder / "golden.safetensors"), metadata={"made_by": made})
    for file in folder.rglob("*"):
        file.chmod(0o644 if file.is_file() else 0o755)
    if "same_as" in entry:
        compare_with(entry, tensors)
    size = sum(file.stat().st_size for file in folder.rglob("*"))
    print(f"{entry['name']:26} {size // 1024:4} KB  change {golden.get('change', 0):.2f}", flush=True)
    keys = ("base", "kind", "adapters", "active", "weights", "rows", "what")
    return {"folder": entry["name"], **{key: golden[key] for key in keys if key in golden}}


def compare_with(entry, tensors):
    other = load_file(OUT / entry["same_as"] / "golden.safetensors")
    worst = max(relative(value, other[name].numpy()) for name, value in tensors.items())
    if worst > 3e-6:
        raise SystemExit(f"{entry['name']}: differs from {entry['same_as']} by {worst:.1e}")


def compute_base(entry, kind, case):
    return kind.compute(base_of(entry), case)


@torch.no_grad()
def main():
    common.check_versions()
    only = sys.argv[1:]
    OUT.mkdir(parents=True, exist_ok=True)
    old = json.loads((OUT / "index.json").read_text(encoding="utf-8"))["attached"] if only else []
    listed = {entry["folder"]: entry for entry in old}
    for entry in attached_table.entries():
        if not only or entry["name"] in only:
            listed[entry["name"]] = make(entry)
    if not only:
        for folder in OUT.iterdir():
            if folder.is_dir() and folder.name not in listed:
                shutil.rmtree(folder)
    order = [entry["name"] for entry in attached_table.entries()]
    write_json(
        OUT / "index.json", {"versions": VERSIONS, "attached": [listed[name] for name in order if name in listed]}
    )


if __name__ == "__main__":
    main()
