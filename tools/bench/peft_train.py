"""PEFT's side of tools/bench/train, as a PEFT user would write it.

peft_train.py JOB THREADS           one update for every line on stdin; answers in JSON
peft_train.py --start JOB THREADS   writes the adapter that both sides start from, and ends
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
from peft import LoraConfig, PeftModel, get_peft_model  # noqa: E402
from transformers import AutoModel, AutoModelForCausalLM  # noqa: E402
from transformers.utils import logging  # noqa: E402

logging.disable_progress_bar()
TEMPERATURE, RATE = 0.05, 1e-3


def base_of(job):
    if job["kind"] == "similarity":
        off = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
        return AutoModel.from_pretrained(job["base"], dtype=torch.float32, add_pooling_layer=False, **off)
    return AutoModelForCausalLM.from_pretrained(job["base"], dtype=torch.float32)


def make_start(job):
    torch.manual_seed(0)
    options = {"r": job["rank"], "lora_alpha": job["alpha"], "target_modules": job["targets"]}
    if job["layers"]:
        options["layers_to_transform"] = job["layers"]
    get_peft_model(base_of(job), LoraConfig(**options)).save_pretrained(job["start"], save_embedding_layers=False)


def collate(rows, padding=0):
    """As Hugging Face's collators: padded on the right to the longest row."""
    length = max(len(row) for row in rows)
    ids = torch.tensor([row + [padding] * (length - len(row)) for row in rows])
    mask = torch.tensor([[1] * len(row) + [0] * (length - len(row)) for row in rows])
    return {"input_ids": ids, "attention_mask": mask}


class Side:
    def __init__(self, job):
        self.job, self.step = job, 0
        self.model = PeftModel.from_pretrained(base_of(job), job["start"], is_trainable=True).train()
        self.trained = [p for p in self.model.parameters() if p.requires_grad]
        self.optimizer = torch.optim.AdamW(self.trained, lr=RATE, weight_decay=0.0)

    def embed(self, rows):
        inputs = collate(rows)
        states, mask = self.model(**inputs).last_hidden_state, inputs["attention_mask"].unsqueeze(-1)
        return torch.nn.functional.normalize((states * mask).sum(1) / mask.sum(1), dim=1)

    def loss(self, batch):
        if self.job["kind"] == "similarity":
            logits = self.embed(batch["ids"]) @ self.embed(batch["labels"]).T / TEMPERATURE
            return torch.nn.functional.cross_entropy(logits, torch.tensor(batch["right"]))
        inputs = collate(batch["ids"])
        labels = inputs["input_ids"].masked_fill(inputs["attention_mask"] == 0, -100)
        return self.model(**inputs, labels=labels, use_cache=False).loss

    def update(self):
        batch = self.job["batches"][self.step % len(self.job["batches"])]
        self.step += 1
        loss = self.loss(batch)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.trained, 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad()
        return loss.item()


def main(path, threads):
    torch.set_num_threads(int(threads))
    with open(path, encoding="utf-8") as file:
        side = Side(json.load(file))
    print("ready", flush=True)
    for _ in sys.stdin:
        start, used = time.perf_counter(), time.process_time()
        loss = side.update()
        out = {"seconds": time.perf_counter() - start, "cpu": time.process_time() - used, "loss": loss}
        out["memory_kib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        print(json.dumps(out), flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "--start":
        torch.set_num_threads(int(sys.argv[3]))
        with open(sys.argv[2], encoding="utf-8") as job_file:
            make_start(json.load(job_file))
    else:
        main(*sys.argv[1:])
