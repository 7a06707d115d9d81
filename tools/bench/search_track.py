"""Where searches are raced: models, pools, examples, and how either side is run on them. Standard library only."""

import json
import os
import random
import shutil
import string
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import environment
import racing

# What lorahub 0.1.0 imports; it is installed without its own pins, which are years old.
PEERS = ["nevergrad==1.0.12", "scipy==1.17.1", "datasets==5.2.0", "pandas==3.1.1"]
LORAHUB = "lorahub==0.1.0"
MODELS = {
    "t5": {"family": "t5", "hidden": 512, "layers": 6, "heads": 8, "feed_forward": 2048, "vocabulary": 32128},
    "llama": {"family": "llama", "hidden": 512, "layers": 8, "heads": 8, "feed_forward": 1376, "vocabulary": 15000},
}
TINY = {"hidden": 64, "layers": 2, "heads": 4, "feed_forward": 128, "vocabulary": 1000}
POOL = 100  # adapters made for each model; races take the first of them
ZOO_POOL = "reverse first last sort swap next rotate drop parens upper dash is json".split()
LETTERS = string.ascii_uppercase + string.digits + "#$%&()*+,-./:;<=>?@"  # one token each in the generated models


def peers(root):
    """environment.peers() with lorahub and what it needs beside them."""
    python = environment.peers(root)
    done, wanted = root / ".deps" / "peers" / "done-search", "\n".join([LORAHUB, *PEERS]) + "\n"
    if not (done.is_file() and done.read_text() == wanted):
        pip = [python, "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
        subprocess.run([*pip, "--no-deps", LORAHUB], check=True)
        subprocess.run([*pip, *environment.PEERS, *PEERS], check=True)
        done.write_text(wanted)
    return python


@dataclass
class Problem:
    """What both sides search on."""

    base: Path
    pool: list
    few: Path
    held_out: Path = None
    causal: bool = True
    flags: list = field(default_factory=list)  # of ours: how the examples are read
    metrics: str = "loss"


class Track:
    """Where races take place: programs, folders, threads, sizes."""

    def __init__(self, root, args, weft, python):
        self.root, self.args, self.weft, self.python = root, args, weft, python
        self.here, self.bases = root / "tools" / "bench", root / "build" / "bench" / "bases"
        self.scratch = root / "build" / "bench" / f"search-{os.getpid()}"
        self.environment = racing.peer_environment(args.threads)
        self.scratch.mkdir(parents=True, exist_ok=True)

    def model(self, name, adapters):
        shape = {**MODELS[name], **(TINY if self.args.quick else {})}
        most = max(adapters, 8 if self.args.quick else POOL)
        folder = self.bases / f"search-{name}{'-tiny' if self.args.quick else ''}-r{self.args.rank}"
        described = json.dumps({**shape, "rank": self.args.rank, "adapters": most})
        command = [self.python, str(self.here / "make_search.py"), str(folder), described]
        subprocess.run(command, check=True, env=racing.peer_environment(1), stderr=subprocess.DEVNULL)
        return folder

    def texts(self, name, family, count, tokens):
        """Examples of so many tokens. The answer has eight, or four of short ones: the last; T5's come after them."""
        draw, answer = random.Random(tokens), 8 if tokens > 16 else 4
        path = self.scratch / f"{name}-{count}x{tokens}.jsonl"

        def text(length):
            return "".join(draw.choice(LETTERS) for _ in range(length))

        before = tokens if family == "t5" else tokens - answer
        rows = [{"prompt": text(before), "completion": text(answer)} for _ in range(count)]
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return path

    def problem(self, race):
        if race.subject == "zoo":
            zoo = self.root / "recipes" / "zoo"
            pool, data = [zoo / "adapters" / name for name in ZOO_POOL], zoo / "data" / race.label
            return Problem(zoo / "base", pool, data / "few.jsonl", data / "test.jsonl", metrics="loss,exact_match")
        if race.subject == "real":
            return self.real_problem(race.label)
        folder, family = self.model(race.subject, race.adapters), MODELS[race.subject]["family"]
        pool = [folder / "pool" / f"a{i:04d}" for i in range(race.adapters)]
        few = self.texts(race.subject, family, race.examples, race.tokens)
        return Problem(folder / "base", pool, few, causal=family != "t5")

    def real_problem(self, name):
        """One set is left out of the pool: eight of its training texts a label to search on, two of many labels."""
        pool, data = Path(self.args.real_pool), Path(self.args.real_data) / name
        others = [p for p in sorted(pool.iterdir()) if (p / "adapter_config.json").is_file() and p.name != name]
        drawn = {}
        with (data / "train.jsonl").open(encoding="utf-8") as lines:
            for line in lines:
                drawn.setdefault(str(json.loads(line)["label"]), []).append(line.rstrip("\n"))
        shots, draw = (8 if len(drawn) <= 12 else 2), random.Random(0)
        kept = [row for label in sorted(drawn) for row in draw.sample(drawn[label], min(shots, len(drawn[label])))]
        few = self.scratch / f"real-{name}.jsonl"
        few.write_text("\n".join(kept) + "\n", encoding="utf-8")
        flags = ["--max-tokens", "40"]
        return Problem(Path(self.args.real_base), others, few, data / "test.jsonl", True, flags, "loss,accuracy")

    def ours(self, problem, flags, out="ours"):
        """A whole `weft search`; the report is what it leaves beside the adapter."""
        folder = self.scratch / out
        shutil.rmtree(folder, ignore_errors=True)
        (self.scratch / f"{out}.journal").unlink(missing_ok=True)  # of a search that failed
        command = [str(self.weft), "search", "--base", str(problem.base), "--examples", str(problem.few), "--quiet"]
        command += ["--threads", str(self.args.threads), "-o", str(folder), *problem.flags, *flags]
        for adapter in problem.pool:
            command += ["--adapter", str(adapter)]
        run = racing.run_process(command, self.environment)
        run["report"] = json.loads((folder / "weft.json").read_text())["search"]
        return run

    def as_lorahub(self, problem, budget):
        return ["--lorahub", "--budget", str(budget), "--preselect", str(len(problem.pool))]

    def job(self, problem, budget):
        job, result = self.scratch / "job.json", self.scratch / "lorahub.json"
        rows = [json.loads(line) for line in problem.few.read_text().splitlines()]
        described = {"base": str(problem.base), "adapters": [str(p) for p in problem.pool], "examples": rows}
        described |= {"budget": budget, "threads": self.args.threads, "causal": problem.causal}
        job.write_text(json.dumps(described))
        result.unlink(missing_ok=True)
        return [str(job), str(result)]

    def theirs(self, problem, budget):
        """A whole run of the lorahub package."""
        files = self.job(problem, budget)
        run = racing.run_process([self.python, str(self.here / "lorahub_side.py"), *files], self.environment)
        return {**run, **json.loads(Path(files[1]).read_text())}

    def their_adapter(self, problem, budget):
        """What the last theirs() found, as an adapter that anything can read."""
        out = self.scratch / "lorahub"
        result = str(self.scratch / "lorahub.json")
        job = self.scratch / "job.json"
        command = [self.python, str(self.here / "lorahub_side.py"), "--save", str(job), result, str(out)]
        subprocess.run(command, check=True, env=self.environment)
        return out

    def judged(self, problem, adapter, data, metrics):
        """The figures of `weft eval`, the same judge for both sides."""
        command = [str(self.weft), "eval", "--base", str(problem.base), "--adapter", str(adapter), "--data", str(data)]
        command += ["--metric", metrics, "--json", "--quiet", "--threads", str(self.args.threads), *problem.flags]
        found = json.loads(environment.output(command, env=self.environment))["metrics"]
        return {name: figure["value"] for name, figure in found.items()}

    def bare(self, problem, times):
        """A whole `weft eval` of the base on the examples, so many times over, all of them in one batch each time."""
        path, text = self.scratch / "repeated.jsonl", problem.few.read_text()
        path.write_text(text * times)
        rows = [json.loads(line) for line in text.splitlines()]
        tokens = sum(len(row["prompt"]) + len(row["completion"]) for row in rows)  # one each, see LETTERS
        command = [str(self.weft), "eval", "--base", str(problem.base), "--data", str(path), "--metric", "loss"]
        command += ["--batch-tokens", str(tokens), "--quiet", "--threads", str(self.args.threads)]
        return racing.run_process(command, self.environment)

    def close(self):
        shutil.rmtree(self.scratch, ignore_errors=True)
