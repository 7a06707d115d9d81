"""PEFT's side of the race, as a PEFT user would write it. Run by tools/bench/merge.

peft_side.py kernel POOL COMBINATION RANK DENSITY OUT THREADS   add_weighted_adapter once for every line on stdin
peft_side.py open POOL THREADS                                  reads configs and weights of all adapters, once a line
peft_side.py open_once POOL THREADS                             the same, once
peft_side.py process POOL COMBINATION OUT THREADS               a whole run: base, adapters, merge, save
peft_side.py versions
"""

import json
import os
import resource
import sys
import time
import warnings
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
warnings.filterwarnings("ignore")

import torch  # noqa: E402
from peft import PeftConfig, PeftModel  # noqa: E402
from peft.utils.save_and_load import load_peft_weights  # noqa: E402


def members(pool):
    return sorted(p for p in Path(pool).iterdir() if p.is_dir())


class Layer(torch.nn.Module):
    def __init__(self, out, into):
        super().__init__()
        # Never written: the pages of the base's weights stay out of memory, so PEFT is not charged for a base model.
        self.proj = torch.nn.utils.skip_init(torch.nn.Linear, into, out, bias=False)


class Base(torch.nn.Module):
    def __init__(self, shapes):
        super().__init__()
        self.model = torch.nn.Module()
        self.model.layers = torch.nn.ModuleList(Layer(out, into) for out, into in shapes)

    def forward(self, x):
        return x


def load_pool(pool):
    """The base with all adapters of the pool on it; their names."""
    shapes = json.loads((Path(pool) / "pool.json").read_text())["shapes"]
    paths = members(pool)
    model = PeftModel.from_pretrained(Base(shapes), str(paths[0]), adapter_name=paths[0].name)
    for path in paths[1:]:
        model.load_adapter(str(path), adapter_name=path.name)
    return model, [p.name for p in paths]


def peak_memory():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def serve(run):
    """One run for every line on stdin; `run` returns what to report."""
    print("ready", flush=True)
    for _ in sys.stdin:
        print(json.dumps({**run(), "memory_kib": peak_memory()}), flush=True)


def draw_from_one_seed():
    """Makes dare_ties draw the masks that judge.py draws again."""
    from peft.tuners.lora import model as lora

    original = lora.dare_ties

    def seeded(*args, **kwargs):
        torch.manual_seed(1)
        return original(*args, **kwargs)

    lora.dare_ties = seeded


def race_kernel(pool, combination, rank, density, out):
    model, names = load_pool(pool)
    options = {"svd_rank": int(rank)}
    if combination != "svd":
        options["density"] = float(density)
    if combination.startswith("dare"):
        draw_from_one_seed()

    def run():
        if "merged" in model.peft_config:
            model.delete_adapter("merged")
        start = time.perf_counter()
        model.add_weighted_adapter(names, [1.0] * len(names), "merged", combination_type=combination, **options)
        return {"seconds": time.perf_counter() - start}

    serve(run)
    model.save_pretrained(out, selected_adapters=["merged"])


def open_all(pool):
    paths = [str(p) for p in members(pool)]
    start = time.perf_counter()
    opened = [(PeftConfig.from_pretrained(p), load_peft_weights(p, device="cpu")) for p in paths]
    return {"seconds": time.perf_counter() - start, "adapters": len(opened)}


def race_process(pool, combination, out):
    model, names = load_pool(pool)
    options = {} if combination in ("svd", "linear", "cat") else {"density": 0.5}
    model.add_weighted_adapter(names, [1.0] * len(names), "merged", combination_type=combination, **options)
    model.save_pretrained(out, selected_adapters=["merged"])


def versions():
    import peft
    import transformers

    found = {"torch": torch.__version__, "peft": peft.__version__, "transformers": transformers.__version__}
    print(json.dumps({**found, "python": sys.version.split()[0]}))


if __name__ == "__main__":
    mode, *rest = sys.argv[1:]
    if mode == "versions":
        versions()
    else:
        torch.set_num_threads(int(rest.pop()))
        modes = {
            "kernel": race_kernel,
            "open": lambda pool: serve(lambda: open_all(pool)),
            "open_once": open_all,
            "process": race_process,
        }
        modes[mode](*rest)
