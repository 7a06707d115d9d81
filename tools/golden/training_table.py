"""The trainings of make_training.py: one entry per folder of tests/golden/training."""

from peft import LoraConfig

LLAMA = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]

COMPLETIONS = [
    ("red fox runs", "over the hill"),
    ("the bird", "sings all day long"),
    ("old stone", "rests"),
    ("green river bends and bends", "to the sea"),
    ("we see", "a small white house by the river"),
    ("dog and cat", "run"),
    ("snow", "falls on the old house"),
    ("she reads", "a long book"),
]
TEXTS = ["red fox runs over the hill", "the old bird sings", "snow falls on green stone and white river", "we run"]
LABELLED = [
    ("the red fox runs by the river", "animal"),
    ("a small bird sings", "animal"),
    ("white stone", "mineral"),
    ("old stone rests on the hill", "mineral"),
    ("green leaf falls", "green_plant"),
    ("long grass bends", "green_plant"),
]
CLASSES = ["no", "maybe", "yes"]


def lora(targets, **options):
    return LoraConfig(**{"r": 4, "lora_alpha": 6, "target_modules": targets, **options})


def entry(name, base, config, what, **options):
    """config: None for all weights. options: data (`completion`, `text`, `similarity`, `label`), accumulate, zero_b (the adapter
    starts as PEFT draws it, B zero; else every tensor of it is moved), rate, clip."""
    defaults = dict(data="completion", accumulate=1, zero_b=False, rate=0.01, clip=1.0)
    return dict(name=name, base=base, config=config, what=what) | defaults | options


def entries():
    return [
        entry("llama_plain", "llama", lora(["q_proj", "v_proj"]), "q and v, B zero at the start", zero_b=True),
        entry("llama_all_linear", "llama", lora(LLAMA), "all projections"),
        entry("llama_text", "llama", lora(["q_proj", "v_proj"]), "plain texts", data="text"),
        entry("llama_unclipped", "llama", lora(["q_proj", "v_proj"]), "no bound on the gradient", clip=0.0),
        entry("llama_accumulate", "llama", lora(["q_proj", "v_proj"]), "two batches per update", accumulate=2),
        entry("llama_rslora", "llama", lora(["q_proj", "v_proj"], use_rslora=True), "rsLoRA"),
        entry("llama_dora", "llama", lora(LLAMA, use_dora=True), "DoRA on all projections"),
        entry("llama_bias_all", "llama_bias", lora(["q_proj", "down_proj"], bias="all"), "all biases of the base"),
        entry(
            "llama_bias_lora_only",
            "llama_bias",
            lora(["q_proj", "down_proj"], bias="lora_only"),
            "biases of the adapted modules",
        ),
        entry("gpt2_plain", "gpt2", lora(["c_attn", "c_proj"], fan_in_fan_out=True), "transposed weights"),
        entry("gpt2_bias_all", "gpt2", lora(["c_attn"], fan_in_fan_out=True, bias="all"), "biases of norms too"),
        entry("gpt2_dora", "gpt2", lora(["c_attn"], fan_in_fan_out=True, use_dora=True), "DoRA on transposed weights"),
        entry("t5_plain", "t5", lora(["q", "v"]), "encoder-decoder"),
        entry("bert_similarity", "bert_sentence", lora(["query", "value"]), "label similarity", data="similarity"),
        entry("bert_classify", "bert", lora(["query", "value"]), "labels of a classification head", data="label"),
        entry("llama_all_weights", "llama", None, "all weights"),
        entry("llama_tied_all_weights", "llama_tied", None, "all weights, tied embeddings"),
    ]
