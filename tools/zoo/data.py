"""Writes the zoo's data: what the base and the adapters are trained on, and few-shot and test files for every task."""

import json

import dialects
import tasks
from draws import Draws

DOCUMENTS = 3  # percent of what the base sees are sentences, the rest are tasks
BASE_EXAMPLES = 256_000  # 4000 updates of 64
TASK_TRAIN, DIALECT_TRAIN = 3200, 300
FEW, TEST = 10, 200
DIALECT_FEW, DIALECT_TEST = 8, 100
SHIPPED_TRAIN = ["reverse", "upper", "sea", "pirate"]  # to train on at once; the others are made again


def write_lines(path, examples):
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for one in examples:
            file.write(json.dumps(one) + "\n")


def _base_example(draws):
    if draws.chance(DOCUMENTS):
        return {"prompt": "", "completion": dialects.document(draws)}
    return tasks.base_example(draws)


def write_base_data(folder, seed):
    draws = Draws(seed, "base")
    write_lines(folder / "train.jsonl", (_base_example(draws) for _ in range(BASE_EXAMPLES)))


def write_task_data(folder, seed):
    """train, few and test of every adapter's task; few and test of every unseen pair."""
    for name in tasks.ADAPTERS:
        draws, taken = Draws(seed, name), set()
        made = {
            "test": tasks.distinct(TEST, lambda: tasks.own_example(name, draws), taken),
            "few": tasks.distinct(FEW, lambda: tasks.own_example(name, draws), taken),
            "train": tasks.distinct(TASK_TRAIN, lambda: tasks.adapter_example(name, draws), taken),
        }
        for split, examples in made.items():
            write_lines(folder / name / f"{split}.jsonl", examples)
    for pair in tasks.UNSEEN:
        name, taken = tasks.name_of(pair), set()
        draws = Draws(seed, name)
        for split, count in ("test", TEST), ("few", FEW):
            examples = tasks.distinct(count, lambda: tasks.unseen_example(pair, draws), taken)
            write_lines(folder / name / f"{split}.jsonl", examples)


def write_dialect_data(folder, seed):
    for name in dialects.ADAPTERS:
        draws = Draws(seed, name)
        for split, count in ("test", DIALECT_TEST), ("few", DIALECT_FEW), ("train", DIALECT_TRAIN):
            texts = ({"text": dialects.adapter_document(name, draws)} for _ in range(count))
            write_lines(folder / name / f"{split}.jsonl", texts)
    for pair in dialects.UNSEEN:
        name = dialects.name_of(pair)
        draws = Draws(seed, name)
        for split, count in ("test", DIALECT_TEST), ("few", DIALECT_FEW):
            write_lines(
                folder / name / f"{split}.jsonl", ({"text": dialects.document(draws, *pair)} for _ in range(count))
            )


def shipped():
    """{task: splits} of what stays in the zoo."""
    made = {}
    for name in tasks.ADAPTERS + dialects.ADAPTERS:
        made[name] = ["few", "test"] + (["train"] if name in SHIPPED_TRAIN else [])
    for name in [tasks.name_of(pair) for pair in tasks.UNSEEN] + [dialects.name_of(pair) for pair in dialects.UNSEEN]:
        made[name] = ["few", "test"]
    return made
