"""The tiny base models that make_models.py writes: one entry per folder of tests/golden/models."""

import torch
from transformers import (
    BloomConfig,
    BloomForCausalLM,
    Gemma2Config,
    Gemma2ForCausalLM,
    Gemma3ForCausalLM,
    Gemma3ForConditionalGeneration,
    Gemma3TextConfig,
    GPT2Config,
    GPT2LMHeadModel,
    GPTNeoXConfig,
    GPTNeoXForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    OPTConfig,
    OPTForCausalLM,
    Phi3Config,
    Phi3ForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from encoder_table import encoder_entries
from model_shapes import LLAMA, ROPED, QWEN3, GEMMA, NARROW, GPT2, NEOX, OPT, BLOOM, rope, entry


def llama_entries():
    def make(name, what, shape=None, **options):
        return entry(name, "llama", LlamaForCausalLM, LlamaConfig(**(shape or LLAMA)), what, **options)

    llama3 = rope("llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=24)
    yarn = rope("yarn", factor=4.0, original_max_position_embeddings=24)
    full_yarn = {**yarn, "beta_fast": 6, "beta_slow": 0.5, "mscale": 0.8, "mscale_all_dim": 0.4, "truncate": False}
    long = rope(
        "longrope",
        factor=3.0,
        original_max_position_embeddings=24,
        short_factor=[1.0, 1.1, 1.2, 1.3, 1.4, 1.5],
        long_factor=[1.0, 1.5, 2.2, 3.1, 4.3, 6.0],
    )
    return [
        make("llama", "grouped queries, untied head, new layout"),
        make("llama_old", "the same weights as llama, old layout", minimal=True, layout="old", same_as="llama"),
        make("llama_tied", "head tied to the embedding, no head in the file", {**LLAMA, "tie_word_embeddings": True}),
        make(
            "llama_tied_head_in_file",
            "tie_word_embeddings is true but the file has another lm_head.weight: transformers uses it (with a warning)",
            {**LLAMA, "tie_word_embeddings": True},
            edit="own_head",
        ),
        make(
            "llama_rope_linear",
            "rope_scaling linear, factor 3",
            {**ROPED, "rope_parameters": rope("linear", factor=3.0)},
            layout="old_type",
        ),
        make(
            "llama_rope_dynamic",
            "dynamic NTK, sequences beyond max_position_embeddings 20",
            {**ROPED, "max_position_embeddings": 20, "rope_parameters": rope("dynamic", factor=2.5)},
            lengths=[20, 21],
            layout="old",
        ),
        make("llama3_rope", "llama3 scaling, original 24", {**ROPED, "rope_parameters": llama3}, layout="old"),
        make(
            "llama3_rope_new", "llama3 scaling, new layout", {**ROPED, "rope_parameters": llama3}, same_as="llama3_rope"
        ),
        make(
            "llama_yarn",
            "yarn, factor 4, everything else by default",
            {**ROPED, "max_position_embeddings": 96, "rope_parameters": yarn},
            layout="old",
        ),
        make(
            "llama_yarn_full",
            "yarn with beta_fast, beta_slow, mscale, mscale_all_dim and truncate false",
            {**ROPED, "max_position_embeddings": 96, "rope_parameters": full_yarn},
        ),
        make(
            "llama_longrope",
            "longrope with factor, original 24, on Llama",
            {**ROPED, "max_position_embeddings": 72, "rope_parameters": long},
            lengths=[24, 25],
        ),
        make(
            "llama_bias",
            "attention_bias and mlp_bias",
            {**LLAMA, "attention_bias": True, "mlp_bias": True},
            layout="old",
        ),
        make("llama_head_dim", "head_dim 10 with 4 heads of hidden 24", {**LLAMA, "head_dim": 10}),
        make(
            "llama_gelu",
            "hidden_act gelu, one key-value head, rope_theta 300",
            {
                **LLAMA,
                "hidden_act": "gelu",
                "num_key_value_heads": 1,
                "rope_parameters": {"rope_type": "default", "rope_theta": 300.0},
            },
            layout="old",
        ),
        make(
            "llama_relu",
            "hidden_act relu, 3 layers, no kv key in the file (as many as heads)",
            {**LLAMA, "hidden_act": "relu", "num_key_value_heads": None, "num_hidden_layers": 3},
            layout="old",
            drop=["num_key_value_heads", "head_dim"],
        ),
        make("llama_bf16", "stored in bfloat16", dtype=torch.bfloat16, layout="old"),
        make("llama_fp16", "stored in float16", dtype=torch.float16),
        make("llama_sharded", "two shards with an index", same_as="llama", shards=True),
        make(
            "llama_bin",
            "pytorch_model.bin, with rotary_emb.inv_freq buffers as old checkpoints have them",
            same_as="llama",
            layout="old",
            edit="inv_freq",
            binary=True,
        ),
        make(
            "llama_bin_sharded",
            "two pytorch_model-*.bin shards with an index",
            same_as="llama",
            shards=True,
            binary=True,
        ),
        make(
            "llama_no_prefix",
            "saved from LlamaModel: no `model.`, tied",
            {**LLAMA, "tie_word_embeddings": True},
            same_as="llama_tied",
            edit="no_prefix",
        ),
    ]


def relative_entries():
    """Mistral, Qwen, Gemma, Phi-3: Llama's relatives."""
    slides = {**LLAMA, "sliding_window": 7}
    local = dict(sliding_window=6)
    gemma3_rope = {
        "full_attention": {"rope_type": "default", "rope_theta": 700.0},
        "sliding_attention": {"rope_type": "default", "rope_theta": 90.0},
    }
    gemma3_linear = {
        "full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 1000000.0},
        "sliding_attention": {"rope_type": "default", "rope_theta": 10000.0},
    }
    phi = {**LLAMA, "num_attention_heads": 3, "num_key_value_heads": 1, "hidden_size": 24}
    phi_long = {
        **phi,
        "num_attention_heads": 2,
        "max_position_embeddings": 96,
        "original_max_position_embeddings": 24,
        "rope_parameters": {
            "rope_type": "longrope",
            "rope_theta": 900.0,
            "partial_rotary_factor": 1.0,
            "short_factor": [1.0, 1.1, 1.2, 1.3, 1.4, 1.5],
            "long_factor": [1.0, 1.5, 2.2, 3.1, 4.3, 6.0],
        },
    }
    return [
        entry(
            "mistral",
            "mistral",
            MistralForCausalLM,
            MistralConfig(**slides),
            "sliding window 7",
            lengths=[7, 8],
            minimal=True,
            layout="old",
        ),
        entry(
            "mistral_full",
            "mistral",
            MistralForCausalLM,
            MistralConfig(**{**LLAMA, "sliding_window": None, "head_dim": 8}),
            "sliding_window null, head_dim 8 with 4 heads of hidden 24",
        ),
        entry(
            "qwen2", "qwen2", Qwen2ForCausalLM, Qwen2Config(**LLAMA), "biases on q, k, v", minimal=True, layout="old"
        ),
        entry(
            "qwen2_window",
            "qwen2",
            Qwen2ForCausalLM,
            Qwen2Config(**{**slides, "num_hidden_layers": 3, "use_sliding_window": True, "max_window_layers": 1}),
            "use_sliding_window: layers 1 and 2 slide, by max_window_layers (no layer_types in the file)",
            layout="old",
            drop=["layer_types"],
        ),
        entry(
            "qwen2_layer_types",
            "qwen2",
            Qwen2ForCausalLM,
            Qwen2Config(
                **{
                    **slides,
                    "num_hidden_layers": 3,
                    "use_sliding_window": True,
                    "max_window_layers": 0,
                    "layer_types": ["sliding_attention", "full_attention", "sliding_attention"],
                }
            ),
            "layer_types wins over max_window_layers; tied",
        ),
        entry(
            "qwen2_window_off",
            "qwen2",
            Qwen2ForCausalLM,
            Qwen2Config(**{**slides, "use_sliding_window": False, "max_window_layers": 0, "tie_word_embeddings": True}),
            "sliding_window is in the file but use_sliding_window is false: no window; tied",
            layout="old",
            drop=["layer_types"],
            put={"sliding_window": 7, "max_window_layers": 0},
        ),
        entry("qwen3", "qwen3", Qwen3ForCausalLM, Qwen3Config(**QWEN3), "norms on q and k, head_dim 10", layout="old"),
        entry(
            "qwen3_tied",
            "qwen3",
            Qwen3ForCausalLM,
            Qwen3Config(
                **{
                    **QWEN3,
                    "attention_bias": True,
                    "tie_word_embeddings": True,
                    **local,
                    "use_sliding_window": True,
                    "max_window_layers": 1,
                }
            ),
            "tied, attention_bias, layer 1 slides (window 6)",
        ),
        entry(
            "gemma2",
            "gemma2",
            Gemma2ForCausalLM,
            Gemma2Config(**{**GEMMA, **NARROW, **local, "attn_logit_softcapping": 3.0, "final_logit_softcapping": 5.0}),
            "softcaps 3 and 5, layers 0 and 2 slide (window 6), query_pre_attn_scalar 7",
            minimal=True,
            layout="old",
            drop=["layer_types"],
        ),
        entry(
            "gemma2_no_caps",
            "gemma2",
            Gemma2ForCausalLM,
            Gemma2Config(
                **{
                    **GEMMA,
                    **local,
                    "attn_logit_softcapping": None,
                    "final_logit_softcapping": None,
                    "layer_types": ["full_attention", "sliding_attention"],
                }
            ),
            "softcaps null, layer_types given",
        ),
        entry(
            "gemma3",
            "gemma3_text",
            Gemma3ForCausalLM,
            Gemma3TextConfig(
                **{
                    **GEMMA,
                    **NARROW,
                    **local,
                    "layer_types": ["sliding_attention", "full_attention"] * 2,
                    "rope_parameters": gemma3_rope,
                }
            ),
            "layer_types, a theta for each kind",
        ),
        entry(
            "gemma3_old",
            "gemma3_text",
            Gemma3ForCausalLM,
            Gemma3TextConfig(
                **{**GEMMA, **NARROW, **local, "sliding_window_pattern": 3, "rope_parameters": gemma3_linear}
            ),
            "old layout: rope_scaling linear on the global layer (2), sliding_window_pattern 3, thetas by default",
            minimal=True,
            layout="old",
            drop=["layer_types", "rope_theta", "rope_local_base_freq"],
            put={"sliding_window_pattern": 3},
        ),
        entry(
            "gemma3_nested",
            "gemma3",
            Gemma3ForCausalLM,
            Gemma3TextConfig(
                **{
                    **GEMMA,
                    **NARROW,
                    **local,
                    "layer_types": ["sliding_attention", "full_attention"] * 2,
                    "rope_parameters": gemma3_rope,
                }
            ),
            "the text part in a Gemma3ForConditionalGeneration checkpoint: text_config, language_model.model.* names, a vision tensor beside it",
            same_as="gemma3",
            edit="nested",
            loader=Gemma3ForConditionalGeneration,
        ),
        entry(
            "phi3",
            "phi3",
            Phi3ForCausalLM,
            Phi3Config(**phi),
            "fused qkv_proj and gate_up_proj",
            minimal=True,
            layout="old",
        ),
        entry(
            "phi3_partial",
            "phi3",
            Phi3ForCausalLM,
            Phi3Config(
                **{
                    **phi,
                    "num_attention_heads": 2,
                    "sliding_window": 9,
                    "tie_word_embeddings": True,
                    "rope_parameters": {"rope_type": "default", "rope_theta": 900.0, "partial_rotary_factor": 0.5},
                }
            ),
            "partial_rotary_factor 0.5, sliding window 9, tied",
        ),
        entry(
            "phi3_longrope",
            "phi3",
            Phi3ForCausalLM,
            Phi3Config(**phi_long),
            "longrope, original 24, no factor: lengths 24 and 25 stand on both sides of the switch",
            lengths=[24, 25],
            layout="old_type",
        ),
        entry(
            "phi3_longrope_partial",
            "phi3",
            Phi3ForCausalLM,
            Phi3Config(
                **{
                    **phi_long,
                    "num_attention_heads": 3,
                    "rope_parameters": {
                        "rope_type": "longrope",
                        "rope_theta": 900.0,
                        "partial_rotary_factor": 0.75,
                        "short_factor": [1.0, 1.2, 1.6],
                        "long_factor": [1.0, 2.0, 6.0],
                    },
                }
            ),
            "longrope with partial_rotary_factor 0.75 of head_dim 8, new layout",
            lengths=[24, 25],
        ),
    ]


def other_entries():
    """GPT-2, GPT-NeoX, OPT, BLOOM."""
    return [
        entry("gpt2", "gpt2", GPT2LMHeadModel, GPT2Config(**GPT2), "Conv1D weights, tied", long=40),
        entry(
            "gpt2_scaled",
            "gpt2",
            GPT2LMHeadModel,
            GPT2Config(
                **{
                    **GPT2,
                    "scale_attn_by_inverse_layer_idx": True,
                    "reorder_and_upcast_attn": True,
                    "n_inner": 35,
                    "activation_function": "gelu_pytorch_tanh",
                    "tie_word_embeddings": False,
                }
            ),
            "scale_attn_by_inverse_layer_idx, reorder_and_upcast_attn, n_inner 35, untied head, gelu_pytorch_tanh",
            long=40,
        ),
        entry(
            "gpt2_unscaled",
            "gpt2",
            GPT2LMHeadModel,
            GPT2Config(**{**GPT2, "scale_attn_weights": False, "activation_function": "gelu"}),
            "scale_attn_weights false, gelu",
            layout="old",
            long=40,
        ),
        entry(
            "gpt2_no_prefix",
            "gpt2",
            GPT2LMHeadModel,
            GPT2Config(**GPT2),
            "names without `transformer.`, with the causal masks h.*.attn.bias and masked_bias as the published gpt2 has them",
            same_as="gpt2",
            minimal=True,
            edit="no_prefix_masks",
            layout="old",
            long=40,
        ),
        entry(
            "gpt_neox",
            "gpt_neox",
            GPTNeoXForCausalLM,
            GPTNeoXConfig(
                **{
                    **NEOX,
                    "rope_parameters": {"rope_type": "default", "rope_theta": 900.0, "partial_rotary_factor": 0.5},
                }
            ),
            "parallel residual, rotary_pct 0.5, rotary_emb_base 900; masks and inv_freq buffers in the file",
            layout="old",
            edit="neox_buffers",
        ),
        entry(
            "gpt_neox_serial",
            "gpt_neox",
            GPTNeoXForCausalLM,
            GPTNeoXConfig(
                **{
                    **NEOX,
                    "use_parallel_residual": False,
                    "tie_word_embeddings": True,
                    "rope_parameters": {
                        "rope_type": "linear",
                        "factor": 2.0,
                        "rope_theta": 900.0,
                        "partial_rotary_factor": 1.0,
                    },
                }
            ),
            "use_parallel_residual false, full rotary with linear scaling, tied",
        ),
        entry(
            "gpt_neox_no_bias",
            "gpt_neox",
            GPTNeoXForCausalLM,
            GPTNeoXConfig(**{**NEOX, "num_attention_heads": 2, "attention_bias": False, "hidden_act": "gelu_new"}),
            "attention_bias false, gelu_new, rotary keys by default (pct 0.25 of 12, theta 10000)",
            minimal=True,
            layout="old",
            drop=["rotary_pct", "rotary_emb_base"],
        ),
        entry(
            "opt",
            "opt",
            OPTForCausalLM,
            OPTConfig(**OPT),
            "norm before, tied, positions offset by 2",
            minimal=True,
            layout="old",
            long=40,
        ),
        entry(
            "opt_after",
            "opt",
            OPTForCausalLM,
            OPTConfig(
                **{**OPT, "do_layer_norm_before": False, "word_embed_proj_dim": 10, "activation_function": "gelu"}
            ),
            "do_layer_norm_before false (no final norm), word_embed_proj_dim 10 (project_in, project_out), gelu",
            long=40,
        ),
        entry(
            "opt_plain",
            "opt",
            OPTForCausalLM,
            OPTConfig(
                **{
                    **OPT,
                    "enable_bias": False,
                    "layer_norm_elementwise_affine": False,
                    "word_embed_proj_dim": 10,
                    "tie_word_embeddings": False,
                }
            ),
            "enable_bias false, layer_norm_elementwise_affine false, word_embed_proj_dim 10 with norm before, untied",
            long=40,
        ),
        entry(
            "opt_no_final_norm",
            "opt",
            OPTForCausalLM,
            OPTConfig(**{**OPT, "_remove_final_layer_norm": True}),
            "_remove_final_layer_norm; names without `model.`",
            minimal=True,
            edit="no_prefix",
            long=40,
        ),
        entry(
            "bloom",
            "bloom",
            BloomForCausalLM,
            BloomConfig(**BLOOM),
            "ALiBi with 3 heads, norm on embeddings, tied",
            minimal=True,
            layout="old",
        ),
        entry(
            "bloom_post",
            "bloom",
            BloomForCausalLM,
            BloomConfig(**{**BLOOM, "n_head": 6, "apply_residual_connection_post_layernorm": True}),
            "apply_residual_connection_post_layernorm, 6 heads; names without `transformer.`; keys n_embed, num_attention_heads",
            edit="no_prefix",
            drop=["hidden_size", "n_head"],
            put={"n_embed": 24, "num_attention_heads": 6},
        ),
    ]


def entries():
    return llama_entries() + relative_entries() + other_entries() + encoder_entries()
