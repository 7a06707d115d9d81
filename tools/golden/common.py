"""Shared by the golden scripts: versions, float64 meaning of a saved adapter, files that do not depend on the time."""

import json
import math
import os
import re
import sys
from pathlib import Path

# PEFT writes Python sets as lists in hash order; a fixed hash seed makes the files reproducible.
if os.environ.get("PYTHONHASHSEED") != "0":
    os.environ["PYTHONHASHSEED"] = "0"
    os.execv(sys.executable, [sys.executable] + sys.argv)
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")

import numpy as np  # noqa: E402
import peft  # noqa: E402
import torch  # noqa: E402
import transformers  # noqa: E402
from safetensors.numpy import save_file as save_numpy  # noqa: E402
from safetensors.torch import load_file  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "tests" / "golden"
VERSIONS = {
    "peft": peft.__version__,
    "torch": torch.__version__.split("+")[0],
    "transformers": transformers.__version__,
    "numpy": np.__version__,
}
PREFIX = "base_model.model."


def check_versions():
    wanted = {"peft": "0.21.2", "torch": "2.13.0", "transformers": "5.23.0"}
    for name, version in wanted.items():
        if VERSIONS[name] != version:
            raise SystemExit(f"golden files are made with {name} {version}, found {VERSIONS[name]}")
    torch.set_num_threads(1)
    torch.manual_seed(0)


def write_json(path, value):
    path.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def write_tensors(path, tensors, note):
    data = {name: np.ascontiguousarray(np.asarray(value, dtype=np.float64)) for name, value in sorted(tensors.items())}
    # One key only: safetensors writes metadata in random order.
    versions = ", ".join(f"{name} {version}" for name, version in VERSIONS.items())
    save_numpy(data, str(path), metadata={"made_by": f"{versions}: {note}"})


def stored(folder):
    """Config and tensors (float64 numpy) of an adapter folder."""
    folder = Path(folder)
    config = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
    file = folder / "adapter_model.safetensors"
    tensors = load_file(file) if file.exists() else torch.load(folder / "adapter_model.bin", weights_only=True)
    return config, {name: tensor.double().numpy() for name, tensor in tensors.items()}


def first_match(patterns, module, default):
    for pattern, value in (patterns or {}).items():
        if re.match(rf"(.*\.)?({pattern})$", module):
            return value
    return default


def scale_of(config, module):
    rank = first_match(config.get("rank_pattern"), module, config["r"])
    alpha = first_match(config.get("alpha_pattern"), module, config["lora_alpha"])
    return alpha / (math.sqrt(rank) if config.get("use_rslora") else rank), rank


def block_diagonal(weight, blocks):
    parts = np.split(weight, blocks, axis=0)
    out = np.zeros((weight.shape[0], weight.shape[1] * blocks))
    for i, part in enumerate(parts):
        rows, columns = part.shape
        out[i * rows : (i + 1) * rows, i * columns : (i + 1) * columns] = part
    return out


def factors(config, tensors, module):
    """(s, B [out, r], A [r, in], groups): the ordinary factors of one module, variants expanded."""
    scale, rank = scale_of(config, module)
    key = PREFIX + module
    if key + ".lora_embedding_A" in tensors:
        return scale, tensors[key + ".lora_embedding_B"], tensors[key + ".lora_embedding_A"], 1
    a, b = tensors[key + ".lora_A.weight"], tensors[key + ".lora_B.weight"]
    assert a.shape[0] == rank, (module, a.shape, rank)
    groups = 1
    if a.ndim > 2:
        groups = rank // b.shape[1]
        a, b = a.reshape(rank, -1), b.reshape(b.shape[0], -1)
    blocks = config.get("use_bdlora")
    if blocks:
        if any(part in module for part in blocks["target_modules_bd_a"] or []):
            a = block_diagonal(a, blocks["nblocks"])
        if any(part in module for part in blocks["target_modules_bd_b"] or []):
            b = block_diagonal(b, blocks["nblocks"])
    if config.get("use_qalora"):
        size = config["qalora_group_size"]
        a = np.repeat(a, size, axis=1) / size * a.shape[1]
    if key + ".lora_diag" in tensors:
        b = b * tensors[key + ".lora_diag"]
    return scale, b, a, groups


def delta(config, tensors, module):
    """s * B * A [out, in]; a grouped convolution has one block of rank rows per group of output rows."""
    scale, b, a, groups = factors(config, tensors, module)
    if groups == 1:
        return scale * (b @ a)
    rows, rank = b.shape[0] // groups, a.shape[0] // groups
    return scale * np.concatenate([b[g * rows : (g + 1) * rows] @ a[g * rank : (g + 1) * rank] for g in range(groups)])


def lora_modules(tensors):
    found = []
    for key in tensors:
        match = re.fullmatch(re.escape(PREFIX) + r"(.*)\.(lora_A\.weight|lora_embedding_A)", key)
        if match:
            found.append(match.group(1))
    return sorted(found)


def relative(a, b):
    """Largest relative Frobenius difference of a from b."""
    norm = np.linalg.norm(b)
    return float(np.linalg.norm(np.asarray(a) - b) / (norm if norm > 0 else 1.0))
