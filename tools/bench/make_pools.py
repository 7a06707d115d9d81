"""Makes pools of generated adapters: normal factors, always the same for one description. Run by tools/bench/merge.

make_pools.py ROOT POOL...   POOL is JSON: {"name", "shapes": [[out, in], ...], "adapters", "rank"}
"""

import hashlib
import json
import shutil
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file

torch.set_num_threads(1)


def module_names(count):
    return [f"model.layers.{i}.proj" for i in range(count)]


def config(rank):
    return {
        "peft_type": "LORA",
        "task_type": None,
        "base_model_name_or_path": "generated",
        "r": rank,
        "lora_alpha": rank,
        "lora_dropout": 0.0,
        "target_modules": ["proj"],
        "bias": "none",
        "fan_in_fan_out": False,
        "inference_mode": True,
    }


def make_adapter(folder, pool, index):
    seed = hashlib.sha256(f"{json.dumps(pool, sort_keys=True)}/{index}".encode()).digest()[:8]
    random = torch.Generator().manual_seed(int.from_bytes(seed, "little") >> 1)
    rank, tensors = pool["rank"], {}
    for name, (out, into) in zip(module_names(len(pool["shapes"])), pool["shapes"]):
        key = f"base_model.model.{name}"
        tensors[f"{key}.lora_A.weight"] = torch.randn(rank, into, generator=random) * into**-0.5
        tensors[f"{key}.lora_B.weight"] = torch.randn(out, rank, generator=random) * 0.02
    folder.mkdir(parents=True)
    (folder / "adapter_config.json").write_text(json.dumps(config(rank), indent=2) + "\n")
    save_file(tensors, str(folder / "adapter_model.safetensors"))


def make_pool(root, pool):
    done = root / pool["name"] / "pool.json"
    text = json.dumps(pool, sort_keys=True) + "\n"
    if done.is_file() and done.read_text() == text:
        return
    shutil.rmtree(done.parent, ignore_errors=True)
    for index in range(pool["adapters"]):
        make_adapter(done.parent / f"a{index:04d}", pool, index)
    done.write_text(text)


if __name__ == "__main__":
    for description in sys.argv[2:]:
        make_pool(Path(sys.argv[1]), json.loads(description))
