"""The files around the base's weights: a small Llama in the layout of transformers, and a tokenizer of characters."""

import json

UNKNOWN, NEWLINE = 0, 1  # ids; a newline begins and ends every text
CONFIG = {
    "architectures": ["LlamaForCausalLM"],
    "attention_bias": False,
    "attention_dropout": 0.0,
    "bos_token_id": NEWLINE,
    "dtype": "bfloat16",
    "eos_token_id": NEWLINE,
    "head_dim": 32,
    "hidden_act": "silu",
    "hidden_size": 128,
    "initializer_range": 0.03,
    "intermediate_size": 320,
    "max_position_embeddings": 128,
    "mlp_bias": False,
    "model_type": "llama",
    "num_attention_heads": 4,
    "num_hidden_layers": 4,
    "num_key_value_heads": 4,
    "pad_token_id": UNKNOWN,
    "rms_norm_eps": 1e-05,
    "rope_parameters": {"rope_theta": 10000.0, "rope_type": "default"},
    "tie_word_embeddings": True,
    "use_cache": True,
    "vocab_size": 97,
}
GENERATION = {"bos_token_id": NEWLINE, "eos_token_id": NEWLINE, "pad_token_id": UNKNOWN}
TOKENIZER_CONFIG = {
    "bos_token": "\n",
    "clean_up_tokenization_spaces": False,
    "eos_token": "\n",
    "model_max_length": CONFIG["max_position_embeddings"],
    "pad_token": "<unk>",
    "tokenizer_class": "PreTrainedTokenizerFast",
    "unk_token": "<unk>",
}


def tokenizer():
    """A BPE without merges: one token per character, anything but printable ASCII unknown."""
    vocabulary = {"<unk>": UNKNOWN, "\n": NEWLINE}
    for code in range(32, 127):
        vocabulary[chr(code)] = len(vocabulary)
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    start = {"SpecialToken": {"id": "\n", "type_id": 0}}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [{"id": UNKNOWN, "content": "<unk>", **flags}, {"id": NEWLINE, "content": "\n", **flags}],
        "normalizer": None,
        "pre_tokenizer": None,
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [start, {"Sequence": {"id": "A", "type_id": 0}}],
            "pair": [start, {"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": {"\n": {"id": "\n", "ids": [NEWLINE], "tokens": ["\n"]}},
        },
        "decoder": {"type": "Fuse"},
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": "<unk>",
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": False,
            "vocab": vocabulary,
            "merges": [],
        },
    }


FILES = {
    "config.json": CONFIG,
    "generation_config.json": GENERATION,
    "tokenizer.json": tokenizer(),
    "tokenizer_config.json": TOKENIZER_CONFIG,
}


def write_base(folder):
    """Everything but the weights."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, value in FILES.items():
        (folder / name).write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
