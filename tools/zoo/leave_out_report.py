"""What tools/zoo/leave_out found: report.json, and the tables made of it."""

import json
import math
import os
import statistics

FILE = "report.json"
TITLES = {
    "zero_shot": "base alone",
    "uniform": "uniform, weights sum to 1",
    "scaled": "uniform, scale chosen on the examples",
    "single": "best single adapter, by few-shot loss",
    "tuned": "new adapter on the few shots, 100 steps",
    "lorahub": "LoRAHub as published, 40 evaluations",
    "search_40": "`weft search`, 40 evaluations",
    "search_200": "`weft search`, 200 evaluations (default)",
    "afterwards": "the same, then 30 steps of training",
}
SHORT = {
    "zero_shot": "base",
    "uniform": "uniform",
    "scaled": "scaled",
    "single": "single",
    "tuned": "tuned",
    "lorahub": "LoRAHub",
    "search_40": "search 40",
    "search_200": "search 200",
    "afterwards": "+ tuned",
}
MEASURED = [method for method in TITLES if method != "afterwards"]  # that one comes with search_200
DRAWLESS = ("zero_shot", "uniform")  # no examples, nothing to draw


class Report:
    """{settings, results: {set: {draw: {method: {accuracy, loss, ...}}}}}"""

    def __init__(self, folder, settings):
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / FILE
        self.content = {"settings": settings, "results": {}}
        if self.path.is_file():
            old = json.loads(self.path.read_text(encoding="utf-8"))
            if old.get("settings") == settings:
                self.content = old

    def has(self, name, draw, method):
        return method in self.content["results"].get(name, {}).get(str(draw), {})

    def add(self, name, draw, method, result):
        row = self.content["results"].setdefault(name, {}).setdefault(str(draw), {})
        row[method] = result
        if "afterwards" in result:
            row["afterwards"] = result.pop("afterwards")
        aside = self.path.with_name(FILE + ".new")
        aside.write_text(json.dumps(self.content, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        os.replace(aside, self.path)


def values(results, name, method, metric):
    return [row[method][metric] for row in results[name].values() if method in row]


def half_width(numbers):
    """Of a 95 % interval of the mean, by Student's t."""
    t = {2: 12.71, 3: 4.30, 4: 3.18, 5: 2.78, 6: 2.57, 7: 2.45, 8: 2.36, 16: 2.13}.get(len(numbers), 2.0)
    return t * statistics.stdev(numbers) / math.sqrt(len(numbers)) if len(numbers) > 1 else 0.0


def summary(results, names):
    """Means over sets of the means over draws; the interval is of the difference to `search_200`, set by set."""
    def mean_of(name, method, metric):
        return statistics.mean(values(results, name, method, metric))

    lines = ["| method | accuracy | NLL | behind `search 200` in accuracy |", "| --- | ---: | ---: | ---: |"]
    for method, title in TITLES.items():
        if not all(values(results, name, method, "accuracy") for name in names):
            continue
        accuracy, loss = ([mean_of(name, method, m) for name in names] for m in ("accuracy", "loss"))
        gap = ""
        if method != "search_200" and all(values(results, name, "search_200", "accuracy") for name in names):
            gaps = [mean_of(name, "search_200", "accuracy") - mean_of(name, method, "accuracy") for name in names]
            gap = f"{statistics.mean(gaps):+.3f} ± {half_width(gaps):.3f}"
        lines.append(f"| {title} | {statistics.mean(accuracy):.3f} | {statistics.mean(loss):.3f} | {gap} |")
    return lines


def by_set(results, names, metric):
    lines = ["| set | " + " | ".join(SHORT.values()) + " |", "| --- " + "| ---: " * len(SHORT) + "|"]
    for name in names:
        cells = []
        for method in TITLES:
            found = values(results, name, method, metric)
            text = f"{statistics.mean(found):.3f}" if found else ""
            cells.append(text + (f" ± {statistics.stdev(found):.3f}" if len(found) > 1 else ""))
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return lines


def tables(results, names):
    known = [name for name in names if name in results]
    chosen = [name for index, name in enumerate(names) if index % 2 == 0 and name in results]
    apart = [name for name in known if name not in chosen]
    parts = []
    for title, group in (("All sets", known), ("Sets that defaults were chosen on", chosen), ("The others", apart)):
        if group:
            parts += [f"### {title} ({len(group)})", "", *summary(results, group), ""]
    for metric, title in (("accuracy", "Accuracy"), ("loss", "NLL")):
        parts += [f"### {title}, mean ± standard deviation over draws", "", *by_set(results, known, metric), ""]
    return "\n".join(parts)
