"""What a race needs: a Python with the peers, a release build, and the facts of the machine. Standard library only."""

import json
import os
import platform
import re
import subprocess
import sys
from pathlib import Path

TORCH = "2.13.0"
PEERS = [f"torch=={TORCH}", "peft==0.21.2", "transformers==5.23.0"]


def build(root, *targets):
    """Sets up and builds the release preset and the bench program, or `targets` of it; its folder."""
    subprocess.run([str(root / "tools" / "setup")], check=True, stdout=sys.stderr)
    command = [str(root / "tools" / "build"), "release", "--target", *(targets or ("weft_cli", "weft_bench"))]
    subprocess.run(command, check=True, stdout=sys.stderr)
    return root / "build" / "release"


def peers(root):
    """The interpreter of an environment with the pinned peers under .deps/peers; made where it is missing."""
    folder = root / ".deps" / "peers"
    python, done = folder / "bin" / "python", folder / "done"
    wanted = "\n".join(PEERS) + "\n"
    if done.is_file() and done.read_text() == wanted:
        return str(python)
    print(f"tools/bench/merge: installing {', '.join(PEERS)} under {folder} (some minutes)", file=sys.stderr)
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True, stdout=sys.stderr)
    pip = [str(python), "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    index = ["--index-url", os.environ["WEFT_TORCH_INDEX"]] if os.environ.get("WEFT_TORCH_INDEX") else []
    # The CPU build where it can be had, else whatever the index offers. torch first: the others would pull the newest.
    if subprocess.run([*pip, *index, f"torch=={TORCH}+cpu"], stderr=subprocess.DEVNULL).returncode != 0:
        subprocess.run([*pip, *index, PEERS[0]], check=True)
    subprocess.run([*pip, *PEERS, "numpy", "safetensors"], check=True)
    done.write_text(wanted)
    return str(python)


def processor():
    try:
        names = re.findall(r"^model name\s*:\s*(.*)$", Path("/proc/cpuinfo").read_text(), re.M)
    except OSError:
        names = []
    return names[0] if names else platform.processor() or platform.machine()


def output(command, **options):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, **options).stdout.strip()


def commit(root):
    try:
        describe = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=12"]
        return output(describe, stderr=subprocess.DEVNULL)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def facts(root, track, threads):
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "processor": processor(),
        "cores": threads,
        "memory_gib": round(memory / 2**30, 1),
        "load": round(os.getloadavg()[0], 2),
        "weft": output([str(track.weft), "--version"]),
        "commit": commit(root),
        "peers": json.loads(output(track.peft("versions"), env=track.environment).splitlines()[-1]),
    }
