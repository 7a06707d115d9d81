"""Writes tests/golden/training: ten AdamW updates of adapters and weights by PEFT and torch.

Usage: python tools/golden/make_training.py [folder ...]
"""

import copy
import json
import math
import shutil
import sys
import warnings

import common
from common import GOLDEN, VERSIONS, write_json

import make_adapters
import make_models
import model_table
import torch
import training_table as table
from peft import PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
from transformers.utils.logging import disable_progress_bar

warnings.filterwarnings("ignore")
disable_progress_bar()
OUT = GOLDEN / "training"
MODELS = {entry["name"]: entry for entry in model_table.entries()}
STEPS, WARMUP, FINAL, DECAY, BETAS, EPSILON, TEMPERATURE = 10, 2, 0.1, 0.01, (0.9, 0.999), 1e-8, 0.05
SPECIALS = {
    "causal": (["<pad>", "<s>", "</s>", "<unk>"], "<s> $A"),
    "encoder": (["<pad>", "<cls>", "<sep>", "<unk>"], "<cls> $A <sep>"),
    "seq2seq": (["<pad>", "</s>", "<unk>"], "$A </s>"),
}


def words():
    texts = [text for pair in table.COMPLETIONS for text in pair] + table.TEXTS
    texts += [text for text, _ in table.LABELLED] + [label.replace("_", " ") for _, label in table.LABELLED]
    return sorted({word for text in texts for word in text.split()})


def tokenizer_of(kind):
    """One word, one id: the models are too small for more."""
    specials, template = SPECIALS[kind]
    vocabulary = {token: index for index, token in enumerate(specials + words())}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="<unk>"))
    tokenizer.add_special_tokens(specials)
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.post_processor = processors.TemplateProcessing(
        single=template, special_tokens=[(token, index) for index, token in enumerate(specials)]
    )
    return tokenizer


def records_of(entry):
    if entry["data"] == "completion":
        return [{"prompt": prompt, "completion": completion} for prompt, completion in table.COMPLETIONS]
    if entry["data"] == "text":
        return [{"text": text} for text in table.TEXTS]
    if entry["data"] == "similarity":
        return [{"text": text, "label": label} for text, label in table.LABELLED]
    return [{"text": text, "label": table.CLASSES[i % 3]} for i, (text, _) in enumerate(table.LABELLED)]


def completion_loss(model, record, encode, end):
    prompt = encode(record["prompt"], True)
    ids = prompt + encode(record["completion"], False) + [end]
    logits = model(input_ids=torch.tensor([ids]), use_cache=False).logits[0]
    targets = torch.tensor(ids[len(prompt) :])
    return torch.nn.functional.cross_entropy(logits[len(prompt) - 1 : -1], targets, reduction="sum"), len(targets)


def text_loss(model, record, encode):
    ids = torch.tensor(encode(record["text"], True))
    logits = model(input_ids=ids[None], use_cache=False).logits[0]
    return torch.nn.functional.cross_entropy(logits[:-1], ids[1:], reduction="sum"), len(ids) - 1


def seq2seq_loss(model, record, encode):
    labels = torch.tensor(encode(record["completion"], True))
    shifted = torch.cat([torch.tensor([model.config.decoder_start_token_id]), labels[:-1]])
    inputs = torch.tensor([encode(record["prompt"], True)])
    logits = model(input_ids=inputs, decoder_input_ids=shifted[None], use_cache=False).logits[0]
    return torch.nn.functional.cross_entropy(logits, labels, reduction="sum"), len(labels)


def embedding(model, text, encode):
    states = model(input_ids=torch.tensor([encode(text, True)])).last_hidden_state[0]
    return torch.nn.functional.normalize(states.mean(0), dim=0)


def similarity_loss(model, records, encode):
    labels = list(dict.fromkeys(record["label"] for record in records))
    of_labels = torch.stack([embedding(model, label.replace("_", " "), encode) for label in labels])
    of_texts = torch.stack([embedding(model, record["text"], encode) for record in records])
    targets = torch.tensor([labels.index(record["label"]) for record in records])
    logits = of_texts @ of_labels.T / TEMPERATURE
    return torch.nn.functional.cross_entropy(logits, targets, reduction="sum"), len(records)


def label_loss(model, record, encode):
    logits = model(input_ids=torch.tensor([encode(record["text"], True)])).logits
    target = torch.tensor([table.CLASSES.index(record["label"])])
    return torch.nn.functional.cross_entropy(logits, target, reduction="sum"), 1


def batch_loss(entry, model, records, encode):
    """Summed loss in nats of a batch, and how much was scored; one unpadded example at a time."""
    if entry["data"] == "similarity":
        return similarity_loss(model, records, encode)
    if entry["data"] == "label":
        parts = [label_loss(model, record, encode) for record in records]
    elif entry["data"] == "text":
        parts = [text_loss(model, record, encode) for record in records]
    elif model.config.is_encoder_decoder:
        parts = [seq2seq_loss(model, record, encode) for record in records]
    else:
        parts = [completion_loss(model, record, encode, model.config.eos_token_id) for record in records]
    return sum(loss for loss, _ in parts), sum(count for _, count in parts)


def rate_of(entry, update):
    """Of update 0, 1, …: a straight line to the full rate at update WARMUP - 1, then half a cosine that would reach FINAL of it
    at update STEPS."""
    if update < WARMUP:
        return entry["rate"] * (update + 1) / WARMUP
    progress = (update - WARMUP) / (STEPS - WARMUP)
    return entry["rate"] * (FINAL + (1 - FINAL) * 0.5 * (1 + math.cos(math.pi * progress)))


def train(entry, model, records, encode):
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1.0, betas=BETAS, eps=EPSILON, weight_decay=DECAY)
    size = len(records) // entry["accumulate"]
    curve = []
    for update in range(STEPS):
        optimizer.param_groups[0]["lr"] = rate_of(entry, update)
        optimizer.zero_grad()
        total, scored = 0.0, 0
        for first in range(0, len(records), size):
            loss, count = batch_loss(entry, model, records[first : first + size], encode)
            loss.backward()
            total, scored = total + loss.item(), scored + count
        for parameter in trained:
            if parameter.grad is not None:
                parameter.grad /= scored
        norm = torch.nn.utils.clip_grad_norm_(trained, entry["clip"] or math.inf).item()
        optimizer.step()
        curve.append({"loss": total / scored, "rate": rate_of(entry, update), "norm": norm, "scored": scored})
    return curve


def randomize(model, seed):
    """As somewhere in a training: no tensor of the adapter is zero."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in sorted(model.named_parameters()):
            if not parameter.requires_grad:
                continue
            noise = torch.randn(parameter.shape, generator=generator)
            if "lora_magnitude_vector" in name:
                parameter.mul_(1 + 0.1 * noise.abs())
            else:
                parameter.add_((0.2 if ".lora_" in name else 0.1) * noise)


def started(entry, folder, dtype):
    """What is trained, as it is before the first update."""
    base = make_models.fresh(MODELS[entry["base"]], GOLDEN / "models" / entry["base"])
    if entry["config"] is None:
        return base.requires_grad_(True).to(dtype)
    base.name_or_path = entry["base"]
    if not folder.joinpath("start").exists():
        torch.manual_seed(1)
        config = copy.deepcopy(entry["config"])
        config.base_model_name_or_path = entry["base"]
        model = get_peft_model(base, config)
        if not entry["zero_b"]:
            randomize(model, make_models.seed_of(entry["name"]))
        make_adapters.save(model, folder / "start")
        return started(entry, folder, dtype)
    return PeftModel.from_pretrained(base, str(folder / "start"), is_trainable=True).to(dtype).eval()


def tensors_of(entry, model, folder):
    if entry["config"] is None:
        return {name: parameter.detach().clone() for name, parameter in sorted(model.named_parameters())}
    make_adapters.save(model, folder / "end")
    tensors = load_file(folder / "end" / "adapter_model.safetensors")
    shutil.rmtree(folder / "end")
    return {name: tensors[name] for name in sorted(tensors)}


def options_of(entry, records):
    config = entry["config"]
    out = {
        "steps": STEPS,
        "batch": len(records) // entry["accumulate"],
        "accumulate": entry["accumulate"],
        "learning_rate": entry["rate"],
        "weight_decay": DECAY,
        "beta1": BETAS[0],
        "beta2": BETAS[1],
        "epsilon": EPSILON,
        "clip": entry["clip"],
        "warmup": WARMUP,
        "schedule": "cosine",
        "final_rate": FINAL,
        "temperature": TEMPERATURE,
        "all_weights": config is None,
    }
    if config is not None:
        lora = {"rank": config.r, "alpha": config.lora_alpha, "targets": sorted(config.target_modules)}
        out["lora"] = lora | {"rslora": config.use_rslora, "dora": config.use_dora, "bias": config.bias}
    return out


def difference(a, b):
    return float((a.double() - b.double()).norm() / max(b.double().norm().item(), 1e-30))


def make(entry):
    folder = OUT / entry["name"]
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    kind = make_models.kind_of(MODELS[entry["base"]]).kind
    tokenizer = tokenizer_of(kind)
    records = records_of(entry)
    text = "".join(json.dumps(record) + "\n" for record in records)
    (folder / "examples.jsonl").write_text(text, encoding="utf-8")

    def encode(text, special):
        return tokenizer.encode(text, add_special_tokens=special).ids

    model = started(entry, folder, torch.float32)
    before = tensors_of(entry, model, folder)
    curve = train(entry, model, records, encode)
    after = tensors_of(entry, model, folder)
    exact = started(entry, folder, torch.float64)
    reference = train(entry, exact, records, encode)
    wanted = tensors_of(entry, exact, folder)
    # A gradient that is zero but for rounding moves a parameter by the sign of the rounding: nothing to compare.
    noisy = [name for name in after if difference(after[name], wanted[name]) > 1e-3]
    still = [name for name in after if torch.equal(after[name], before[name])]
    if still:
        raise SystemExit(f"{entry['name']}: {still} did not move")
    worst = max(abs(a["loss"] / b["loss"] - 1) for a, b in zip(curve, reference))
    norms = max(abs(a["norm"] / b["norm"] - 1) for a, b in zip(curve, reference))
    made = ", ".join(f"{name} {version}" for name, version in VERSIONS.items())
    save_file(after, str(folder / "end.safetensors"), metadata={"made_by": made})
    golden = {
        "made_by": made,
        "base": entry["base"],
        "what": entry["what"],
        "kind": kind,
        "data": entry["data"],
        "tokenizer": kind,
        "options": options_of(entry, records),
        "float64_difference": {"loss": worst, "norm": norms},
        "noisy": noisy,
        "curve": curve,
    }
    write_json(folder / "golden.json", golden)
    for file in folder.rglob("*"):
        file.chmod(0o644 if file.is_file() else 0o755)
    size = sum(file.stat().st_size for file in folder.rglob("*"))
    print(
        f"{entry['name']:24} {size // 1024:4} KB  loss {curve[0]['loss']:.4f} -> {curve[-1]['loss']:.4f}"
        f"  float64 {worst:.1e} {norms:.1e}  noisy {noisy}",
        flush=True,
    )
    return {"folder": entry["name"], **{key: golden[key] for key in ("base", "kind", "data", "what")}}


def main():
    common.check_versions()
    only = sys.argv[1:]
    OUT.mkdir(parents=True, exist_ok=True)
    for kind in SPECIALS:
        (OUT / "tokenizers" / kind).mkdir(parents=True, exist_ok=True)
        tokenizer_of(kind).save(str(OUT / "tokenizers" / kind / "tokenizer.json"))
    old = json.loads((OUT / "index.json").read_text(encoding="utf-8"))["training"] if only else []
    listed = {entry["folder"]: entry for entry in old}
    for entry in table.entries():
        if not only or entry["name"] in only:
            listed[entry["name"]] = make(entry)
    order = [entry["name"] for entry in table.entries()]
    write_json(OUT / "index.json", {"versions": VERSIONS, "training": [listed[n] for n in order if n in listed]})


if __name__ == "__main__":
    main()
