"""Tests tools/zoo/real, leave_out and make --check, with a program that only looks like weft. Standard library only."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ROOT / "tools" / "zoo"

# Logs its calls; fails on a folder called `broken`; an adapter is as accurate as the length of its path is odd or even.
PROGRAM = """#!{python}
import json, pathlib, sys
given = sys.argv[1:]
value = lambda name: given[given.index(name) + 1]
with open({log!r}, "a") as file:
    file.write(json.dumps(given) + "\\n")
if given[0] == "search":
    output = pathlib.Path(value("-o"))
    output.mkdir(parents=True)
    shots = len(pathlib.Path(value("--examples")).read_text().splitlines())
    print(json.dumps({{"output": str(output), "seconds": 0.5, "shots": shots}}))
    sys.exit(0)
if "/broken/" in value("--data"):
    sys.exit("Error: " + value("--data") + ":1: unknown label")
if given[0] == "train":
    output = pathlib.Path(value("-o"))
    output.mkdir(parents=True, exist_ok=True)
    (output / "adapter_model.safetensors").write_text("weights")
else:
    print(json.dumps({{"metrics": {{n: {{"value": 0.9 if "--adapter" in given else 0.5, "low": 0, "high": 1}}
                                  for n in ("accuracy", "loss")}}}}))
"""


class SetsAndProgram(unittest.TestCase):
    def setUp(self):
        self.place = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.place)
        self.log = self.place / "calls"
        self.weft = self.place / "weft"
        self.weft.write_text(PROGRAM.format(python=sys.executable, log=str(self.log)))
        self.weft.chmod(0o755)
        self.base, self.data, self.pool = (self.place / name for name in ("base", "data", "pool"))
        self.base.mkdir()
        (self.base / "config.json").write_text('{"num_hidden_layers": 6}')
        (self.base / "model.safetensors").write_text("weights")
        self.data.mkdir()

    def add_set(self, name, **files):
        folder = self.data / name
        folder.mkdir(exist_ok=True)
        for split in ("train", "test"):
            lines = files.get(split, '{"text": "a", "label": "yes"}\n{"text": "b", "label": "no"}\n')
            if lines is not None:
                (folder / f"{split}.jsonl").write_text(lines)

class Real(SetsAndProgram):
    def run_real(self, *more):
        self.log.write_text("")
        command = [sys.executable, TOOLS / "real", "--base", self.base, "--data", self.data, "-o", self.pool, *more]
        return subprocess.run(command, env={**os.environ, "WEFT": str(self.weft)}, capture_output=True, text=True)

    def calls(self, verb):
        return [call for call in map(json.loads, self.log.read_text().splitlines()) if call[0] == verb]

    def test_trains_and_judges_every_set_for_every_seed(self):
        self.add_set("one"), self.add_set("two")
        done = self.run_real("--seeds", "0,1", "--jobs", "1")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("| one | 2 | 2 | 0.500 | 0.900 ± 0.000 |", done.stdout)
        self.assertIn("| **mean of 2** | | | **0.500** | **0.900 ± 0.000** | |", done.stdout)
        self.assertEqual(len(self.calls("train")), 4)
        self.assertEqual(len(self.calls("eval")), 6)
        for name in ("one", "two", "seed-1/one", "seed-1/two"):
            self.assertTrue((self.pool / name / "adapter_model.safetensors").is_file(), name)
        train = self.calls("train")[0]
        self.assertEqual(train[train.index("--layers") + 1], "3,4,5")

    def test_does_again_only_what_changed(self):
        self.add_set("one"), self.add_set("two")
        self.assertEqual(self.run_real().returncode, 0)
        first = (self.pool / "report.json").read_bytes()
        self.assertEqual(self.run_real().returncode, 0)
        self.assertEqual(self.log.read_text(), "")
        self.assertEqual((self.pool / "report.json").read_bytes(), first)
        self.add_set("two", train='{"text": "c", "label": "yes"}\n{"text": "b", "label": "no"}\n')
        self.assertEqual(self.run_real().returncode, 0)
        self.assertEqual(len(self.calls("train")), 1)
        shutil.rmtree(self.pool / "one")
        self.assertEqual(self.run_real().returncode, 0)
        self.assertEqual(len(self.calls("train")), 1)
        (self.base / "model.safetensors").write_text("others")
        self.assertEqual(self.run_real().returncode, 0)
        self.assertEqual(len(self.calls("train")), 2)

    def test_judges_among_the_labels_of_training(self):
        self.add_set("one", test='{"text": "a", "label": "yes"}\n')
        self.assertEqual(self.run_real().returncode, 0)
        call = self.calls("eval")[0]
        self.assertEqual(call[call.index("--labels") + 1], "no,yes")

    def test_goes_on_after_a_set_that_fails(self):
        self.add_set("broken"), self.add_set("one")
        done = self.run_real()
        self.assertEqual(done.returncode, 1)
        self.assertIn("unknown label", done.stderr)
        self.assertIn("failed: broken, seed 0", done.stderr)
        self.assertIn("| one | 2 |", done.stdout)

    def refused(self, status, words, *more):
        done = self.run_real(*more)
        self.assertEqual(done.returncode, status, done.stderr)
        self.assertIn(words, done.stderr)
        self.assertEqual(self.log.read_text(), "")

    def test_says_what_is_wrong_with_the_sets(self):
        self.refused(3, "no set in it")
        self.add_set("one", train=None)
        self.refused(3, "one: the set lacks train.jsonl")
        self.add_set("one", test='{"text": "a", "label": "yes"}\n{"text": "a"}\n')
        self.refused(3, "test.jsonl:2: expected an object")
        self.add_set("one", test="")
        self.refused(3, "test.jsonl: empty")
        self.add_set("one")
        self.refused(3, "no set called three; there are one", "--sets", "three")
        shutil.rmtree(self.data)
        self.refused(3, "no such folder of sets")

    def test_says_what_is_wrong_with_the_base_and_the_pool(self):
        self.add_set("one")
        (self.base / "model.safetensors").unlink()
        self.refused(3, "no weights")
        (self.base / "config.json").write_text("{}")
        self.refused(3, "how many layers")
        (self.base / "config.json").unlink()
        self.refused(3, "config.json cannot be read")
        self.setUp()
        self.add_set("one")
        self.pool.mkdir()
        (self.pool / "report.json").write_text("[]")
        self.refused(3, "not a report of this script")

    def test_says_what_is_wrong_with_the_call(self):
        self.add_set("one")
        self.refused(2, "no list of whole numbers", "--seeds", "one")
        self.refused(2, "expected different numbers", "--seeds", "1,1")
        self.refused(2, "--jobs is 0", "--jobs", "0")
        self.weft.unlink()
        self.refused(3, "there is no program")


class LeaveOut(SetsAndProgram):
    def setUp(self):
        super().setUp()
        for name in ("one", "two", "three"):
            self.add_set(name)
            rows = [json.dumps({"text": f"t{i}", "label": "yes" if i % 2 else "no"}) for i in range(40)]
            (self.data / name / "validation.jsonl").write_text("\n".join(rows) + "\n")
            (self.pool / name).mkdir(parents=True)
            (self.pool / name / "adapter_config.json").write_text('{"r": 8}')

    def run_leave_out(self, *more):
        self.log.write_text("")
        command = [sys.executable, TOOLS / "leave_out", "--base", self.base, "--data", self.data, "--pool", self.pool]
        command += ["-o", self.place / "out", "--jobs", "1", *more]
        return subprocess.run(command, env={**os.environ, "WEFT": str(self.weft)}, capture_output=True, text=True)

    def calls(self):
        return [json.loads(line) for line in self.log.read_text().splitlines()]

    def test_leaves_the_set_itself_out_and_measures_every_method(self):
        done = self.run_leave_out("--draws", "2", "--sets", "two")
        self.assertEqual(done.returncode, 0, done.stderr)
        searches = [call for call in self.calls() if call[0] == "search"]
        self.assertEqual(len(searches), 2 * 3)
        for call in searches:
            pool = [Path(call[i + 1]).name for i, part in enumerate(call) if part == "--adapter"]
            self.assertEqual(pool, ["one", "three"])
        self.assertEqual(sum("--lorahub" in call for call in searches), 2)
        row = json.loads((self.place / "out" / "report.json").read_text())["results"]["two"]["0"]
        self.assertEqual(set(row) >= {"zero_shot", "scaled", "single", "lorahub", "search_200", "afterwards"}, True)
        self.assertIn("| two |", done.stdout)
        self.run_leave_out("--draws", "2", "--sets", "two")
        self.assertEqual(self.calls(), [])

    def test_says_what_is_missing(self):
        shutil.rmtree(self.pool / "three")
        done = self.run_leave_out()
        self.assertEqual(done.returncode, 3)
        self.assertIn("no adapter three", done.stderr)


class Check(unittest.TestCase):
    def setUp(self):
        self.zoo = Path(tempfile.mkdtemp()) / "zoo"
        self.addCleanup(shutil.rmtree, self.zoo.parent)
        shutil.copytree(ROOT / "recipes" / "zoo", self.zoo)

    def check(self):
        return subprocess.run([sys.executable, TOOLS / "make", "--check", self.zoo], capture_output=True, text=True)

    def test_sees_files_that_are_changed_missing_or_added(self):
        self.assertEqual(self.check().returncode, 0)
        (self.zoo / "data" / "reverse" / "few.jsonl").write_text("{}\n")
        (self.zoo / "base" / "config.json").unlink()
        (self.zoo / "adapters" / "more").write_text("")
        done = self.check()
        self.assertEqual(done.returncode, 1)
        self.assertIn("data/reverse/few.jsonl: not the file", done.stderr)
        self.assertIn("base/config.json: missing", done.stderr)
        self.assertIn("adapters/more: not in SHA256SUMS", done.stderr)


if __name__ == "__main__":
    unittest.main()
