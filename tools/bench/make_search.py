"""Makes a generated model, its tokenizer and a pool of adapters on q and v, in Hugging Face's formats; always the same.

make_search.py FOLDER MODEL   MODEL is JSON: {"family": "t5" or "llama", "hidden", "layers", "heads", "feed_forward",
                              "vocabulary", "rank", "adapters"}; writes FOLDER/base and FOLDER/pool/a0000, ...
Run by tools/bench/search.
"""

import json
import shutil
import sys
from pathlib import Path

import make_base
import torch
from safetensors.torch import save_file
from transformers import LlamaConfig, LlamaForCausalLM, T5Config, T5ForConditionalGeneration

torch.set_num_threads(1)
PAD = 0  # `!` in make_base's vocabulary: tools/bench/search keeps it out of its texts


def t5(model):
    config = T5Config(
        vocab_size=model["vocabulary"],
        d_model=model["hidden"],
        d_kv=model["hidden"] // model["heads"],
        d_ff=model["feed_forward"],
        num_layers=model["layers"],
        num_heads=model["heads"],
        pad_token_id=PAD,
        decoder_start_token_id=PAD,
        eos_token_id=1,
    )
    return T5ForConditionalGeneration(config)


def llama(model):
    config = LlamaConfig(
        vocab_size=model["vocabulary"],
        hidden_size=model["hidden"],
        intermediate_size=model["feed_forward"],
        num_hidden_layers=model["layers"],
        num_attention_heads=model["heads"],
        num_key_value_heads=model["heads"],
        max_position_embeddings=make_base.POSITIONS,
        rms_norm_eps=1e-5,
        tie_word_embeddings=True,
        pad_token_id=PAD,
        bos_token_id=None,
        eos_token_id=None,
    )
    return LlamaForCausalLM(config)


def save_tokenizer(folder, vocabulary):
    made = make_base.tokenizer(vocabulary)
    pad = next(token for token, i in made["model"]["vocab"].items() if i == PAD)
    described = {"tokenizer_class": "PreTrainedTokenizerFast", "pad_token": pad}
    (folder / "tokenizer.json").write_text(json.dumps(made) + "\n")
    (folder / "tokenizer_config.json").write_text(json.dumps(described, indent=2) + "\n")


def targets(model):
    """Name -> [out, in] of what the adapters adapt: q and v of every attention."""
    names = (".q", ".v") if model["family"] == "t5" else ("q_proj", "v_proj")
    base = (t5 if model["family"] == "t5" else llama)(model)
    found = {n: list(m.weight.shape) for n, m in base.named_modules() if n.endswith(names)}
    return base, found


def make_adapter(folder, model, shapes, index):
    random = torch.Generator().manual_seed(1000 + index)
    rank, tensors = model["rank"], {}
    for name, (out, into) in shapes.items():
        key = f"base_model.model.{name}"
        tensors[f"{key}.lora_A.weight"] = torch.randn(rank, into, generator=random) * into**-0.5
        tensors[f"{key}.lora_B.weight"] = torch.randn(out, rank, generator=random) * 0.02
    folder.mkdir(parents=True)
    description = {
        "peft_type": "LORA",
        "task_type": "SEQ_2_SEQ_LM" if model["family"] == "t5" else "CAUSAL_LM",
        "base_model_name_or_path": "generated",
        "r": rank,
        "lora_alpha": 2 * rank,
        "lora_dropout": 0.0,
        "target_modules": sorted({name.split(".")[-1] for name in shapes}),
        "bias": "none",
        "fan_in_fan_out": False,
        "inference_mode": True,
    }
    (folder / "adapter_config.json").write_text(json.dumps(description, indent=2) + "\n")
    save_file(tensors, str(folder / "adapter_model.safetensors"))


def main(folder, model):
    done, text = folder / "made.json", json.dumps(model, sort_keys=True) + "\n"
    if done.is_file() and done.read_text() == text:
        return
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    torch.manual_seed(1)
    base, shapes = targets(model)
    base.save_pretrained(folder / "base")
    save_tokenizer(folder / "base", model["vocabulary"])
    for index in range(model["adapters"]):
        make_adapter(folder / "pool" / f"a{index:04d}", model, shapes, index)
    done.write_text(text)


if __name__ == "__main__":
    main(Path(sys.argv[1]), json.loads(sys.argv[2]))
