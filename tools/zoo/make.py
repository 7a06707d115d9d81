"""Makes the embedded pool: four small adapters of an imagined base, with the standard library alone.

The numbers are random but plausible (entries of a trained A and B, different ranks and module sets, two relatives), and
come from an integer generator and exact float arithmetic, so every machine writes the same bytes.
"""

import json
import struct
import sys
from pathlib import Path

HIDDEN, INNER, LAYERS = 64, 128, 2
SHAPES = {  # module: (out, in)
    "self_attn.q_proj": (HIDDEN, HIDDEN),
    "self_attn.v_proj": (HIDDEN, HIDDEN),
    "mlp.up_proj": (INNER, HIDDEN),
    "mlp.down_proj": (HIDDEN, INNER),
}
ALL = list(SHAPES)
# name: rank, alpha, seed, modules, (relative, share of it in B)
POOL = {
    "reverse": (8, 16, 11, ALL, None),
    "quote": (4, 8, 22, ALL, None),
    "upper": (6, 12, 33, ALL, None),
    "shout": (6, 6, 44, ALL[:3], ("upper", 0.75)),
}


class Lcg:
    """Knuth's 64-bit linear congruential generator."""

    def __init__(self, seed):
        self.state = seed

    def uniform(self):
        self.state = (self.state * 6364136223846793005 + 1442695040888963407) % 2**64
        return (self.state >> 40) / 2**24

    def normal(self):
        """Nearly normal, mean 0, deviation 1: a sum of twelve uniforms. No function of a math library is involved."""
        return sum(self.uniform() for _ in range(12)) - 6.0


def factors(name):
    """{module path: (A, B)} as flat lists, row by row."""
    rank, _, seed, modules, relative = POOL[name]
    kin = factors(relative[0]) if relative else {}
    made = {}
    for layer in range(LAYERS):
        for index, module in enumerate(modules):
            rng = Lcg(seed * 1000 + layer * 10 + index)
            out, width = SHAPES[module]
            path = f"model.layers.{layer}.{module}"
            a = [rng.normal() * 0.0625 for _ in range(rank * width)]
            # As in trained adapters, a few directions carry most of the update.
            b = [rng.normal() * 0.03125 * 0.5 ** (i % rank) for i in range(out * rank)]
            if path in kin:  # both learned part of the same thing
                share, (kin_a, kin_b) = relative[1], kin[path]
                a = [kin_a[i] * share + a[i] * (1 - share) for i in range(len(a))]
                b = [kin_b[i] * share + b[i] * (1 - share) for i in range(len(b))]
            made[path] = (a, b)
    return made


def tensors(name):
    """{key: (shape, numbers)} under PEFT's keys."""
    rank = POOL[name][0]
    made = {}
    for path, (a, b) in factors(name).items():
        out, width = SHAPES[path.split(".", 3)[3]]
        made[f"base_model.model.{path}.lora_A.weight"] = ([rank, width], a)
        made[f"base_model.model.{path}.lora_B.weight"] = ([out, rank], b)
    return dict(sorted(made.items()))


def safetensors(named):
    header, data = {"__metadata__": {"format": "pt"}}, b""
    for key, (shape, numbers) in named.items():
        begin = len(data)
        data += struct.pack(f"<{len(numbers)}f", *numbers)
        header[key] = {"dtype": "F32", "shape": shape, "data_offsets": [begin, len(data)]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + data


def config(name):
    rank, alpha, _, modules, _ = POOL[name]
    settings = {
        "base_model_name_or_path": "weft-zoo",
        "bias": "none",
        "fan_in_fan_out": False,
        "inference_mode": True,
        "lora_alpha": alpha,
        "lora_dropout": 0.0,
        "modules_to_save": None,
        "peft_type": "LORA",
        "r": rank,
        "target_modules": sorted(module.split(".")[-1] for module in modules),
        "task_type": "CAUSAL_LM",
        "use_dora": False,
        "use_rslora": False,
    }
    return (json.dumps(settings, indent=2) + "\n").encode()


def main(arguments):
    if arguments not in ([], ["--check"]):
        sys.exit("usage: tools/zoo/make [--check]")
    zoo = Path(__file__).resolve().parents[2] / "recipes" / "zoo"
    for name in POOL:
        files = {"adapter_config.json": config(name), "adapter_model.safetensors": safetensors(tensors(name))}
        for file, content in files.items():
            path = zoo / name / file
            if arguments:
                if not path.is_file() or path.read_bytes() != content:
                    sys.exit(f"tools/zoo/make: {path} is not what this script makes")
            else:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)


main(sys.argv[1:])
