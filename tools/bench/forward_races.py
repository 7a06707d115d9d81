"""The races of tools/bench/forward: which models and passes, and how both sides take turns. Standard library only."""

import json
import os
import random
import statistics
import subprocess
import time
from dataclasses import dataclass, field

import racing

VOCABULARY = 8000  # moderate, so that the head does not hide the rest
MODELS = [
    {"name": "512", "hidden": 512, "layers": 8, "heads": 8, "kv_heads": 8, "feed_forward": 1376},
    {"name": "1024", "hidden": 1024, "layers": 12, "heads": 16, "kv_heads": 16, "feed_forward": 2816},
]
ADAPTERS = (0, 1, 4, 16, 64)
RANKS = (8, 16)
PASSES = (("prefill", 1, 256), ("prefill", 1, 512), ("prefill", 4, 128), ("decode", 1, 128))
SERVED = 8  # adapters of a batch with one per row, and of a population; vectors of the population
STEPS = 32  # of a decode
SERVING_SECONDS = 0.5  # of one turn of one side
AIMED = 16  # adapters the aims speak of
AIMS = {"base": 1.3, "prefill": 2.0, "decode": 4.0, "memory": 0.25}
AGREEMENT = 1e-4  # of the logits of both sides, relative


@dataclass
class Race:
    model: dict
    rank: int
    adapters: int
    kind: str
    sequences: int
    length: int
    extra: dict = field(default_factory=dict)  # of the job
    result: dict = field(default_factory=dict)

    @property
    def name(self):
        kind = "rows" if "choice" in self.extra else "population" if "weights" in self.extra else self.kind
        return f"{self.model['name']}/r{self.rank}/x{self.adapters}/{kind}/{self.sequences}x{self.length}"

    @property
    def aims(self):
        """What to reach: a multiple of our own base, and how often PEFT's time may hold ours; or nothing."""
        plain = self.adapters == AIMED and not self.extra
        return (AIMS["base"], AIMS[self.kind]) if plain else (None, None)

    def job(self):
        draw = random.Random(self.length)
        ids = [[draw.randrange(VOCABULARY) for _ in range(self.length)] for _ in range(self.sequences)]
        feed = {"feed": [draw.randrange(VOCABULARY) for _ in range(STEPS)]}
        return {"kind": self.kind, "ids": ids, **(feed if self.kind == "decode" else {}), **self.extra}


def population():
    draw = random.Random(1)
    return [[round(draw.uniform(-1, 1), 3) for _ in range(SERVED)] for _ in range(SERVED)]


def races_of(model, rank, adapters):
    if adapters == SERVED:
        choice, weights = {"choice": list(range(SERVED))}, {"weights": population()}
        return [
            Race(model, rank, adapters, "prefill", SERVED, 64, choice),
            Race(model, rank, adapters, "prefill", 1, 128, weights),
        ]
    return [Race(model, rank, adapters, *one) for one in PASSES]


class Worker(racing.Worker):
    """A process with a model that answers jobs."""

    def ask(self, job):
        self.child.stdin.write(json.dumps(job) + "\n")
        self.child.stdin.flush()
        line = self.read()
        while not line.startswith("{"):
            line = self.read()
        return json.loads(line)


class Pair:
    """Both sides with the same adapters."""

    def __init__(self, track, folder, adapters):
        base, pool = str(folder / "base"), [str(folder / f"a{i:02d}") for i in range(adapters)]
        self.sides = {}
        try:
            self.sides["ours"] = Worker([str(track.bench), base, *pool], track.environment)
            script = [track.python, str(track.here / "peft_forward.py"), base, str(track.threads), *pool]
            self.sides["peft"] = Worker(script, track.environment)
        except racing.RaceError:
            self.stop()
            raise

    def resident(self):
        """Memory after one short pass, when everything that is needed has been touched."""
        job = {"kind": "prefill", "ids": [[1] * 16], "seconds": 0}
        return {side: worker.ask(job)["resident_kib"] for side, worker in self.sides.items()}

    def stop(self):
        for worker in self.sides.values():
            worker.stop()


class Track:
    """Where races take place: programs, folders, threads."""

    def __init__(self, root, build, python, threads, rounds):
        self.here = root / "tools" / "bench"
        self.bench = build / "tools" / "bench" / "weft_forward_bench" if build.is_dir() else build
        self.bases = root / "build" / "bench" / "bases"
        self.scratch = root / "build" / "bench" / f"logits-{os.getpid()}"
        self.python, self.threads, self.rounds = python, threads, rounds
        self.environment = racing.peer_environment(threads)

    def prepare(self, model, rank):
        """The folder of the model with as many adapters as the largest race takes."""
        name = f"forward-{model['name']}-r{rank}"
        base = {**model, "name": name, "vocabulary": VOCABULARY, "rank": rank, "adapters": max(ADAPTERS)}
        command = [self.python, str(self.here / "make_base.py"), str(self.bases), json.dumps(base)]
        subprocess.run(command, check=True, env=racing.peer_environment(1))
        return self.bases / base["name"]

    def check(self, pair, job):
        """One pass of each side, which also warms them up; how far their logits are apart."""
        path = str(self.scratch)
        pair.sides["ours"].ask({**job, "seconds": 0, "save": path})
        difference = pair.sides["peft"].ask({**job, "seconds": 0, "compare": path})["difference"]
        os.unlink(path)
        if not difference <= AGREEMENT:
            raise racing.RaceError(f"the logits of both sides differ by {difference:.1e}, expected {AGREEMENT:.0e}")
        return difference

    def run(self, race, base, pair):
        """`base` has no adapters, and is `pair` itself where the race has none."""
        job, plain = race.job(), Race(race.model, 0, 0, race.kind, race.sequences, race.length).job()
        self.check(base, plain)
        race.result["difference"] = self.check(pair, job)
        turns = {"ours_base": (base, "ours"), "peft_base": (base, "peft")}
        if pair is not base:
            turns |= {"ours": (pair, "ours"), "peft": (pair, "peft")}
        seconds = {name: [] for name in turns}
        for _ in range(self.rounds):
            for name, (workers, side) in turns.items():
                work = plain if name.endswith("_base") else job
                reply = workers.sides[side].ask({**work, "seconds": SERVING_SECONDS})
                seconds[name] += reply["seconds"]
                race.result[f"{name}_memory_kib"] = reply["memory_kib"]
                time.sleep(racing.PAUSE)
        for name, some in seconds.items():
            race.result[name] = {"median": statistics.median(some), "min": min(some), "runs": len(some)}
        for side in ("ours", "peft"):
            race.result.setdefault(side, race.result[f"{side}_base"])
