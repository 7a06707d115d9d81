"""Makes a generated base model with a tokenizer, and adapters for it; always the same. Run by tools/bench/generate.

make_base.py ROOT BASE   BASE is JSON: {"name", "hidden", "layers", "heads", "kv_heads", "feed_forward", "vocabulary",
                         "adapters", "rank"}
"""

import itertools
import json
import shutil
import string
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file
from tokenizers.pre_tokenizers import ByteLevel

torch.set_num_threads(1)
POSITIONS = 2048


def config(base):
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": base["hidden"],
        "intermediate_size": base["feed_forward"],
        "num_hidden_layers": base["layers"],
        "num_attention_heads": base["heads"],
        "num_key_value_heads": base["kv_heads"],
        "max_position_embeddings": POSITIONS,
        "vocab_size": base["vocabulary"],
        "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0,
        "hidden_act": "silu",
        "tie_word_embeddings": True,
        "bos_token_id": None,
        "eos_token_id": None,
        "torch_dtype": "float32",
    }


def projections(base):
    """Name -> [out, in] of every matrix of a block."""
    hidden, narrow = base["hidden"], base["hidden"] // base["heads"] * base["kv_heads"]
    return {
        "self_attn.q_proj": (hidden, hidden),
        "self_attn.k_proj": (narrow, hidden),
        "self_attn.v_proj": (narrow, hidden),
        "self_attn.o_proj": (hidden, hidden),
        "mlp.gate_proj": (base["feed_forward"], hidden),
        "mlp.up_proj": (base["feed_forward"], hidden),
        "mlp.down_proj": (hidden, base["feed_forward"]),
    }


def modules(base):
    for layer in range(base["layers"]):
        for name, shape in projections(base).items():
            yield f"model.layers.{layer}.{name}", shape


def weights(base):
    random = torch.Generator().manual_seed(1)
    hidden = base["hidden"]
    # Small: a tied head would repeat the last token for ever.
    tensors = {"model.embed_tokens.weight": torch.randn(base["vocabulary"], hidden, generator=random) * 0.05}
    tensors["model.norm.weight"] = torch.ones(hidden)
    for name, (out, into) in modules(base):
        tensors[f"{name}.weight"] = torch.randn(out, into, generator=random) * into**-0.5
    for layer in range(base["layers"]):
        for norm in ("input_layernorm", "post_attention_layernorm"):
            tensors[f"model.layers.{layer}.{norm}.weight"] = torch.ones(hidden)
    return tensors


def tokenizer(vocabulary):
    """Byte-level pairs of pairs of letters: as large as a trained one, and as slow to read."""
    tokens, merges = sorted(ByteLevel.alphabet()), []
    letters = string.ascii_lowercase
    pairs = [a + b for a, b in itertools.product(letters, letters)]
    merges += [(pair[0], pair[1]) for pair in pairs] + list(itertools.product(pairs, pairs))
    merges = merges[: vocabulary - len(tokens)]
    tokens += [a + b for a, b in merges]
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    model = {
        "type": "BPE",
        "dropout": None,
        "unk_token": None,
        "continuing_subword_prefix": None,
        "end_of_word_suffix": None,
        "fuse_unk": False,
        "byte_fallback": False,
        "ignore_merges": False,
        "vocab": {token: i for i, token in enumerate(tokens)},
        "merges": [f"{a} {b}" for a, b in merges],
    }
    parts = {"truncation": None, "padding": None, "added_tokens": [], "normalizer": None, "pre_tokenizer": level}
    return {"version": "1.0", **parts, "post_processor": None, "decoder": level, "model": model}


def make_adapter(folder, base, index):
    random = torch.Generator().manual_seed(1000 + index)
    rank, tensors = base["rank"], {}
    for name, (out, into) in modules(base):
        key = f"base_model.model.{name}"
        tensors[f"{key}.lora_A.weight"] = torch.randn(rank, into, generator=random) * into**-0.5
        tensors[f"{key}.lora_B.weight"] = torch.randn(out, rank, generator=random) * 0.02
    folder.mkdir(parents=True)
    description = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": "generated",
        "r": rank,
        "lora_alpha": rank,
        "lora_dropout": 0.0,
        "target_modules": sorted(name.split(".")[1] for name in projections(base)),
        "bias": "none",
        "fan_in_fan_out": False,
        "inference_mode": True,
    }
    (folder / "adapter_config.json").write_text(json.dumps(description, indent=2) + "\n")
    save_file(tensors, str(folder / "adapter_model.safetensors"))


def make_base(root, base):
    folder = root / base["name"]
    done, text = folder / "made.json", json.dumps(base, sort_keys=True) + "\n"
    if done.is_file() and done.read_text() == text:
        return
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "base").mkdir(parents=True)
    (folder / "base" / "config.json").write_text(json.dumps(config(base), indent=2) + "\n")
    (folder / "base" / "tokenizer.json").write_text(json.dumps(tokenizer(base["vocabulary"])) + "\n")
    (folder / "base" / "tokenizer_config.json").write_text('{"tokenizer_class": "PreTrainedTokenizerFast"}\n')
    save_file(weights(base), str(folder / "base" / "model.safetensors"), metadata={"format": "pt"})
    for index in range(base["adapters"]):
        make_adapter(folder / f"a{index:02d}", base, index)
    done.write_text(text)


if __name__ == "__main__":
    make_base(Path(sys.argv[1]), json.loads(sys.argv[2]))
