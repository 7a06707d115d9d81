"""Runs the weft program for the scripts of this folder."""

import json
import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


class Failure(Exception):
    """A command that did not work: what it said."""


def find():
    """$WEFT, else the release build, else the development build."""
    if "WEFT" in os.environ:
        candidates = [Path(os.environ["WEFT"])]
    else:
        candidates = [ROOT / "build" / preset / "weft" for preset in ("release", "dev")]
    for path in candidates:
        if os.access(path, os.X_OK):
            return path
    where = " or ".join(str(path) for path in candidates)
    raise Failure(f"there is no program {where}: build it with tools/build release, or set WEFT to it")


def run(program, *arguments, folder=None):
    """What it prints, run in a folder. Raises Failure with the last lines of what went wrong."""
    command = [str(program), *map(str, arguments)]
    done = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        said = done.stderr.strip().splitlines()[-3:] or [f"ended with status {done.returncode} and said nothing"]
        raise Failure(f"{Path(command[0]).name} {command[1]}: " + "\n".join(said))
    return done.stdout


def run_json(program, *arguments):
    text = run(program, *arguments, "--json", "--quiet")
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        raise Failure(f"weft {arguments[0]} printed no JSON: {text[:200]}") from None


def flags(options):
    """{"learning_rate": 0.002, "from_scratch": True} as flags; False leaves one out."""
    made = []
    for name, value in options.items():
        if value is False:
            continue
        made.append("--" + name.replace("_", "-"))
        if value is not True:
            made.append(",".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value))
    return made
