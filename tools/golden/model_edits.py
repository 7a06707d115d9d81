"""What make_models.py changes by hand after save_pretrained: older config layouts, names and extra tensors of published checkpoints."""

import json

import torch
from safetensors.torch import load_file, save_file


def read(folder):
    return json.loads((folder / "config.json").read_text(encoding="utf-8"))


def write(folder, config):
    (folder / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def old_rope(config, family, key):
    """rope_parameters in the words of earlier versions."""
    rope = config.pop("rope_parameters", None)
    if rope is None:
        return
    if "full_attention" in rope:
        config["rope_local_base_freq"] = rope["sliding_attention"]["rope_theta"]
        rope = rope["full_attention"]
    theta = rope.pop("rope_theta")
    partial = rope.pop("partial_rotary_factor", None)
    if family == "gpt_neox":
        config["rotary_emb_base"], config["rotary_pct"] = theta, partial
    else:
        config["rope_theta"] = theta
        if partial is not None:
            config["partial_rotary_factor"] = partial
    kind = rope.pop("rope_type")
    if family == "phi3":
        rope.pop("original_max_position_embeddings", None)
    config["rope_scaling"] = None if kind == "default" else {key: kind, **rope}


def old_layout(entry, folder):
    config = read(folder)
    config["torch_dtype"] = config.pop("dtype")
    old_rope(config, entry["family"], "type" if entry["layout"] == "old_type" else "rope_type")
    # transformers 5 writes its own reading of the file: tied always, and whether to scale in a key of its own.
    if config.get("scale_decoder_outputs") is False:
        config["tie_word_embeddings"] = False
    for name in ("is_gated_act", "dense_act_fn", "scale_decoder_outputs"):
        config.pop(name, None)
    config["transformers_version"] = "4.40.0"
    write(folder, config)


def rewrite(folder, change):
    """The tensors of model.safetensors through `change`, a function of the dictionary."""
    file = folder / "model.safetensors"
    tensors = change(load_file(file))
    tensors = {name: tensor.clone().contiguous() for name, tensor in sorted(tensors.items())}
    save_file(tensors, str(file), metadata={"format": "pt"})


def own_head(entry, folder, model):
    """A head of its own in the file although the config ties it."""
    generator = torch.Generator().manual_seed(len(entry["name"]))
    rows, columns = model.get_input_embeddings().weight.shape
    head = 0.3 * torch.randn((rows, columns), generator=generator)
    rewrite(folder, lambda tensors: {**tensors, "lm_head.weight": head})


def inv_freq(entry, folder, model):
    size = model.config.head_dim // 2
    buffers = {
        f"model.layers.{i}.self_attn.rotary_emb.inv_freq": torch.linspace(1, 0.1, size)
        for i in range(model.config.num_hidden_layers)
    }
    rewrite(folder, lambda tensors: {**tensors, **buffers})


def no_prefix(entry, folder, model):
    prefix = model.base_model_prefix + "."
    rewrite(folder, lambda tensors: {name.removeprefix(prefix): tensor for name, tensor in tensors.items()})


def no_prefix_masks(entry, folder, model):
    no_prefix(entry, folder, model)
    size = model.config.n_positions
    mask = torch.ones(size, size).tril().view(1, 1, size, size)
    buffers = {f"h.{i}.attn.bias": mask for i in range(model.config.n_layer)}
    buffers |= {"h.0.attn.masked_bias": torch.tensor(-1e4)}
    rewrite(folder, lambda tensors: {**tensors, **buffers})


def neox_buffers(entry, folder, model):
    path, size = "gpt_neox.layers.0.attention.", model.config.max_position_embeddings
    buffers = {
        path + "bias": torch.ones(size, size, dtype=torch.bool).tril().view(1, 1, size, size),
        path + "masked_bias": torch.tensor(-1e9),
        path + "rotary_emb.inv_freq": torch.linspace(1, 0.1, 2),
    }
    rewrite(folder, lambda tensors: {**tensors, **buffers})


def copies(entry, folder, model):
    """The shared embedding three times, as T5 files of early versions have it, and a table that is no longer read."""
    head = load_file(folder.parent / entry["same_as"] / "model.safetensors")["lm_head.weight"]
    extra = {"decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight": torch.ones(10, 3)}

    def change(tensors):
        shared = {f"{part}.embed_tokens.weight": tensors["shared.weight"] for part in ("encoder", "decoder")}
        return {**tensors, **shared, **extra, "lm_head.weight": head}

    rewrite(folder, change)
    config = read(folder)
    config |= {
        "n_positions": 512,
        "output_past": True,
        "task_specific_params": {"summarization": {"prefix": "summarize: "}},
    }
    write(folder, config)


def no_pooler(entry, folder, model):
    positions = {"embeddings.position_ids": torch.arange(model.config.max_position_embeddings).view(1, -1)}
    rewrite(folder, lambda tensors: {**{n: t for n, t in tensors.items() if "pooler" not in n}, **positions})


def gamma(entry, folder, model):
    def old(name):
        return name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")

    rewrite(folder, lambda tensors: {old(name): tensor for name, tensor in tensors.items()})


def nested(entry, folder, model):
    """The text part inside a checkpoint with a (tiny) vision tower."""
    from transformers import Gemma3Config, Gemma3ForConditionalGeneration

    vision = {"hidden_size": 8, "intermediate_size": 9, "num_hidden_layers": 1, "num_attention_heads": 2}
    vision |= {"image_size": 4, "patch_size": 2, "model_type": "siglip_vision_model"}
    text = model.config.to_dict()
    config = Gemma3Config(text_config=text, vision_config=vision, image_token_index=52, mm_tokens_per_image=4)
    whole = Gemma3ForConditionalGeneration(config)
    whole.model.language_model.load_state_dict(model.model.state_dict())
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for name, parameter in sorted(whole.named_parameters()):
            if "language_model" not in name and "lm_head" not in name:
                parameter.copy_(0.1 * torch.randn(parameter.shape, generator=generator))
    (folder / "model.safetensors").unlink()
    whole.save_pretrained(str(folder))


def minimal(folder, config_class):
    """Only the keys that differ from what the class assumes when they are absent."""
    config, default = read(folder), config_class().to_dict()
    kept = ("architectures", "model_type", "vocab_size")
    write(folder, {key: v for key, v in config.items() if key in kept or key not in default or v != default[key]})


def to_binary(folder):
    """pytorch_model.bin in place of the safetensors, shards and index included."""
    for file in sorted(folder.glob("model*.safetensors")):
        stem = file.stem.replace("model", "pytorch_model", 1)
        torch.save(load_file(file), folder / f"{stem}.bin")
        file.unlink()
    index = folder / "model.safetensors.index.json"
    if index.exists():
        text = index.read_text(encoding="utf-8").replace("model-", "pytorch_model-").replace(".safetensors", ".bin")
        (folder / "pytorch_model.bin.index.json").write_text(text, encoding="utf-8")
        index.unlink()


def apply(entry, folder, model):
    if "edit" in entry:
        globals()[entry["edit"]](entry, folder, model)
    if entry.get("layout", "new") != "new":
        old_layout(entry, folder)
    if entry.get("minimal"):
        minimal(folder, type(entry["config"]))
    if "drop" in entry or "put" in entry:
        config = read(folder)
        for key in entry.get("drop", ()):
            config.pop(key, None)
        write(folder, {**config, **entry.get("put", {})})
    if entry.get("binary"):
        to_binary(folder)
