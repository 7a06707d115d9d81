"""PEFT's side of tools/bench/forward, as a PEFT user would write it.

peft_forward.py BASE THREADS [ADAPTER]...   one job for every line on stdin, as forward_driver.cpp says; a job may name
                                            a file to "compare" its logits with
"""

import json
import os
import resource
import sys
import time
import warnings

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
warnings.filterwarnings("ignore")

import torch  # noqa: E402
from transformers import AutoModelForCausalLM  # noqa: E402
from transformers.utils import logging  # noqa: E402


def load(base, adapters):
    """The model with all adapters active, their names, and the layers that hold their scales."""
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    names = [f"a{i}" for i in range(len(adapters))]
    if not adapters:
        return model.eval(), names, []
    from peft import PeftModel
    from peft.tuners.lora import LoraLayer

    model = PeftModel.from_pretrained(model, adapters[0], adapter_name=names[0])
    for name, path in zip(names[1:], adapters[1:]):
        model.load_adapter(path, adapter_name=name)
    model.base_model.set_adapter(names)
    return model.eval(), names, [m for m in model.modules() if isinstance(m, LoraLayer)]


class Side:
    def __init__(self, base, adapters):
        self.model, self.names, self.layers = load(base, adapters)

    def scale(self, weights):
        for layer in self.layers:
            for name, weight in zip(self.names, weights):
                layer.set_scale(name, weight)

    def prefill(self, job, ids):
        options = {"use_cache": False}
        if self.names and "choice" in job:
            options["adapter_names"] = [self.names[i] for i in job["choice"]]
        start = time.perf_counter()
        if self.names and "weights" in job:
            logits = []
            for weights in job["weights"]:
                self.scale(weights)
                logits.append(self.model(input_ids=ids, **options).logits)
        else:
            logits = [self.model(input_ids=ids, **options).logits]
        seconds = time.perf_counter() - start
        if self.names and "weights" in job:
            self.scale([1.0] * len(self.names))
        return [seconds], [part.flatten(0, 1) for part in logits]

    def decode(self, job, ids):
        out = self.model(input_ids=ids, use_cache=True)
        logits, seconds, cache = [out.logits[:, -1]], [], out.past_key_values
        for token in job["feed"]:
            step = torch.full((ids.shape[0], 1), token)
            start = time.perf_counter()
            out = self.model(input_ids=step, past_key_values=cache, use_cache=True)
            seconds.append(time.perf_counter() - start)
            cache = out.past_key_values
            logits.append(out.logits[:, -1])
        return seconds, logits

    def run(self, job):
        ids, seconds = torch.tensor(job["ids"]), []
        end = time.perf_counter() + job["seconds"]
        while True:
            some, logits = getattr(self, job["kind"])(job, ids)
            seconds += some
            if time.perf_counter() >= end:
                break
        result = {"seconds": seconds, **memory()}
        if "compare" in job:
            result["difference"] = difference(torch.cat(logits), job["compare"])
        return result


def difference(logits, path):
    """The largest difference from the other side's logits, relative to the largest logit."""
    other = torch.from_file(path, size=logits.numel(), dtype=torch.float32).view_as(logits)
    return ((logits - other).abs().max() / logits.abs().max()).item()


def memory():
    with open("/proc/self/statm") as file:
        pages = int(file.read().split()[1])
    return {
        "memory_kib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
        "resident_kib": pages * resource.getpagesize() // 1024,
    }


def main(base, threads, *adapters):
    torch.set_num_threads(int(threads))
    logging.disable_progress_bar()
    side = Side(base, adapters)
    print("ready", flush=True)
    with torch.inference_mode():
        for line in sys.stdin:
            print(json.dumps(side.run(json.loads(line))), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
