#!/usr/bin/env python3
"""Writes tests/golden/io/*: small torch.save and safetensors files, made by the torch and safetensors named in
versions.json. The tests know the contents: tensor `name` of shape S holds 0, 1, 2, … scaled by 1/4, row-major."""

import collections, json, pathlib, sys
import safetensors, torch
from safetensors.torch import save_file

out = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parents[2] / "tests/golden/io")
out.mkdir(parents=True, exist_ok=True)


def ramp(*shape, dtype=torch.float32):
    n = 1
    for s in shape:
        n *= s
    return (torch.arange(n, dtype=torch.float64) / 4).reshape(shape).to(dtype)


state = collections.OrderedDict()
state["a.weight"] = ramp(2, 3)
state["half"] = ramp(4, dtype=torch.float16)
state["brain"] = ramp(2, 2, dtype=torch.bfloat16)
state["double"] = ramp(3, dtype=torch.float64)
state["int"] = torch.arange(5)
state["scalar"] = torch.tensor(1.5)
state["empty"] = torch.zeros(0, 3)
big = ramp(4, 6)
state["view.row"] = big[1]  # offset
state["view.column"] = big[:, 2]  # stride
state["view.transposed"] = big.t()  # strides swapped
state["view.block"] = big[1:3, 2:5]  # offset and stride
state["parameter"] = torch.nn.Parameter(ramp(2, 2))
state["expanded"] = torch.tensor([2.5]).expand(3)
state._metadata = collections.OrderedDict([("", {"version": 1})])  # as Module.state_dict() has it

for protocol in (2, 4, 5):
    torch.save(state, out / f"zip_protocol{protocol}.bin", pickle_protocol=protocol)
torch.save(state, out / "legacy.bin", _use_new_zipfile_serialization=False)
torch.save([ramp(2, 2), (ramp(3), {"x": ramp(1, 4)})], out / "list.pt")
torch.save([ramp(2, 2), (ramp(3), {"x": ramp(1, 4)})], out / "list_legacy.pt", _use_new_zipfile_serialization=False)
torch.save({"state": {"w": ramp(2)}, "step": 7, "name": "run", "flag": True, 3: ramp(1)}, out / "mixed.bin")
torch.save(ramp(3, 2), out / "single.pt")
torch.save({"w": ramp(2), "module": torch.nn.Linear(1, 1)}, out / "module.bin")  # a class: refused
save_file(
    {
        "b": ramp(2, 3),
        "a": ramp(4, dtype=torch.float16),
        "n": torch.arange(3),
        "z": ramp(0, 2),
        "s": torch.tensor(1.5),
        "m": torch.tensor([True, False]),
    },
    out / "plain.safetensors",
    metadata={"format": "pt", "k": "ä\n"},
)
(out / "plain.safetensors").chmod(0o644)
(out / "versions.json").write_text(
    json.dumps(
        {"torch": torch.__version__, "safetensors": safetensors.__version__, "script": "tools/golden/make_io.py"}, indent=2
    )
    + "\n"
)
