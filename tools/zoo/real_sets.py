"""The sets and the base that tools/zoo/real works on."""

import argparse
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import program

SPLITS = ("train", "test")


@dataclass
class Task:
    name: str
    folder: Path
    labels: list  # of the training rows, sorted
    judged: list  # of the test rows
    rows: dict  # split: how many
    hash: str  # of the files

    def file(self, split):
        return self.folder / f"{split}.jsonl"


def seeds(text):
    try:
        made = [int(part) for part in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{text}' is no list of whole numbers") from None
    if min(made) < 0 or len(set(made)) != len(made):
        raise argparse.ArgumentTypeError(f"'{text}': expected different numbers, none below 0")
    return made


def find(folder, only):
    """The sets under a folder, those named in `only` if any are."""
    if not folder.is_dir():
        raise program.Failure(f"{folder}: no such folder of sets")
    found = sorted(path for path in folder.iterdir() if path.is_dir() and any(_files(path).values()))
    if not found:
        raise program.Failure(f"{folder}: no set in it, expected folders with train.jsonl and test.jsonl")
    wanted = [name for name in only.split(",") if name]
    unknown = sorted(set(wanted) - {path.name for path in found})
    if unknown:
        raise program.Failure(
            f"{folder}: no set called {', '.join(unknown)}; there are {', '.join(p.name for p in found)}"
        )
    return [_read(path) for path in found if not wanted or path.name in wanted]


def _files(folder):
    return {split: (folder / f"{split}.jsonl").is_file() for split in SPLITS}


def _read(folder):
    missing = [f"{split}.jsonl" for split, there in _files(folder).items() if not there]
    if missing:
        raise program.Failure(f"{folder}: the set lacks {' and '.join(missing)}")
    labels, rows, digest = {split: set() for split in SPLITS}, {}, hashlib.sha256()
    for split in SPLITS:
        path = folder / f"{split}.jsonl"
        content = path.read_bytes()
        digest.update(content)
        lines = content.splitlines()
        rows[split] = len(lines)
        if not lines:
            raise program.Failure(f"{path}: empty")
        for number, line in enumerate(lines, start=1):
            try:
                labels[split].add(str(json.loads(line)["label"]))
            except (ValueError, KeyError, TypeError):
                raise program.Failure(f'{path}:{number}: expected an object with "text" and "label"') from None
    return Task(folder.name, folder, sorted(labels["train"]), sorted(labels["test"]), rows, digest.hexdigest())


def label_flags(task):
    """Test rows that lack a label are still to be sorted into all of them."""
    if task.labels == task.judged:
        return []
    if any("," in label for label in task.labels):
        raise program.Failure(f"{task.file('test')}: lacks some labels of train.jsonl, and one of those has a comma")
    return ["--labels", ",".join(task.labels)]


def upper_layers(base):
    """The upper half of an encoder's layers."""
    try:
        config = json.loads((base / "config.json").read_text(encoding="utf-8"))
        count = next(int(config[key]) for key in ("num_hidden_layers", "n_layers") if key in config)
    except OSError:
        raise program.Failure(f"{base}: no model folder, config.json cannot be read") from None
    except (ValueError, TypeError, StopIteration):
        raise program.Failure(f"{base / 'config.json'}: does not say how many layers there are") from None
    return list(range(count // 2, count))


def fingerprint(base):
    """Of the weights."""
    files = sorted([*base.glob("*.safetensors"), *base.glob("pytorch_model*.bin")])
    if not files:
        raise program.Failure(f"{base}: no weights, expected *.safetensors or pytorch_model*.bin")
    digest = hashlib.sha256()
    for path in files:
        with path.open("rb") as file:
            while chunk := file.read(1 << 20):
                digest.update(chunk)
    return digest.hexdigest()
