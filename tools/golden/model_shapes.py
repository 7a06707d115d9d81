"""Shapes of the tiny base models of tests/golden/models, and what an entry of their table is."""

# Epsilons and thetas far from the defaults, so that a reader that ignores the key is seen.
TOKENS = dict(bos_token_id=1, eos_token_id=2, pad_token_id=0)
LLAMA = dict(
    vocab_size=61,
    hidden_size=24,
    intermediate_size=37,
    num_hidden_layers=2,
    num_attention_heads=4,
    num_key_value_heads=2,
    max_position_embeddings=40,
    rms_norm_eps=0.01,
    **TOKENS,
)
# Two heads of 12: six frequencies for a scaling to act on.
ROPED = {**LLAMA, "num_attention_heads": 2, "num_key_value_heads": 1}
QWEN3 = {**LLAMA, "head_dim": 10}
GEMMA = {**LLAMA, "head_dim": 10, "vocab_size": 53, "query_pre_attn_scalar": 7}
# Four layers: sliding, full, sliding, full.
NARROW = dict(hidden_size=16, intermediate_size=21, head_dim=6, num_hidden_layers=4)
LABELS = {0: "no", 1: "maybe", 2: "yes"}
BERT = dict(
    vocab_size=67,
    hidden_size=24,
    intermediate_size=37,
    num_hidden_layers=2,
    num_attention_heads=3,
    max_position_embeddings=40,
    layer_norm_eps=0.01,
    id2label=LABELS,
    label2id={v: k for k, v in LABELS.items()},
)
T5 = dict(
    vocab_size=59,
    d_model=20,
    d_kv=6,
    num_heads=3,
    d_ff=33,
    num_layers=2,
    num_decoder_layers=3,
    relative_attention_num_buckets=10,
    relative_attention_max_distance=21,
    layer_norm_epsilon=0.01,
    decoder_start_token_id=0,
    pad_token_id=0,
    eos_token_id=1,
)
GPT2 = dict(vocab_size=61, n_positions=40, n_embd=24, n_layer=2, n_head=3, layer_norm_epsilon=0.01, **TOKENS)
NEOX = dict(
    vocab_size=61,
    hidden_size=24,
    intermediate_size=37,
    num_hidden_layers=2,
    num_attention_heads=3,
    max_position_embeddings=40,
    layer_norm_eps=0.01,
    **TOKENS,
)
OPT = dict(
    vocab_size=61,
    hidden_size=24,
    ffn_dim=37,
    num_hidden_layers=2,
    num_attention_heads=3,
    max_position_embeddings=40,
    word_embed_proj_dim=24,
    bos_token_id=2,
    eos_token_id=2,
    pad_token_id=1,
)
BLOOM = dict(vocab_size=61, hidden_size=24, n_layer=2, n_head=3, layer_norm_epsilon=0.01, **TOKENS)


def rope(kind, **more):
    return {"rope_type": kind, "rope_theta": 900.0, **more}


def entry(name, family, model, config, what, **options):
    """options: layout (new, old, old_type), long (length of the longest sequence), remark, see make_models.py."""
    return dict(name=name, family=family, model=model, config=config, what=what, **options)
