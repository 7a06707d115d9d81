"""The adapters that make_attached.py puts on the models of tests/golden/models: one entry per folder of tests/golden/attached."""

from peft import LoraConfig

LLAMA = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
GPT2 = ["c_attn", "c_proj", "c_fc"]
BERT = ["query", "key", "value", "dense"]
T5 = ["q", "k", "v", "o", "wi", "wo"]
FLAN = ["q", "k", "v", "o", "wi_0", "wi_1", "wo"]


def lora(targets, **options):
    return LoraConfig(**{"r": 3, "lora_alpha": 5, "target_modules": targets, **options})


def entry(name, base, adapters, what, **options):
    """adapters: name -> config. options: active (names together), weights (one per active adapter), rows (an adapter
    or None per row of a batch), edit (keys of adapter_config.json changed by hand after saving), near (values stay near
    their initial ones), insert (ids put into the longer case), same_as (an entry with the same adapters and outputs),
    adapters_of (one with the same adapters), merges (False: PEFT cannot merge it, or merges it into a tensor that is
    tied), idle (True: PEFT's forward ignores some of it)."""
    if not isinstance(adapters, dict):
        adapters = {"adapter": adapters}
    return dict(name=name, base=base, adapters=adapters, what=what, **options)


def llama_entries():
    some = ["q_proj", "v_proj", "down_proj"]
    return [
        entry("llama_plain", "llama", lora(LLAMA), "LoRA on all projections"),
        entry("llama_bf16_plain", "llama_bf16", lora(LLAMA), "LoRA on a model stored in bfloat16, run in float32"),
        entry(
            "llama_no_prefix_plain",
            "llama_no_prefix",
            lora(LLAMA),
            "the base's tensors have no `model.`, the adapter's modules have it",
        ),
        entry("llama_rslora", "llama", lora(LLAMA, use_rslora=True), "rsLoRA"),
        entry(
            "llama_patterns",
            "llama",
            lora(
                LLAMA,
                rank_pattern={"q_proj": 5, "layers.1.mlp.up_proj": 1},
                alpha_pattern={"v_proj": 9, "down_proj": 2},
            ),
            "rank_pattern and alpha_pattern",
        ),
        entry(
            "llama_some_layers",
            "llama",
            lora(some, layers_to_transform=[1], exclude_modules=["down_proj"]),
            "layer 1 only, exclude_modules",
        ),
        entry("llama_dora", "llama", lora(LLAMA, use_dora=True), "DoRA on all projections"),
        entry(
            "llama_dora_rslora",
            "llama_bias",
            lora(LLAMA, use_dora=True, use_rslora=True),
            "DoRA with rsLoRA, base with biases",
        ),
        entry("llama_lora_bias", "llama_bias", lora(LLAMA, lora_bias=True), "lora_bias, base with biases"),
        entry(
            "llama_lora_bias_bare", "llama", lora(LLAMA, lora_bias=True), "lora_bias, base without biases", merges=False
        ),
        entry("llama_bias_all", "llama_bias", lora(some, bias="all"), "bias all: every bias of the base replaced"),
        entry("llama_bias_lora_only", "llama_bias", lora(some, bias="lora_only"), "bias lora_only"),
        entry("llama_embedding", "llama", lora(["embed_tokens", "q_proj"]), "LoRA on embed_tokens"),
        entry(
            "llama_embedding_tied",
            "llama_tied",
            lora(["embed_tokens", "q_proj"]),
            "LoRA on embed_tokens of a tied model: the head stays",
            merges=False,
        ),
        entry(
            "llama_embedding_both",
            "llama_tied",
            lora(["embed_tokens", "q_proj"], ensure_weight_tying=True),
            "the same with ensure_weight_tying: the head has the transposed pair",
            merges=False,
        ),
        entry("llama_head", "llama", lora(["lm_head", "q_proj"]), "LoRA on lm_head"),
        entry(
            "llama_head_tied",
            "llama_tied",
            lora(["lm_head", "q_proj"]),
            "LoRA on lm_head of a tied model: the embedding stays",
            merges=False,
        ),
        entry(
            "llama_dora_embedding",
            "llama",
            lora(["embed_tokens", "lm_head", "q_proj"], use_dora=True),
            "DoRA on embed_tokens and lm_head",
        ),
        entry("llama_save_head", "llama", lora(some, modules_to_save=["lm_head"]), "modules_to_save: lm_head"),
        entry(
            "llama_save_both",
            "llama",
            lora(some, modules_to_save=["embed_tokens", "lm_head"]),
            "modules_to_save: embed_tokens and lm_head",
        ),
        entry(
            "llama_save_tied",
            "llama_tied",
            lora(some, modules_to_save=["embed_tokens"]),
            "modules_to_save: embed_tokens of a tied model, PEFT's default",
        ),
        entry(
            "llama_save_tied_both",
            "llama_tied",
            lora(some, modules_to_save=["embed_tokens"], ensure_weight_tying=True),
            "modules_to_save: embed_tokens of a tied model with ensure_weight_tying",
        ),
        entry("llama_save_norm", "llama", lora(some, modules_to_save=["norm"]), "modules_to_save: the final norm"),
        entry(
            "llama_tokens",
            "llama",
            lora(some, trainable_token_indices={"embed_tokens": [3, 7, 11, 60]}),
            "trainable tokens of the embedding",
            insert=[7, 11],
        ),
        entry(
            "llama_tokens_tied",
            "llama_tied",
            lora(some, trainable_token_indices=[3, 7, 11]),
            "trainable tokens of a tied model: the head follows",
        ),
        entry(
            "llama_tokens_head",
            "llama",
            lora(some, trainable_token_indices={"embed_tokens": [5, 9], "lm_head": [4, 9]}),
            "trainable tokens of embedding and head, untied",
            insert=[5, 9],
        ),
        entry(
            "llama_pissa",
            "llama",
            lora(some, init_lora_weights="pissa"),
            "PiSSA: the base changes when the adapter is put on",
            near=True,
        ),
        entry(
            "llama_olora",
            "llama",
            lora(some, init_lora_weights="olora"),
            "OLoRA: the base changes when the adapter is put on",
            near=True,
        ),
        entry("llama_mica", "llama", lora(some, init_lora_weights="mica"), "MiCA: an ordinary update"),
        entry(
            "llama_kasa",
            "llama",
            lora(some, kasa_config={}),
            "KaSA: the base is truncated when the adapter is put on",
            near=True,
        ),
        entry(
            "llama_bdlora",
            "llama",
            lora(
                ["q_proj", "o_proj"],
                r=4,
                use_bdlora={"target_modules_bd_a": ["o_proj"], "target_modules_bd_b": ["q_proj"], "nblocks": 2},
            ),
            "BD-LoRA: block diagonal factors",
        ),
        entry(
            "llama_velora",
            "llama",
            lora(some, velora_config={"num_groups": 1, "scale": 1.0, "init_type": "random"}),
            "VeLoRA: ordinary in evaluation",
        ),
        entry(
            "llama_monteclora",
            "llama",
            lora(some, monteclora_config={"num_samples": 2, "buffer_size": 2}),
            "MonteCLoRA: ordinary in evaluation",
        ),
        entry(
            "llama_alora",
            "llama",
            lora(some, alora_invocation_tokens=[7, 8], task_type="CAUSAL_LM"),
            "aLoRA: acts from the last invocation sequence 7 8 on; nothing where there is none",
            insert=[7, 8],
            merges=False,
        ),
        entry(
            "llama_parameters",
            "llama",
            lora([], target_parameters=["q_proj.weight", "layers.1.mlp.down_proj.weight"]),
            "target_parameters on matrices",
        ),
        entry("llama_regex", "llama", lora(r".*layers\.0\..*(q|up)_proj"), "target_modules is a regular expression"),
    ]


def several_entries():
    two = {"a": lora(LLAMA), "b": lora(["q_proj", "v_proj"], r=2, lora_alpha=3)}
    three = {**two, "c": lora(LLAMA, r=7, lora_alpha=4, use_rslora=True)}
    dora = {"plain": lora(LLAMA), "dora": lora(LLAMA, r=2, use_dora=True)}
    plain_gpt2 = {"a": lora(GPT2, fan_in_fan_out=True), "b": lora(["c_attn"], r=1, fan_in_fan_out=True)}
    embed = {"a": lora(["embed_tokens", "q_proj"]), "b": lora(["embed_tokens", "lm_head"], r=2)}
    heads = {
        "a": lora(["query", "value"], task_type="SEQ_CLS"),
        "b": lora(["query", "dense"], r=2, task_type="SEQ_CLS"),
    }
    return [
        entry("llama_two", "llama", two, "two adapters active together, unequal ranks and targets", active=["a", "b"]),
        entry("llama_three", "llama", three, "three adapters active together", active=["a", "b", "c"]),
        entry(
            "llama_weighted",
            "llama",
            two,
            "two adapters active together, scaled by weights",
            active=["a", "b"],
            weights=[0.7, -0.4],
        ),
        entry("llama_one_of_three", "llama", three, "three adapters loaded, one active", active=["c"]),
        entry(
            "llama_plain_dora",
            "llama",
            dora,
            "a plain and a DoRA adapter active, in this order",
            active=["plain", "dora"],
        ),
        entry(
            "llama_dora_plain",
            "llama",
            dora,
            "a DoRA and a plain adapter active, in this order",
            active=["dora", "plain"],
            adapters_of="llama_plain_dora",
        ),
        entry(
            "llama_two_dora",
            "llama",
            {"a": lora(LLAMA, use_dora=True), "b": lora(["q_proj"], r=2, use_dora=True)},
            "two DoRA adapters active",
            active=["a", "b"],
        ),
        entry(
            "llama_two_bias",
            "llama_bias",
            {"a": lora(LLAMA, lora_bias=True), "b": lora(LLAMA, r=2)},
            "one of two active adapters has lora_bias",
            active=["a", "b"],
        ),
        entry("llama_two_embeddings", "llama", embed, "two active adapters on embed_tokens", active=["a", "b"]),
        entry("gpt2_two", "gpt2", plain_gpt2, "two adapters on Conv1D active together", active=["a", "b"]),
        entry("llama_rows", "llama", three, "an adapter per row of the batch", rows=["a", None, "b", "c", "a"]),
        entry(
            "llama_rows_embeddings",
            "llama",
            embed,
            "an adapter per row, embeddings and head among the targets",
            rows=["b", "a", None],
        ),
        entry("gpt2_rows", "gpt2", plain_gpt2, "an adapter per row on Conv1D", rows=["b", None, "a"]),
        entry("bert_rows", "bert", heads, "an adapter per row, each with its own classifier", rows=["a", "b", "a"]),
        entry(
            "t5_rows",
            "t5_gated_silu",
            {"a": lora(["q", "v"]), "b": lora(["q", "wo"], r=2)},
            "an adapter per row of an encoder-decoder",
            rows=["a", None, "b"],
        ),
    ]


def other_entries():
    fan = dict(fan_in_fan_out=True)
    return [
        entry("gpt2_plain", "gpt2", lora(GPT2, **fan), "LoRA on all Conv1D layers"),
        entry(
            "gpt2_wrong_flag",
            "gpt2",
            lora(GPT2, **fan),
            "the same kind with fan_in_fan_out false in the file: the base layer decides",
            edit={"fan_in_fan_out": False},
            same_as="gpt2_plain",
        ),
        entry(
            "llama_wrong_flag",
            "llama",
            lora(LLAMA),
            "fan_in_fan_out true in the file of a model without Conv1D: the base layer decides",
            edit={"fan_in_fan_out": True},
            same_as="llama_plain",
        ),
        entry(
            "gpt2_no_prefix_plain",
            "gpt2_no_prefix",
            lora(GPT2, **fan),
            "the base's tensors have no `transformer.`",
            same_as="gpt2_plain",
        ),
        entry("gpt2_dora", "gpt2", lora(GPT2, use_dora=True, **fan), "DoRA on Conv1D"),
        entry(
            "gpt2_dora_wrong_flag",
            "gpt2",
            lora(GPT2, use_dora=True, **fan),
            "DoRA on Conv1D with fan_in_fan_out false in the file",
            edit={"fan_in_fan_out": False},
            same_as="gpt2_dora",
        ),
        entry(
            "gpt2_dora_embedding",
            "gpt2",
            lora(["wte", "wpe", "c_attn"], use_dora=True, **fan),
            "DoRA on both embeddings of a tied model",
            merges=False,
        ),
        entry("gpt2_rslora", "gpt2", lora(GPT2, use_rslora=True, **fan), "rsLoRA on Conv1D"),
        entry("gpt2_lora_bias", "gpt2", lora(GPT2, lora_bias=True, **fan), "lora_bias on Conv1D"),
        entry("gpt2_bias_all", "gpt2", lora(["c_attn"], bias="all", **fan), "bias all, norms' biases included"),
        entry("gpt2_bias_lora_only", "gpt2", lora(["c_attn", "c_fc"], bias="lora_only", **fan), "bias lora_only"),
        entry(
            "gpt2_embedding",
            "gpt2",
            lora(["wte", "c_attn"], **fan),
            "LoRA on wte of a tied model: the head stays",
            merges=False,
        ),
        entry("gpt2_positions", "gpt2", lora(["wpe", "c_attn"], **fan), "LoRA on wpe"),
        entry("gpt2_head", "gpt2_scaled", lora(["lm_head", "c_attn"], **fan), "LoRA on an untied lm_head"),
        entry(
            "gpt2_tokens",
            "gpt2",
            lora(["c_attn"], trainable_token_indices={"wte": [3, 9]}, **fan),
            "trainable tokens, tied",
        ),
        entry(
            "gpt2_save_head",
            "gpt2_scaled",
            lora(["c_attn"], modules_to_save=["lm_head"], **fan),
            "modules_to_save: untied lm_head",
        ),
        entry("gpt2_pissa", "gpt2", lora(GPT2, init_lora_weights="pissa", **fan), "PiSSA on Conv1D", near=True),
        entry(
            "bert_plain",
            "bert",
            lora(BERT, task_type="SEQ_CLS"),
            "LoRA on all layers, the pooler's dense included; the classifier is saved whole",
        ),
        entry(
            "bert_old_names_plain",
            "bert_old_names",
            lora(["query", "value"], task_type="SEQ_CLS"),
            "a base with old names",
        ),
        entry("bert_dora", "bert", lora(["query", "value", "dense"], use_dora=True, task_type="SEQ_CLS"), "DoRA"),
        entry(
            "bert_embedding",
            "bert",
            lora(["word_embeddings", "position_embeddings", "query"], task_type="SEQ_CLS"),
            "LoRA on two embeddings",
        ),
        entry(
            "bert_classifier", "bert", lora(["classifier", "query"]), "LoRA on the classifier instead of a saved one"
        ),
        entry("bert_bias_all", "bert", lora(["query"], bias="all", task_type="SEQ_CLS"), "bias all"),
        entry(
            "bert_bias_lora_only",
            "bert",
            lora(["query", "value"], bias="lora_only", task_type="SEQ_CLS"),
            "bias lora_only",
        ),
        entry("bert_lora_bias", "bert", lora(["query", "value"], lora_bias=True, task_type="SEQ_CLS"), "lora_bias"),
        entry(
            "bert_sentence_plain",
            "bert_sentence",
            lora(["query", "value", "dense"]),
            "LoRA on a sentence encoder whose tensors have no prefix",
        ),
        entry(
            "roberta_plain",
            "roberta",
            lora(["query", "value", "dense"], task_type="SEQ_CLS"),
            "LoRA; `dense` also hits classifier.dense, which is saved whole",
        ),
        entry(
            "distilbert_plain",
            "distilbert",
            lora(["q_lin", "v_lin", "lin1", "lin2"], task_type="SEQ_CLS"),
            "LoRA; pre_classifier and classifier are saved whole",
        ),
        entry("t5_plain", "t5", lora(T5), "LoRA on all projections of both stacks"),
        entry("t5_rslora", "t5", lora(["q", "v"], use_rslora=True), "rsLoRA on q and v"),
        entry("t5_dora", "t5", lora(T5, use_dora=True), "DoRA"),
        entry(
            "t5_shared",
            "t5",
            lora(["shared", "q"]),
            "LoRA on the shared embedding: transformers 5 looks tokens up in embed_tokens of the stacks, so it does nothing",
            merges=False,
            idle=True,
        ),
        entry(
            "t5_embed_tokens", "t5", lora(["embed_tokens", "q"]), "LoRA on embed_tokens of both stacks", merges=False
        ),
        entry(
            "t5_two",
            "t5",
            {"a": lora(["q", "v"]), "b": lora(T5, r=2)},
            "two adapters active together",
            active=["a", "b"],
        ),
        entry("flan_t5_plain", "flan_t5", lora(FLAN), "LoRA on all projections, gated"),
        entry("flan_t5_head", "flan_t5", lora(["lm_head", "q", "v"]), "LoRA on an own lm_head"),
        entry(
            "flan_t5_save_head",
            "flan_t5",
            lora(["q", "v"], modules_to_save=["lm_head"]),
            "modules_to_save: own lm_head",
        ),
    ]


def family_entries():
    """Plain LoRA on every linear layer of the remaining families: names and fused weights."""
    bases = ["mistral", "qwen2", "qwen3", "gemma2", "gemma3", "gemma3_nested", "phi3", "gpt_neox", "gpt_neox_serial"]
    bases += ["opt", "opt_after", "bloom", "bloom_post", "flan_t5_old"]
    more = {"gemma3_nested": {"exclude_modules": r".*(vision|projector).*"}}
    return [
        entry(f"{base}_all_linear", base, lora("all-linear", r=2, **more.get(base, {})), "LoRA on all linear layers")
        for base in bases
    ]


def entries():
    return llama_entries() + several_entries() + other_entries() + family_entries()
