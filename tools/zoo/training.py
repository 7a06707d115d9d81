"""How the zoo's base and its adapters are trained: options of `weft train`."""

BASE = {
    "all_weights": True,
    "from_scratch": True,
    "steps": 4000,
    "batch": 64,
    "learning_rate": 0.002,
    "beta2": 0.98,
    "weight_decay": 0.01,
    "warmup": 100,
    "schedule": "linear",
    "hold": 0.5,
    "final_rate": 0.02,
    "save_every": 500,
}
ADAPTER = {
    "rank": 4,
    "alpha": 8,
    "targets": "all-linear",
    "steps": 100,
    "learning_rate": 0.003,
    "beta2": 0.99,
    "warmup": 10,
    "schedule": "cosine",
    "final_rate": 0.05,
}
TASK_ADAPTER = {**ADAPTER, "layers": [0, 1], "batch": 64}
DIALECT_ADAPTER = {**ADAPTER, "batch": 16}
