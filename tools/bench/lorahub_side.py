"""LoRAHub's side of tools/bench/search: the lorahub package 0.1.0 as it is, driving PEFT.

lorahub_side.py JOB RESULT   JOB is JSON: {"base", "adapters", "examples", "budget", "threads", "causal"}; RESULT gets
                             {"weights", "losses", "stamps", "forwards"}: of each evaluation the loss, when it began, in
                             seconds since the process started, and how long its forward took.
lorahub_side.py --save JOB RESULT TO   writes what the weights of RESULT compose by the package's rule, as an adapter.

Nothing of the package is copied, and two things are changed while it runs. The adapters it keeps are made copies: what
it keeps of the last one is the model's own memory, so that every evaluation overwrites that adapter with the sum. And
where `causal` asks for it a causal model is loaded, since the package knows sequence-to-sequence models only; prompt
and completion are then one sequence, of which the completion is scored.
"""

import json
import os
import shutil
import sys
import time
import warnings
from pathlib import Path

warnings.filterwarnings("ignore")
IGNORED = -100


def since_start():
    """Seconds since this process was started, by the kernel's clock."""
    fields = Path("/proc/self/stat").read_text().rsplit(")", 1)[1].split()
    return time.clock_gettime(time.CLOCK_BOOTTIME) - int(fields[19]) / os.sysconf("SC_CLK_TCK")


def sequences(inputs, outputs, tokenizer):
    """Rows for a causal model, padded on the right: what the package's load_dataset is for the other kind."""
    from datasets import Dataset

    rows = []
    for prompt, completion in zip(inputs, outputs):
        before = tokenizer(prompt)["input_ids"]
        after = tokenizer(completion, add_special_tokens=False)["input_ids"]
        rows.append((before + after, [IGNORED] * len(before) + after))
    longest = max(len(ids) for ids, _ in rows)
    columns = {"input": list(inputs), "input_ids": [], "attention_mask": [], "labels": []}
    for ids, labels in rows:
        missing = longest - len(ids)
        columns["input_ids"].append(ids + [tokenizer.pad_token_id] * missing)
        columns["attention_mask"].append([1] * len(ids) + [0] * missing)
        columns["labels"].append(labels + [IGNORED] * missing)
    return Dataset.from_dict(columns)


def keep_copies(algorithm):
    taken = algorithm.get_peft_model_state_dict
    algorithm.get_peft_model_state_dict = lambda model: {key: t.clone() for key, t in taken(model).items()}


class Watch:
    """The package's own loss, with the time noted."""

    def __init__(self, loss):
        self.loss, self.losses, self.stamps, self.forwards = loss, [], [], []

    def __call__(self, dataset, model, batch_size):
        self.stamps.append(since_start())
        begin = time.perf_counter()
        loss = self.loss(dataset, model, batch_size)
        self.forwards.append(time.perf_counter() - begin)
        self.losses.append(loss)
        return loss


def learn(job):
    import torch
    import transformers
    from lorahub import algorithm

    torch.set_num_threads(job["threads"])
    transformers.logging.set_verbosity_error()
    keep_copies(algorithm)
    if job["causal"]:
        algorithm.AutoModelForSeq2SeqLM = transformers.AutoModelForCausalLM
        algorithm.load_dataset = sequences
    watch = Watch(algorithm.default_get_loss)
    inputs = [example["prompt"] for example in job["examples"]]
    outputs = [example["completion"] for example in job["examples"]]
    weights, _, _ = algorithm.lorahub_learning(
        job["adapters"], inputs, outputs, job["budget"], model_name_or_path=job["base"], get_loss=watch
    )
    found = {"weights": [float(w) for w in weights], "losses": watch.losses}
    return {**found, "stamps": watch.stamps, "forwards": watch.forwards}


def save(job, weights, to):
    from lorahub.algorithm import get_final_weights
    from safetensors.torch import load_file, save_file

    pool = [Path(folder) for folder in job["adapters"]]
    cache = {str(folder): load_file(str(folder / "adapter_model.safetensors")) for folder in pool}
    cache = {name: {key: t.float() for key, t in tensors.items()} for name, tensors in cache.items()}
    shutil.rmtree(to, ignore_errors=True)
    to.mkdir(parents=True)
    save_file(get_final_weights(weights, list(cache), cache), str(to / "adapter_model.safetensors"))
    shutil.copy(pool[0] / "adapter_config.json", to / "adapter_config.json")


def main(arguments):
    saving = arguments[0] == "--save"
    job, result = (Path(path) for path in arguments[saving : saving + 2])
    if saving:
        save(json.loads(job.read_text()), json.loads(result.read_text())["weights"], Path(arguments[3]))
    else:
        result.write_text(json.dumps(learn(json.loads(job.read_text()))) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
