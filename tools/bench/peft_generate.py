"""PEFT's side of tools/bench/generate, as a PEFT user would write it.

peft_generate.py BASE PROMPT TOKENS THREADS ADAPTER...   prints tokens as they come
"""

import os
import sys
import warnings

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
warnings.filterwarnings("ignore")

import torch  # noqa: E402
from transformers import AutoModelForCausalLM, AutoTokenizer  # noqa: E402
from transformers.generation.streamers import BaseStreamer  # noqa: E402


class Printer(BaseStreamer):
    """Every new token at once; TextStreamer would wait for the end of a word."""

    def __init__(self, tokenizer):
        self.tokenizer, self.prompt = tokenizer, True

    def put(self, value):
        if not self.prompt:
            print(self.tokenizer.decode(value.reshape(-1)), end="", flush=True)
        self.prompt = False

    def end(self):
        print(flush=True)


def main(base, prompt, tokens, threads, *adapters):
    torch.set_num_threads(int(threads))
    tokenizer = AutoTokenizer.from_pretrained(base)
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    if adapters:
        from peft import PeftModel

        names = [f"a{i}" for i in range(len(adapters))]
        model = PeftModel.from_pretrained(model, adapters[0], adapter_name=names[0])
        for name, path in zip(names[1:], adapters[1:]):
            model.load_adapter(path, adapter_name=name)
        model.base_model.set_adapter(names)
    model.eval()
    inputs = tokenizer(prompt, return_tensors="pt", return_token_type_ids=False)
    model.generate(
        **inputs, max_new_tokens=int(tokens), do_sample=False, pad_token_id=0, streamer=Printer(tokenizer)
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
