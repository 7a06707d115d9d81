"""The races of tools/bench/merge: what is merged, how, and by which commands."""

import json
import shutil
import subprocess
from dataclasses import dataclass, field

import racing

PEFT_NAMES = {"svd": "svd", "ties": "ties_svd", "dare_ties": "dare_ties_svd", "linear": "linear", "cat": "cat"}
RANK = 16
DENSITY = 0.5


@dataclass
class Race:
    kind: str  # kernel, process, open
    method: str
    pool: dict
    quick: bool = False  # also run with --quick
    rounds: int = racing.MOST_ROUNDS
    note: str = ""
    result: dict = field(default_factory=dict)

    @property
    def name(self):
        return f"{self.kind}/{self.method}/{self.pool['name']}"


def pool(label, shapes, adapters, rank):
    return {"name": f"{label}-{adapters}xr{rank}", "shapes": shapes, "adapters": adapters, "rank": rank}


def kernel_pools():
    """(out, in, adapters, rank, also with --quick); the first four are those of the project's targets."""
    return [
        (768, 768, 4, 8, True),
        (2048, 2048, 16, 8, True),
        (4096, 4096, 4, 16, False),
        (14336, 4096, 4, 16, False),
        (768, 768, 16, 64, True),
        (2048, 2048, 4, 64, False),
    ]


def all_races():
    races = []
    for out, into, adapters, rank, quick in kernel_pools():
        for method in ("svd", "ties", "dare_ties"):
            label = pool(f"{out}x{into}", [[out, into]], adapters, rank)
            races.append(Race("kernel", method, label, quick))
    gpt2 = pool("48of768x768", [[768, 768]] * 48, 4, 8)
    middle = pool("8of2048x2048", [[2048, 2048]] * 8, 4, 16)
    big = pool("6of4096x4096+2of14336x4096", [[4096, 4096]] * 6 + [[14336, 4096]] * 2, 4, 16)
    races += [
        Race("process", "linear", gpt2, True, 3),
        Race("process", "cat", gpt2, True, 3),
        Race("process", "linear", middle, False, 3),
        Race("process", "cat", middle, False, 3),
        Race("process", "svd", gpt2, True, 2),
        Race("process", "svd", big, False, 1),
        Race("process", "ties", middle, False, 1),
    ]
    thousand = pool("1000of72x32x32", [[32, 32]] * 72, 1000, 8)
    races += [
        Race("open", "in_process", thousand, True, 3),
        Race("open", "process", thousand, True, 1, "ours: weft inspect --headers, tabulated; PEFT: opened only"),
    ]
    return races


class Track:
    """Where races take place: programs, folders, threads."""

    def __init__(self, root, build, python, threads, quick):
        self.here = root / "tools" / "bench"
        self.weft, self.bench = build / "weft", build / "tools" / "bench" / "weft_bench"
        self.pools, self.out = root / "build" / "bench" / "pools", root / "build" / "bench" / "out"
        self.python, self.threads, self.quick = python, threads, quick
        self.environment = racing.peer_environment(threads)

    def peft(self, *args):
        return [self.python, str(self.here / "peft_side.py"), *map(str, args)]

    def prepare(self, race):
        command = [self.python, str(self.here / "make_pools.py"), str(self.pools), json.dumps(race.pool)]
        subprocess.run(command, check=True, env=self.environment)
        shutil.rmtree(self.out, ignore_errors=True)
        self.out.mkdir(parents=True)
        return self.pools / race.pool["name"]

    def members(self, folder):
        return sorted(str(p) for p in folder.iterdir() if p.is_dir())

    def rounds(self, race):
        return min(2, race.rounds) if self.quick else race.rounds

    def run(self, race):
        folder = self.prepare(race)
        race.result = {"kernel": self.kernel, "process": self.process, "open": self.open}[race.kind](race, folder)
        race.result["ratio"] = race.result["peft"]["median"] / race.result["ours"]["median"]
        if race.kind != "open":
            race.result["error"] = self.judge(race, folder)
        shutil.rmtree(self.out, ignore_errors=True)

    def judge(self, race, folder):
        sides = [str(self.out / "ours"), str(self.out / "peft" / "merged")]
        command = [self.python, str(self.here / "judge.py"), str(folder), race.method, str(DENSITY), *sides]
        done = subprocess.run(command, check=True, env=self.environment, stdout=subprocess.PIPE, text=True)
        errors = json.loads(done.stdout)
        if errors["ours"] is None:
            errors["ours"] = race.result["ours"]["own_error"]
        return errors

    def serve(self, ours, peft, rounds):
        workers = []
        try:
            workers.append(racing.Worker(ours))
            workers.append(racing.Worker(peft, self.environment))
            result = racing.race_workers(*workers, rounds)
            for worker in workers:
                worker.finish()
            return result
        finally:
            for worker in workers:
                worker.stop()

    def kernel(self, race, folder):
        ours = [str(self.bench), "kernel", str(folder), race.method, str(RANK), str(DENSITY), str(self.out / "ours")]
        peft = self.peft("kernel", folder, PEFT_NAMES[race.method], RANK, DENSITY, self.out / "peft", self.threads)
        return self.serve(ours, peft, self.rounds(race))

    def process(self, race, folder):
        adapters, target = self.members(folder), str(self.out / "ours")
        ours = [str(self.weft), "merge", *adapters, "--method", race.method, "--force", "-q", "-o", target]
        peft = self.peft("process", folder, PEFT_NAMES[race.method], self.out / "peft", self.threads)
        fresh = lambda: shutil.rmtree(target, ignore_errors=True)  # noqa: E731
        return racing.race_processes(ours, peft, self.rounds(race), self.environment, fresh)

    def open(self, race, folder):
        if race.method == "in_process":
            peft = self.peft("open", folder, self.threads)
            return self.serve([str(self.bench), "open", str(folder)], peft, self.rounds(race))
        ours = [str(self.weft), "inspect", "--headers", "-q", *self.members(folder)]
        peft = self.peft("open_once", folder, self.threads)
        return racing.race_processes(ours, peft, self.rounds(race), self.environment)

    def bare(self):
        """A process that links libtorch and does nothing; PEFT after its imports."""
        ours = [racing.run_process([str(self.bench), "bare"]) for _ in range(3)]
        peft = [racing.run_process(self.peft("versions"), self.environment)]
        return {"ours": racing.summary(ours), "peft": racing.summary(peft)}
