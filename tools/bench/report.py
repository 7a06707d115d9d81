"""Lines for people. Standard library only."""

WIDTHS = (50, 20, 20, 8, 9, 9, 9, 9, 9)


def duration(seconds):
    if seconds < 1e-3:
        return f"{seconds * 1e6:.0f} us"
    if seconds < 1:
        return f"{seconds * 1e3:.{1 if seconds < 0.1 else 0}f} ms"
    return f"{seconds:.{2 if seconds < 10 else 1}f} s"


def memory(kib):
    return f"{kib / 1024:.0f} MiB" if kib < 10 * 2**20 else f"{kib / 2**20:.1f} GiB"


def head(facts):
    peers = facts["peers"]
    weft = " | ".join(facts["weft"].splitlines())
    return (
        f"{facts['processor']}, {facts['cores']} cores, {facts['memory_gib']} GiB, load {facts['load']}\n"
        f"{weft} | commit {facts['commit']}\n"
        f"PEFT {peers['peft']}, transformers {peers['transformers']}, torch {peers['torch']}, Python {peers['python']}"
    )


def bare(sides):
    ours, peft = sides["ours"], sides["peft"]
    return (
        f"bare libtorch process: {duration(ours['median'])}, {memory(ours['memory_kib'])}; "
        f"importing PEFT: {duration(peft['median'])}, {memory(peft['memory_kib'])}\n"
        "times: median (minimum) of runs; memory: peak of the whole process; error: relative, of the best possible;\n"
        "ours, PEFT: by how much above the best, or the error itself where the best is 0\n"
        "(dare_ties: each side has masks of its own, and the best is that of PEFT's)"
    )


def row(cells):
    return "  ".join(c.ljust(w) if i == 0 else c.rjust(w) for i, (c, w) in enumerate(zip(cells, WIDTHS)))


def columns():
    return row(("race", "ours", "PEFT", "ratio", "memory", "PEFT", "error", "ours", "PEFT"))


def timing(side):
    return f"{duration(side['median'])} ({duration(side['min'])})"


def errors(error):
    if not error:
        return "", "", ""
    best = error["best"]
    if best < 1e-9:
        return "0", f"{error['ours']:.1e}", f"{error['peft']:.1e}"
    return f"{best:.5f}", f"{error['ours'] / best - 1:+.1e}", f"{error['peft'] / best - 1:+.1e}"


def line(race):
    ours, peft = race.result["ours"], race.result["peft"]
    ratio = race.result["ratio"]
    cells = [race.name, timing(ours), timing(peft), f"{ratio:.{0 if ratio >= 10 else 1}f}x"]
    cells += [memory(ours["memory_kib"]), memory(peft["memory_kib"]), *errors(race.result.get("error"))]
    return row(cells) + (f"\n    {race.note}" if race.note else "")
