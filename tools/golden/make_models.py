"""Writes tests/golden/models: tiny checkpoints of every family as transformers saves them, with what transformers computes.

Usage: python tools/golden/make_models.py [folder ...]
"""

import json
import shutil
import sys
import warnings

import common
from common import GOLDEN, VERSIONS, relative, write_json

import numpy as np
import torch
from safetensors.numpy import save_file as save_numpy
from safetensors.torch import load_file, save_file
from transformers.utils.logging import disable_progress_bar

import model_edits
import model_table

warnings.filterwarnings("ignore")
disable_progress_bar()
OUT = GOLDEN / "models"
KEPT_LONG = 8


def randomized(model, seed):
    """Every parameter drawn in a fixed order: matrices wide enough that attention is far from uniform, norms around 1."""
    generator = torch.Generator().manual_seed(seed)
    gemma = "Gemma" in type(model).__name__
    with torch.no_grad():
        for name, parameter in sorted(model.named_parameters(remove_duplicate=True)):
            noise = torch.randn(parameter.shape, generator=generator)
            if parameter.dim() > 1:
                table = any(part in name for part in ("embed", "wte", "wpe", "shared"))
                parameter.copy_(noise * (0.6 if table else 0.28))
            elif "norm" in name.lower() or "ln_" in name:
                centre = 0.0 if name.endswith("bias") or gemma else 1.0
                parameter.copy_(centre + 0.3 * noise)
            else:
                parameter.copy_(0.3 * noise)
    return model.eval()


def seed_of(name):
    return sum((i + 1) * ord(letter) for i, letter in enumerate(name)) % 100003


def fresh(entry, folder, dtype=torch.float32):
    """The reference: what transformers makes of the folder."""
    model, report = entry.get("loader", entry["model"]).from_pretrained(
        str(folder), dtype=dtype, attn_implementation="eager", output_loading_info=True, **entry.get("arguments", {})
    )
    if report["missing_keys"]:
        raise SystemExit(f"{folder.name}: transformers misses {sorted(report['missing_keys'])}")
    if report["mismatched_keys"]:
        raise SystemExit(f"{folder.name}: mismatched {report['mismatched_keys']}")
    return model.eval()


def ids_of(name, length, vocab):
    generator = torch.Generator().manual_seed(seed_of(name) + 7919 * length)
    return torch.randint(3, vocab, (length,), generator=generator).tolist()


def kept_positions(length):
    """All of a short sequence; of a long one the first, some in between and the last."""
    if length <= 25:
        return list(range(length))
    return sorted({round(i * (length - 1) / (KEPT_LONG - 1)) for i in range(KEPT_LONG)} | {length - 2})


def shifted_loss(logits, ids):
    """Summed cross entropy in nats of every id but the first, float64."""
    if len(ids) < 2:
        return 0.0
    logs = torch.log_softmax(logits.double()[:-1], -1)
    return float(-logs.gather(1, torch.tensor(ids[1:])[:, None]).sum())


class Causal:
    kind = "causal"

    def __init__(self, entry):
        self.lengths = [1, 5, 17, entry.get("long", 60)] + entry.get("lengths", [])

    def cases(self, name, vocab):
        return [{"name": f"t{length}", "ids": ids_of(name, length, vocab)} for length in sorted(self.lengths)]

    def compute(self, model, case):
        logits = model(torch.tensor([case["ids"]]), use_cache=False).logits[0]
        return {"logits": logits}

    def describe(self, case, values):
        length = len(case["ids"])
        case["positions"] = kept_positions(length)
        case["loss_sum"] = shifted_loss(values["logits"], case["ids"])
        case["loss_mean"] = case["loss_sum"] / (length - 1) if length > 1 else None
        return {"logits": values["logits"][case["positions"]]}

    def padded(self, entry, model, cases, side):
        """Largest relative difference of a padded batch's logits from the unpadded ones."""
        chosen = [case for case in cases if len(case["ids"]) in (5, 17)]
        width, pad = 17, model.config.get_text_config().pad_token_id or 0
        rows, mask = [], []
        for case in chosen:
            gap = width - len(case["ids"])
            fill, zeros, ones = [pad] * gap, [0] * gap, [1] * len(case["ids"])
            rows.append(case["ids"] + fill if side == "right" else fill + case["ids"])
            mask.append(ones + zeros if side == "right" else zeros + ones)
        mask = torch.tensor(mask)
        positions = (mask.cumsum(-1) - 1).masked_fill(mask == 0, 0)
        more = {} if entry["family"] == "bloom" else {"position_ids": positions}
        got = model(torch.tensor(rows), attention_mask=mask, use_cache=False, **more).logits
        worst = 0.0
        for row, case in enumerate(chosen):
            alone = self.compute(model, case)["logits"]
            worst = max(worst, relative(got[row][mask[row] == 1].numpy(), alone.numpy()))
        return worst


class Seq2Seq(Causal):
    kind = "seq2seq"

    def cases(self, name, vocab):
        lengths = [(1, 1), (5, 4), (17, 9), (45, 30)]
        out = []
        for source, target in lengths:
            out.append(
                {
                    "name": f"t{source}",
                    "ids": ids_of(name, source - 1, vocab) + [1],
                    "labels": ids_of(name + "+", target - 1, vocab) + [1],
                }
            )
            out[-1]["decoder_ids"] = [0] + out[-1]["labels"][:-1]
        return out

    def compute(self, model, case):
        out = model(torch.tensor([case["ids"]]), decoder_input_ids=torch.tensor([case["decoder_ids"]]), use_cache=False)
        return {"logits": out.logits[0], "encoder": out.encoder_last_hidden_state[0]}

    def describe(self, case, values):
        logs = torch.log_softmax(values["logits"].double(), -1)
        loss = float(-logs.gather(1, torch.tensor(case["labels"])[:, None]).sum())
        case["loss_sum"], case["loss_mean"] = loss, loss / len(case["labels"])
        case["positions"] = kept_positions(len(case["labels"]))
        case["encoder_positions"] = kept_positions(len(case["ids"]))
        return {
            "logits": values["logits"][case["positions"]],
            "encoder": values["encoder"][case["encoder_positions"]],
        }

    def padded(self, entry, model, cases, side):
        short, long = cases[1], cases[2]
        gap, tail = 17 - 5, 9 - 4
        fill = [0] * gap
        rows = [short["ids"] + fill if side == "right" else fill + short["ids"], long["ids"]]
        mask = torch.ones(2, 17, dtype=torch.long)
        mask[0, 5:] = 0
        if side == "left":
            mask[0] = mask[0].flip(0)
        decoder = torch.tensor([short["decoder_ids"] + [0] * tail, long["decoder_ids"]])
        got = model(torch.tensor(rows), attention_mask=mask, decoder_input_ids=decoder, use_cache=False).logits
        pairs = ((got[0][:4], short), (got[1], long))
        return max(relative(part.numpy(), self.compute(model, case)["logits"].numpy()) for part, case in pairs)


class Encoder(Causal):
    kind = "encoder"

    def compute(self, model, case, **more):
        ids = torch.tensor([case["ids"]])
        if "token_types" in case:
            more["token_type_ids"] = torch.tensor([case["token_types"]])
        return self.parts(model, ids, **more)

    @staticmethod
    def parts(model, ids, row=0, keep=None, **more):
        base = model.base_model
        states = base(ids, **more)
        hidden = states[0][row]
        hidden = hidden if keep is None else hidden[keep]
        mean = hidden.mean(0)
        out = {"hidden": hidden, "embedding": mean / mean.norm()}
        if getattr(states, "pooler_output", None) is not None:
            out["pooled"] = states.pooler_output[row]
        if base is not model:
            out["logits"] = model(ids, **more).logits[row]
        return out

    def cases(self, name, vocab):
        cases = super().cases(name, vocab)
        if name.startswith("bert"):
            types = [0] * 8 + [1] * 9
            cases.append({"name": "pair", "ids": ids_of(name + "pair", 17, vocab), "token_types": types})
        return cases

    def describe(self, case, values):
        case["positions"] = kept_positions(len(case["ids"]))
        if "logits" in values:
            case["losses"] = (-torch.log_softmax(values["logits"].double(), -1)).tolist()
        return {**values, "hidden": values["hidden"][case["positions"]]}

    def padded(self, entry, model, cases, side):
        case = cases[1]
        count, gap = len(case["ids"]), 12
        pad = model.config.pad_token_id
        ids, mask = case["ids"] + [pad] * gap, [1] * count + [0] * gap
        if side == "left":
            ids, mask = [pad] * gap + case["ids"], mask[::-1]
        mask = torch.tensor([mask, [1] * len(ids)])
        more = {"attention_mask": mask}
        if side == "left":
            positions = (mask.cumsum(-1) - 1).clamp(min=0)
            # RoBERTa makes the same positions from the ids.
            more |= {} if entry["family"] == "roberta" else {"position_ids": positions}
        full = torch.tensor([ids, ids_of("other", len(ids), 60)])
        alone = self.compute(model, case)
        got = self.parts(model, full, keep=mask[0] == 1, **more)
        # Position 0 of a left-padded row is a pad: heads and poolers that read it mean nothing there.
        parts = ("hidden", "embedding") if side == "left" else alone
        return max(relative(got[part].numpy(), alone[part].numpy()) for part in parts)


KINDS = {"Model": Encoder, "ForSequenceClassification": Encoder, "ForConditionalGeneration": Seq2Seq}


def kind_of(entry):
    name = entry["model"].__name__
    for ending, kind in KINDS.items():
        if name.endswith("LMHeadModel"):
            break
        if name.endswith(ending):
            return kind(entry)
    return Causal(entry)


def greedy(model, kind, vocab, name):
    """Two prompts continued greedily without a cache; only prompts whose choices are clear by a margin."""
    out = []
    for attempt in range(40):
        prompt = ids_of(f"{name} prompt {attempt}", 3 + 5 * len(out), vocab)
        prompt = prompt + [1] if kind.kind == "seq2seq" else prompt
        got = model.generate(
            torch.tensor([prompt]),
            attention_mask=torch.ones(1, len(prompt), dtype=torch.long),
            max_new_tokens=20,
            do_sample=False,
            num_beams=1,
            use_cache=False,
            return_dict_in_generate=True,
            output_logits=True,
        )
        top = torch.stack([step[0].topk(2).values for step in got.logits])
        margin = float((top[:, 0] - top[:, 1]).min())
        new = got.sequences[0].tolist()[-len(got.logits) :]
        if margin < 0.01 or (len(new) < 3):
            continue
        cached = cached_ids(model, prompt, len(new))
        out.append({"prompt": prompt, "ids": new, "margin": margin, "cached_agrees": cached and cached == new})
        if len(out) == 2:
            return out
    raise SystemExit(f"{name}: no prompt with clear choices")


def cached_ids(model, prompt, count):
    """The same with the cache, or None: transformers sizes T5's cache by the encoder's layers."""
    layers = getattr(model.config, "num_decoder_layers", None)
    if layers and layers != model.config.num_layers:
        return None
    got = model.generate(
        torch.tensor([prompt]),
        attention_mask=torch.ones(1, len(prompt), dtype=torch.long),
        max_new_tokens=20,
        do_sample=False,
        num_beams=1,
    )
    return got[0].tolist()[-count:]


def without_effect(entry, name):
    """Parameters that cannot matter: a bias on keys shifts all scores of a query alike where nothing is rotated."""
    if entry["family"] in ("bert", "roberta", "distilbert", "opt") and name.endswith(
        (".key.bias", ".k_proj.bias", ".k_lin.bias")
    ):
        return True
    return "vision" in name or "projector" in name


def check_every_parameter(entry, folder, kind, cases):
    """Each tensor, moved, must move something that is stored."""
    model = fresh(entry, folder)
    chosen = cases[-2:]
    before = [kind.compute(model, case) for case in chosen]
    for name, parameter in model.named_parameters():
        if without_effect(entry, name):
            continue
        kept = parameter.clone()
        parameter += 0.1 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(3))
        after = [kind.compute(model, case) for case in chosen]
        moved = max(relative(b[part].numpy(), a[part].numpy()) for a, b in zip(before, after) for part in a)
        parameter.copy_(kept)
        if moved < 1e-3:
            raise SystemExit(f"{folder.name}: {name} does not matter ({moved})")


def stateful(model):
    """Ropes that depend on the longest sequence of a batch."""
    parameters = getattr(model.config, "rope_parameters", None) or {}
    return parameters.get("rope_type") in ("dynamic", "longrope")


def golden_of(entry, folder):
    kind = kind_of(entry)
    model = fresh(entry, folder)
    vocab = model.config.get_text_config().vocab_size
    cases = kind.cases(entry.get("same_as") or entry["name"], vocab)
    tensors, difference = {}, 0.0
    single = stateful(model) or getattr(model.config, "reorder_and_upcast_attn", False)
    wide = None if single else fresh(entry, folder, torch.float64)
    half = fresh(entry, folder, entry["dtype"]) if "dtype" in entry else None
    for case in cases:
        # A fresh model: dynamic ropes remember the longest sequence seen.
        values = kind.compute(fresh(entry, folder) if stateful(model) else model, case)
        if wide is not None:
            exact = kind.compute(wide, case)
            difference = max([difference] + [relative(values[p].numpy(), exact[p].numpy()) for p in values])
        for part, value in kind.describe(case, values).items():
            tensors[f"{part}/{case['name']}"] = value.float().numpy()
        if half is not None:
            rounded = kind.compute(half, case)
            case["stored_dtype_difference"] = {
                p: relative(rounded[p].float().numpy(), values[p].numpy()) for p in values
            }
    golden = {"kind": kind.kind, "cases": cases, "float64_difference": difference if wide is not None else None}
    golden["padding"] = padding(entry, folder, kind, cases)
    if kind.kind != "encoder":
        golden["greedy"] = greedy(fresh(entry, folder), kind, vocab, entry.get("same_as") or entry["name"])
    check_every_parameter(entry, folder, kind, cases)
    return golden, tensors


def padding(entry, folder, kind, cases):
    out = {}
    for side in ("right", "left"):
        worst = kind.padded(entry, fresh(entry, folder), cases, side)
        if worst > 2e-5:
            print(f"  {entry['name']}: {side}-padded batch differs from single examples by {worst:.1e}")
        out[side] = worst
    return out


def write_checkpoint(entry, folder):
    shutil.rmtree(folder, ignore_errors=True)
    source = entry.get("same_as") or entry["name"]
    model = randomized(entry["model"](entry["config"]), seed_of(source))
    model = model.to(entry.get("dtype", torch.float32))
    model.save_pretrained(str(folder), max_shard_size="26KB" if entry.get("shards") else "1GB")
    model_edits.apply(entry, folder, model)


def make(entry):
    folder = OUT / entry["name"]
    write_checkpoint(entry, folder)
    golden, tensors = golden_of(entry, folder)
    made = ", ".join(f"{name} {version}" for name, version in VERSIONS.items())
    write_json(folder / "golden.json", {"made_by": made, "family": entry["family"], "what": entry["what"], **golden})
    note = f"{made}: eager attention, no cache, one unpadded sequence at a time, float32"
    data = {name: np.ascontiguousarray(value) for name, value in sorted(tensors.items())}
    save_numpy(data, str(folder / "golden.safetensors"), metadata={"made_by": note})
    if entry.get("same_as"):
        compare_with(entry, folder, tensors)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    for file in folder.iterdir():
        file.chmod(0o644)
    size = sum(file.stat().st_size for file in folder.iterdir())
    print(f"{entry['name']:24} {size // 1024:4} KB  f64 {golden['float64_difference'] or -1:.1e}", flush=True)
    return {
        "folder": entry["name"],
        "family": entry["family"],
        "model_type": config["model_type"],
        "kind": golden["kind"],
        "class": entry.get("loader", entry["model"]).__name__,
        "layout": entry.get("layout", "new"),
        "same_as": entry.get("same_as"),
        "what": entry["what"],
    }


def compare_with(entry, folder, tensors):
    """Folders that hold the same model in another way must give the same numbers."""
    other = load_file(OUT / entry["same_as"] / "golden.safetensors")
    for name, value in tensors.items():
        if name in other and not relative(value, other[name].numpy()) < 3e-6:
            raise SystemExit(f"{folder.name}: {name} differs from {entry['same_as']}")


@torch.no_grad()
def main():
    common.check_versions()
    only = sys.argv[1:]
    OUT.mkdir(parents=True, exist_ok=True)
    old = json.loads((OUT / "index.json").read_text(encoding="utf-8"))["models"] if only else []
    listed = {entry["folder"]: entry for entry in old}
    for entry in model_table.entries():
        if not only or entry["name"] in only:
            listed[entry["name"]] = make(entry)
    if not only:
        for folder in OUT.iterdir():
            if folder.is_dir() and folder.name not in listed:
                shutil.rmtree(folder)
    order = [entry["name"] for entry in model_table.entries()]
    models = [listed[name] for name in order if name in listed]
    write_json(OUT / "index.json", {"versions": VERSIONS, "models": models})


if __name__ == "__main__":
    main()
