"""The races of tools/bench/train: which trainings, and how both sides take turns. Standard library only."""

import json
import os
import random
import shutil
import statistics
import subprocess
from dataclasses import dataclass, field

import racing

BASES = {
    "tiny": {"hidden": 128, "layers": 4, "heads": 4, "kv_heads": 4, "feed_forward": 344, "vocabulary": 1024},
    "24M": {"hidden": 512, "layers": 6, "heads": 8, "kv_heads": 8, "feed_forward": 1376, "vocabulary": 10240},
}
ATTENTION = ["q_proj", "v_proj"]
ALL = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
WARM_UP = 3  # updates that are not counted
BATCHES = 4  # different ones, in turn
TIME_AIMS, MEMORY_AIM = (1.0, 0.5), 1.0
AGREEMENT = 1e-3  # of the losses of the warm-up, relative


@dataclass
class Race:
    name: str
    base: str  # of BASES, or `minilm`
    targets: list
    layers: list
    sequences: int
    lengths: tuple
    result: dict = field(default_factory=dict)

    def batches(self, vocabulary):
        draw = random.Random(7)

        def rows(count, lengths):
            return [[draw.randrange(200, vocabulary) for _ in range(draw.randint(*lengths))] for _ in range(count)]

        out = []
        labels = rows(8, (3, 6)) if self.base == "minilm" else None
        for _ in range(BATCHES):
            batch = {"ids": rows(self.sequences, self.lengths)}
            if labels:
                batch |= {"labels": labels, "right": [draw.randrange(8) for _ in range(self.sequences)]}
            out.append(batch)
        return out


def races():
    upper = [3, 4, 5]
    return [
        Race("tiny/all", "tiny", ALL, [], 64, (8, 34)),
        Race("24M/qv", "24M", ATTENTION, [], 8, (64, 128)),
        Race("24M/all", "24M", ALL, [], 8, (64, 128)),
        Race("24M/qv/upper", "24M", ATTENTION, upper, 8, (64, 128)),
        Race("24M/all/upper", "24M", ALL, upper, 8, (64, 128)),
        Race("minilm/qv/upper", "minilm", ["query", "value"], upper, 16, (10, 40)),
        Race("minilm/qv", "minilm", ["query", "value"], [], 16, (10, 40)),
    ]


class Track:
    """Where races take place: programs, folders, threads."""

    def __init__(self, root, build, python, threads, rounds):
        self.here = root / "tools" / "bench"
        self.bench = build / "tools" / "bench" / "weft_train_bench" if build.is_dir() else build
        self.bases = root / "build" / "bench" / "bases"
        self.scratch = root / "build" / "bench" / f"train-{os.getpid()}"
        self.python, self.threads, self.rounds = python, threads, rounds
        self.environment = racing.peer_environment(threads)

    def base(self, race):
        """The folder of the race's model, made where it is missing, and its vocabulary."""
        if race.base != "minilm":
            base = {**BASES[race.base], "name": f"train-{race.base}", "rank": 8, "adapters": 0}
            command = [self.python, str(self.here / "make_base.py"), str(self.bases), json.dumps(base)]
            subprocess.run(command, check=True, env=racing.peer_environment(1))
            return self.bases / base["name"] / "base", base["vocabulary"]
        folder = os.environ.get("WEFT_MINILM")
        if not folder:
            folder = str(self.bases / "train-encoder")
            command = [self.python, str(self.here / "make_encoder.py"), folder]
            subprocess.run(command, check=True, env=racing.peer_environment(1))
        return folder, 30522

    def job(self, race):
        folder, vocabulary = self.base(race)
        self.scratch.mkdir(parents=True, exist_ok=True)
        path, start = self.scratch / "job.json", self.scratch / "start"
        shutil.rmtree(start, ignore_errors=True)
        job = {"kind": "similarity" if race.base == "minilm" else "causal", "base": str(folder), "start": str(start)}
        job |= {"rank": 8, "alpha": 16, "targets": race.targets, "layers": race.layers}
        path.write_text(json.dumps(job | {"batches": race.batches(vocabulary)}))
        command = [self.python, str(self.here / "peft_train.py"), "--start", str(path), str(self.threads)]
        subprocess.run(command, check=True, env=self.environment)
        return str(path)

    def run(self, race):
        path = self.job(race)
        workers = {}
        try:
            workers["ours"] = racing.Worker([str(self.bench), path], self.environment)
            script = [self.python, str(self.here / "peft_train.py"), path, str(self.threads)]
            workers["peft"] = racing.Worker(script, self.environment)
            for _ in range(WARM_UP):
                losses = {side: worker.run(count=False)["loss"] for side, worker in workers.items()}
                apart = abs(losses["ours"] / losses["peft"] - 1)
                if not apart <= AGREEMENT:
                    raise racing.RaceError(f"the losses are {losses['ours']:.6g} and {losses['peft']:.6g}")
            race.result["difference"] = apart
            for _ in range(self.rounds):
                for worker in workers.values():
                    for _ in range(BATCHES):
                        worker.run()
            for side, worker in workers.items():
                race.result[side] = racing.summary(worker.runs)
                race.result[side]["mean"] = statistics.mean(r["seconds"] for r in worker.runs)
        finally:
            for worker in workers.values():
                worker.stop()
            shutil.rmtree(self.scratch, ignore_errors=True)
