"""Writes tests/golden/search_optimizers/traces.json: where nevergrad's NGOpt looks, as LoRAHub calls it.

Usage: python tools/golden/make_search_optimizers.py
Needs nevergrad 1.0.12 and scipy 1.17.1.
"""

import json
import warnings
from pathlib import Path

import nevergrad
import numpy as np
import scipy

OUT = Path(__file__).resolve().parents[2] / "tests" / "golden" / "search_optimizers"


def shifted_sphere(size, rng):
    target = rng.uniform(-1.2, 1.2, size)
    return lambda w: float(np.sum((w - target) ** 2))


def ones_and_zeros(size, rng):
    target = np.arange(size) % 3 == 0
    return lambda w: float(np.sum((w - target) ** 2))


def quadratic(size, rng):
    turn, _ = np.linalg.qr(rng.normal(size=(size, size)))
    scale = 10 ** rng.uniform(-1, 1, size)
    target = rng.uniform(-1, 1, size)
    return lambda w: float(np.sum(scale * (turn @ (w - target)) ** 2))


def logistic(size, rng):
    x = rng.normal(size=(4 * size, size))
    y = np.sign(x @ rng.normal(size=size) + 0.5 * rng.normal(size=4 * size))
    return lambda w: float(np.mean(np.logaddexp(0, -y * (x @ w))) + 0.05 * np.mean(np.abs(w)))


def far_away(size, rng):
    """The best point is outside of the box, so points are folded back. Slopes differ: equal ones make ties, which
    rounding decides."""
    target = rng.choice([-4.0, 4.0], size)
    slope = rng.uniform(0.5, 2, size)
    return lambda w: float(np.sum(slope * np.abs(w - target)))


def sign_blind(size, rng):
    """Even in w and flat at zero, as the factor-wise rule is."""
    target = rng.uniform(0, 1, size)
    return lambda w: float(np.sum((w**2 - target) ** 2))


# Later in a run, edges exactly twice as long as the radius and several longest edges are common, and what scipy does then
# depends on rounding, so on the machine's BLAS. The seeds of small and long cases are ones with which it goes as in Weft.
# Name, function, coordinates, seed, budget, lower, upper, start.
CASES = [
    *((f"{f.__name__}_{d}", f, d, seeds[k], 40, -1.5, 1.5, 0.0)
      for d, seeds in ((5, (0, 1, 22)), (13, (3, 4, 5)), (20, (6, 7, 8)))
      for k, f in enumerate((shifted_sphere, quadratic, logistic))),
    ("ones_and_zeros_20", ones_and_zeros, 20, 9, 40, -1.5, 1.5, 0.0),
    ("far_away_6", far_away, 6, 10, 60, -1.5, 1.5, 0.0),
    ("sign_blind_5", sign_blind, 5, 11, 40, -1.5, 1.5, 0.0),
    ("other_box_7", quadratic, 7, 12, 40, -0.5, 1.0, 0.25),
    ("long_13", quadratic, 13, 5, 200, -1.5, 1.5, 0.0),
    ("long_5", logistic, 5, 22, 240, -1.5, 1.5, 0.0),
    ("restart_1", shifted_sphere, 1, 24, 50, -1.5, 1.5, 0.0),
]


def trace(function, size, budget, lower, upper, start):
    space = nevergrad.p.Array(init=[start] * size, lower=[lower] * size, upper=[upper] * size)
    optimizer = nevergrad.optimizers.NGOpt(parametrization=space, budget=budget)
    points, values = [], []

    def told(w):
        value = function(w)
        points.append([float(x) for x in w])
        values.append(value)
        return value

    best = optimizer.minimize(told)
    assert "Cobyla" in optimizer._info()["sub-optim"], optimizer._info()
    return points, values, [float(x) for x in best.value]


def main():
    warnings.simplefilter("ignore")
    OUT.mkdir(parents=True, exist_ok=True)
    cases = []
    for name, make, size, seed, budget, lower, upper, start in CASES:
        function = make(size, np.random.default_rng(seed))
        points, values, best = trace(function, size, budget, lower, upper, start)
        cases.append({"name": name, "lower": lower, "upper": upper, "start": start, "budget": budget, "best": best,
                      "points": points, "values": values})
    made_by = {"nevergrad": nevergrad.__version__, "scipy": scipy.__version__, "numpy": np.__version__}
    lines = ",\n".join("  " + json.dumps(case) for case in cases)
    (OUT / "traces.json").write_text(f'{{"made_by": {json.dumps(made_by)},\n "cases": [\n{lines}\n]}}\n', encoding="utf-8")


if __name__ == "__main__":
    main()
