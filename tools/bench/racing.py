"""Runs both sides of a race in turn and measures them. Standard library only."""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

SERVING_SECONDS = 10.0  # of repetitions of one side of a kernel race
MOST_ROUNDS = 5
MOST_OURS = 20
LONG = 5.0  # a first run longer than this counts: what warming up costs is lost in it
PAUSE = 0.2  # lets the idle threads of one side fall asleep before the other starts


class RaceError(Exception):
    pass


def peer_environment(threads):
    fixed = {"PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1", "HF_HUB_OFFLINE": "1"}
    return {**os.environ, **fixed, "OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}


def shown(command):
    return " ".join(str(c) for c in command[:6]) + (" ..." if len(command) > 6 else "")


def run_process(command, environment=None):
    """A whole process: wall clock from start to end, processor time and peak resident memory as the kernel counts."""
    with tempfile.TemporaryFile() as errors:
        start = time.perf_counter()
        child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=errors, env=environment)
        _, status, usage = os.wait4(child.pid, 0)
        wall = time.perf_counter() - start
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode != 0:
            errors.seek(0)
            text = errors.read().decode(errors="replace").strip()[-2000:]
            raise RaceError(f"{shown(command)} ended with {child.returncode}: {text}")
    return {"seconds": wall, "cpu": usage.ru_utime + usage.ru_stime, "memory_kib": usage.ru_maxrss}


class Worker:
    """A process that does one run for every line it is sent and reports it as a line of JSON."""

    def __init__(self, command, environment=None):
        self.command = command
        self.child = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )
        self.runs = []
        self.expect("ready")

    def read(self):
        line = self.child.stdout.readline()
        if not line:
            raise RaceError(f"{shown(self.command)} ended with {self.child.wait()}")
        return line.strip()

    def expect(self, word):
        while (line := self.read()) != word:
            print(line, file=sys.stderr)

    def run(self, count=True):
        self.child.stdin.write("run\n")
        self.child.stdin.flush()
        line = self.read()
        while not line.startswith("{"):
            line = self.read()
        result = json.loads(line)
        if count:
            self.runs.append(result)
        return result

    def finish(self):
        self.child.stdin.close()
        self.child.stdout.read()
        if self.child.wait() != 0:
            raise RaceError(f"{shown(self.command)} ended with {self.child.returncode}")
        self.child.stdout.close()

    def stop(self):
        if self.child.returncode is None:
            self.child.kill()
            self.child.wait()


def summary(runs):
    seconds = [r["seconds"] for r in runs]
    out = {
        "runs": len(runs),
        "min": min(seconds),
        "median": statistics.median(seconds),
        "memory_kib": max(r["memory_kib"] for r in runs),
    }
    if "cpu" in runs[0]:
        out["cpu"] = statistics.median(r["cpu"] for r in runs)
    if "error" in runs[-1]:
        out["own_error"] = runs[-1]["error"]
    return out


def race_workers(ours, peft, rounds=MOST_ROUNDS):
    """Rounds of several runs of ours and one of PEFT's, until PEFT has had its time."""
    first = peft.run(count=False)
    if first["seconds"] > LONG:
        peft.runs.append(first)
        rounds = min(rounds, 1 + int(SERVING_SECONDS / first["seconds"]))
    warm = ours.run(count=False)
    each = max(1, min(MOST_OURS, int(SERVING_SECONDS / MOST_ROUNDS / max(warm["seconds"], 1e-6))))
    while True:
        for _ in range(each):
            ours.run()
        if len(peft.runs) >= rounds:
            break
        peft.run()
        time.sleep(PAUSE)
    return {"ours": summary(ours.runs), "peft": summary(peft.runs)}


def race_processes(ours, peft, rounds, environment, before_ours=None):
    """`ours` and `peft` are commands; three of ours for each of PEFT's."""
    runs = {"ours": [], "peft": []}
    for _ in range(rounds):
        for _ in range(3):
            if before_ours:
                before_ours()
            runs["ours"].append(run_process(ours))
        runs["peft"].append(run_process(peft, environment))
    return {side: summary(r) for side, r in runs.items()}
