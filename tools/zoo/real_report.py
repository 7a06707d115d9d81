"""What tools/zoo/real found: report.json, and the table made of it."""

import json
import os
import statistics

import program

FILE = "report.json"


def _load(pool):
    path = pool / FILE
    if not path.exists():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        content["results"], content["first_seed"]
        return content
    except (OSError, ValueError, KeyError, TypeError):
        raise program.Failure(f"{path}: not a report of this script; move it away or choose another folder") from None


def first_seed(pool, wanted):
    """The seed whose adapters stand right in the pool: that of the first run."""
    content = _load(pool)
    return content["first_seed"] if content else wanted


class Report:
    """{settings, base, first_seed, results: {set: {data, labels, test, zero-shot, seeds: {seed: {...}}}}}"""

    def __init__(self, pool, settings, base, first):
        old = _load(pool)
        pool.mkdir(parents=True, exist_ok=True)
        self.path = pool / FILE
        self.content = {"settings": settings, "base": base, "first_seed": first, "results": {}}
        # Through JSON, as the old one went.
        same = old and all(old.get(key) == json.loads(json.dumps(self.content[key])) for key in ("settings", "base"))
        if same:
            self.content["results"] = old["results"]

    def _row(self, task):
        row = self.content["results"].get(task.name)
        return row if row and row["data"] == task.hash else None

    def has(self, task, seed):
        row = self._row(task)
        if not row:
            return False
        return row["zero_shot"] is not None if seed is None else str(seed) in row["seeds"]

    def add(self, task, seed, result):
        row = self._row(task)
        if not row:
            row = {
                "data": task.hash,
                "labels": len(task.labels),
                "test": task.rows["test"],
                "zero_shot": None,
                "seeds": {},
            }
            self.content["results"][task.name] = row
        if seed is None:
            row["zero_shot"] = result
        else:
            row["seeds"][str(seed)] = result
        aside = self.path.with_name(FILE + ".new")
        aside.write_text(json.dumps(self.content, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        os.replace(aside, self.path)


def _spread(values):
    text = f"{statistics.mean(values):.3f}"
    return text + (f" ± {statistics.stdev(values):.3f}" if len(values) > 1 else "")


def table(content):
    """Markdown: accuracy on the test rows, mean and deviation over the seeds, and seconds of one training."""
    lines = [
        "| set | labels | test rows | zero-shot | own adapter | seconds |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    before, after = [], []
    for name, row in sorted(content["results"].items()):
        if row["zero_shot"] is None or not row["seeds"]:
            continue
        tuned = [seed["accuracy"]["value"] for seed in row["seeds"].values()]
        zero = row["zero_shot"]["accuracy"]["value"]
        before.append(zero)
        after.append(tuned)
        seconds = statistics.mean(seed["seconds"] for seed in row["seeds"].values())
        lines.append(f"| {name} | {row['labels']} | {row['test']} | {zero:.3f} | {_spread(tuned)} | {seconds:.0f} |")
    if not before:
        return "nothing was trained and judged\n"
    if len({len(tuned) for tuned in after}) == 1:  # the mean of the sets, seed by seed
        mean = _spread([statistics.mean(tuned) for tuned in zip(*after)])
    else:
        mean = f"{statistics.mean(statistics.mean(tuned) for tuned in after):.3f}"
    lines.append(f"| **mean of {len(before)}** | | | **{statistics.mean(before):.3f}** | **{mean}** | |")
    return "\n".join(lines) + "\n"
