#!/usr/bin/env python3
"""Writes the seed files of the fuzz targets safetensors, pickle and json under tests/fuzz/corpus. Needs only Python, but
for the good torch files, which are copied from tests/golden/io (see make_io.py). tests/io/*_test.cpp knows what is wrong with
each."""

import io, pathlib, pickle, shutil, struct, sys, zipfile

root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parents[2] / "tests")


def folder(name):
    path = root / "fuzz/corpus" / name
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True)
    return path


# --- safetensors ------------------------------------------------------------------------------------------------------
out = folder("safetensors")


def st(name, header, data=b"", length=None):
    header = header if isinstance(header, bytes) else header.encode()
    (out / name).write_bytes(struct.pack("<Q", len(header) if length is None else length) + header + data)


def one(dtype="F32", shape="[2]", offsets="[0,8]", name="x"):
    return '{"%s":{"dtype":"%s","shape":%s,"data_offsets":%s}}' % (name, dtype, shape, offsets)


D8 = bytes(range(8))
st("good", one(), D8)
st(
    "good_metadata",
    '{"__metadata__":{"format":"pt","a":"\\u00e4\\ud83d\\ude00"},"x":{"shape":[2,2],"data_offsets":[0,8],"dtype":"BF16"}}   ',
    D8,
)
st("good_empty", "{}")
st(
    "good_zero_size",
    '{"a":{"dtype":"F32","shape":[0,5],"data_offsets":[0,0]},"b":{"dtype":"I8","shape":[8],"data_offsets":[0,8]}}',
    D8,
)
st(
    "good_unaligned",
    '{"a":{"dtype":"I8","shape":[3],"data_offsets":[0,3]},"b":{"dtype":"F32","shape":[1],"data_offsets":[3,7]}}',
    D8[:7],
)
st("good_bool", one("BOOL", "[8]"), D8)
st("good_float8", one("F8_E4M3", "[8]"), D8)
st(
    "good_out_of_order",
    '{"b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]},"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}',
    D8,
)
(out / "empty").write_bytes(b"")
(out / "short").write_bytes(b"\x02\0\0")
st("truncated_data", one(), D8[:5])
st("truncated_header", one()[:20], b"", 500)
st("huge_header", one(), D8, 1 << 40)
st("largest_length", one(), D8, (1 << 64) - 1)
st("not_json", "hello world", D8)
st("unclosed", '{"x":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}', D8)
st("unclosed_string", '{"x', b"")
st("trailing_text", one() + "x", D8)
st(
    "overlap",
    '{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[2,6]}}',
    D8[:6],
)
st(
    "gap",
    '{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[6,10]}}',
    bytes(10),
)
st("bytes_left", one(), bytes(12))
st("first_gap", one(offsets="[4,12]"), bytes(12))
st("overflow", one(shape="[4294967296,4294967296,4]"), D8)
st("overflow_to_fit", one(shape="[4611686018427387905,2]"), D8)
st("number_too_big", one(shape="[99999999999999999999999]"), D8)
st("negative_dim", one(shape="[-2]"), D8)
st("fraction", one(shape="[2.0]"), D8)
st("exponent", one(shape="[2e0]"), D8)
st("leading_zero", one(shape="[02]"), D8)
st("wrong_dtype", one("F31"), D8)
st("small_dtype", one("F4", "[16]"), D8)
st("wrong_size", one(shape="[3]"), D8)
st("backwards", one(offsets="[8,0]"), D8)
st("three_offsets", one(offsets="[0,8,9]"), D8)
st("one_offset", one(offsets="[0]"), D8)
st("many_dims", one(shape="[1,1,1,1,1,1,1,1,2]"), D8)
st(
    "duplicate_tensor",
    '{"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"x":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}',
    D8,
)
st("duplicate_key", '{"x":{"dtype":"F32","dtype":"F32","shape":[2],"data_offsets":[0,8]}}', D8)
st("unknown_key", '{"x":{"dtype":"F32","shape":[2],"data_offsets":[0,8],"kind":1}}', D8)
st("missing_key", '{"x":{"dtype":"F32","shape":[2]}}', D8)
st("metadata_number", '{"__metadata__":{"a":1}}')
st("metadata_twice", '{"__metadata__":{"a":"1","a":"2"}}')
st("metadata_sections", '{"__metadata__":{},"__metadata__":{}}')
st("bad_utf8", b'{"\xff":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}', D8)
st("bad_escape", one(name="\\q"), D8)
st("lone_surrogate", one(name="\\ud800"), D8)
st("bad_hex", one(name="\\u12g4"), D8)
st("control_character", one(name="a\nb"), D8)
st("nested", "{" + '"a":{' * 200, D8)

# --- torch pickles ----------------------------------------------------------------------------------------------------
out = folder("pickle")
for path in sorted((root / "golden/io").glob("*")):
    if path.suffix in (".bin", ".pt"):
        shutil.copyfile(path, out / ("good_" + path.name))
(out / "good_module.bin").rename(out / "module.bin")


def archive(name, pkl, storages=(("0", bytes(16)),), compress=False, extra=()):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED if compress else zipfile.ZIP_STORED) as z:
        for entry, data in [("archive/data.pkl", pkl), *(("archive/data/" + k, v) for k, v in storages), *extra]:
            z.writestr(zipfile.ZipInfo(entry), data, zipfile.ZIP_DEFLATED if compress else zipfile.ZIP_STORED)
    (out / name).write_bytes(buffer.getvalue())


def text(s):
    return b"X" + struct.pack("<I", len(s)) + s.encode()


def integer(n):
    if -(1 << 31) <= n < 1 << 31:
        return b"J" + struct.pack("<i", n)
    return b"\x8a\x08" + struct.pack("<q", n)


def ints(values):
    return b"(" + b"".join(integer(v) for v in values) + b"t"


def tensor(offset=0, shape=(4,), stride=(1,), elements=4, key="0", storage="FloatStorage"):
    persid = (
        b"("
        + text("storage")
        + b"ctorch\n"
        + storage.encode()
        + b"\n"
        + text(key)
        + text("cpu")
        + integer(elements)
        + b"tQ"
    )
    return (
        b"ctorch._utils\n_rebuild_tensor_v2\n("
        + persid
        + integer(offset)
        + ints(shape)
        + ints(stride)
        + b"\x89"
        + b"ccollections\nOrderedDict\n)RtR"
    )


def state(value, key="w"):
    return b"\x80\x02}" + text(key) + value + b"s."


archive("good_one", state(tensor()))
archive(
    "good_parameter", state(b"ctorch._utils\n_rebuild_parameter\n(" + tensor() + b"\x88ccollections\nOrderedDict\n)RtR")
)
archive("good_cuda_storage", state(tensor().replace(b"ctorch\nFloat", b"ctorch.cuda\nFloat")))
archive("good_size_value", b"\x80\x02}(" + text("w") + tensor() + text("size") + b"ctorch\nSize\n(K\x01t\x85R" + b"u.")
archive(
    "good_numbers",
    b"\x80\x02}("
    + text("f")
    + b"G"
    + struct.pack(">d", 0.5)
    + text("n")
    + b"N"
    + text("t")
    + b"\x88"
    + text("i")
    + b"\x8a\x01\xff"
    + b"u.",
)
archive("os_system", b"\x80\x02cos\nsystem\n(" + text("true") + b"tR.")
archive("posix_system", pickle.dumps(__import__("os").system, 4))
archive("eval", pickle.dumps(eval, 2))
archive("eval_stack_global", b"\x80\x04" + text("builtins") + text("eval") + b"\x93.")
archive("inst", b"\x80\x02(ios\nsystem\n.")
archive("obj", b"\x80\x02(ccollections\nOrderedDict\no.")
archive("newobj", b"\x80\x02ccollections\nOrderedDict\n)\x81.")
archive("load_from_bytes", b"\x80\x02ctorch.storage\n_load_from_bytes\nC\x04aaaa\x85R.")
archive("long_global", b"\x80\x02c" + b"a" * 2000 + b"\nb\n.")
archive("getattr", b"\x80\x02c__builtin__\ngetattr\n.")
archive("call_string", b"\x80\x02" + text("x") + b")R.")
archive("call_storage_type", b"\x80\x02ctorch\nFloatStorage\n)R.")
archive("build_tensor", b"\x80\x02" + tensor() + b"}" + text("a") + b"K\x01sb.")
archive("huge_string", b"\x80\x02X\xff\xff\xff\xff" + b"abc")
archive("huge_string8", b"\x80\x04\x8d" + b"\xff" * 8 + b"abc")
archive("huge_long", b"\x80\x02\x8b\xff\xff\xff\x7f.")
archive("memo_missing", b"\x80\x02h\x05.")
archive("memo_missing_long", b"\x80\x02j\xff\xff\xff\xff.")
archive("memo_nothing", b"\x80\x02q\x00.")
archive("stack_empty", b"\x80\x02s.")
archive("mark_missing", b"\x80\x02t.")
archive("below_mark", b"\x80\x02]K\x01(a.")
archive("odd_items", b"\x80\x02}(" + text("w") + b"u.")
archive("items_on_list", b"\x80\x02]K\x01K\x02s.")
archive("append_to_dict", b"\x80\x02}K\x01a.")
archive("left_over", b"\x80\x02K\x01K\x02.")
archive("no_stop", b"\x80\x02}")
archive("empty_pickle", b"")
archive("protocol_0", pickle.dumps({"a": 1}, 0))
archive("protocol_9", b"\x80\x09}.")
archive("unknown_opcode", b"\x80\x02\xfe.")
archive("cycle", b"\x80\x02]q\x00h\x00a.")
archive("deep_lists", b"\x80\x02" + b"]" * 5000 + b"a" * 4999 + b".")
archive("many_marks", b"\x80\x02" + b"(" * 20000 + b".")
archive("billion_laughs", b"\x80\x02]q\x00" + b"".join(b"0](h%ch%ceq%c" % (i, i, i + 1) for i in range(60)) + b".")
archive(
    "many_names",
    b"\x80\x02]q\x00("
    + b"K\x01" * 200
    + b"e"
    + b"".join(b"0](" + b"h%c" % i * 200 + b"eq%c" % (i + 1) for i in range(4))
    + b".",
)
archive(
    "repeated_pairs",
    b"\x80\x02](" + b"K\x01K\x02\x86" * 300 + b"e\x85q\x000](" + b"ccollections\nOrderedDict\nh\x00R" * 300 + b"e.",
)
archive("list_key", b"\x80\x02}]" + tensor() + b"s.")
archive("tuple_key", b"\x80\x02})" + tensor() + b"s.")
archive("bad_utf8_key", b"\x80\x02}X\x02\0\0\0\xff\xfe" + tensor() + b"s.")
archive("same_name", b"\x80\x02}(" + text("a.b") + tensor() + text("a") + b"}" + text("b") + tensor() + b"su.")
archive("storage_missing", state(tensor(key="7")))
archive("storage_climbs", state(tensor(key="../data.pkl")))
archive("storage_too_small", state(tensor(elements=400, shape=(400,))))
archive("storage_negative", state(tensor(elements=-4)))
archive("storage_overflow", state(tensor(elements=1 << 62)))
archive("storage_type", state(tensor(storage="Size")))
archive("outside", state(tensor(shape=(5,))))
archive("offset_outside", state(tensor(offset=1)))
archive("offset_negative", state(tensor(offset=-1)))
archive("offset_overflow", state(tensor(offset=(1 << 63) - 1)))
archive("stride_negative", state(tensor(offset=3, stride=(-1,))))
archive("stride_overflow", state(tensor(shape=(3, 2), stride=(1 << 62, 1))))
archive("stride_wraps", state(tensor(shape=(5, 1), stride=(1 << 62, 1))))
archive("shape_negative", state(tensor(shape=(-4,))))
archive("shape_overflow", state(tensor(shape=(1 << 40, 1 << 40), stride=(0, 0))))
archive("expanded_too_far", state(tensor(shape=(1 << 40,), stride=(0,))))
archive("rank_mismatch", state(tensor(shape=(2, 2))))
archive("many_dims", state(tensor(shape=(1,) * 20, stride=(1,) * 20)))
archive("shape_of_text", state(tensor()).replace(ints((4,)), b"(" + text("a") + b"t", 1))
archive("persid_number", b"\x80\x02K\x01Q.")
archive("persid_short", b"\x80\x02" + text("storage") + b"\x85Q.")
archive("persid_old_view", state(tensor()).replace(integer(4) + b"tQ", integer(4) + text("v") + b"K\x00K\x01\x87tQ", 1))
archive("compressed", state(tensor()) + bytes(500), compress=True)
archive("big_endian", state(tensor()), extra=(("archive/byteorder", b"big"),))
whole = (out / "good_one").read_bytes()
(out / "zip_truncated").write_bytes(whole[:-40])
(out / "zip_halved").write_bytes(whole[: len(whole) // 2])
(out / "zip_only_magic").write_bytes(b"PK\3\4")
end = whole.rindex(b"PK\5\6")
central = whole.index(b"PK\1\2")


def patched(name, at, data):
    (out / name).write_bytes(whole[:at] + data + whole[at + len(data) :])


patched("zip_directory_outside", end + 16, struct.pack("<I", 1 << 30))
patched("zip_directory_size", end + 12, struct.pack("<I", 1 << 30))
patched("zip_many_entries", end + 8, struct.pack("<HH", 60000, 60000))
patched("zip_needs_zip64", end + 16, b"\xff" * 4)
patched("zip_local_outside", central + 42, struct.pack("<I", 1 << 30))
patched("zip_local_wrong", central + 42, struct.pack("<I", 1))
patched("zip_entry_size", central + 20, struct.pack("<II", 1 << 30, 1 << 30))
patched("zip_sizes_differ", central + 24, struct.pack("<I", 3))
patched("zip_encrypted", central + 8, struct.pack("<H", 1))
patched("zip_name_length", central + 28, struct.pack("<H", 65000))
patched("zip_entry64", central + 20, b"\xff" * 8)
for name, entry in (("zip_other", "a.txt"), ("torchscript", "archive/code/x.py")):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as z:
        z.writestr(zipfile.ZipInfo(entry), "x")
    (out / name).write_bytes(buffer.getvalue())
(out / "tar").write_bytes(bytes(257) + b"ustar\x0000" + bytes(700))
legacy = (out / "good_list_legacy.pt").read_bytes()
(out / "legacy_truncated").write_bytes(legacy[:-9])
(out / "legacy_cut_in_pickle").write_bytes(legacy[:150])
(out / "legacy_other_magic").write_bytes(pickle.dumps(12345678901234567890123, 2) + b"\x80\x02M\xe9\x03.")
(out / "legacy_no_magic").write_bytes(pickle.dumps({"a": 1}, 2))
(out / "legacy_hostile").write_bytes(b"\x80\x02cos\nsystem\n(" + text("true") + b"tR.")
at = len(legacy) - 16 - 8
(out / "legacy_huge_storage").write_bytes(legacy[:at] + b"\xff" * 8 + legacy[at + 8 :])

# --- JSON -------------------------------------------------------------------------------------------------------------
out = folder("json")
texts = {
    "good": '{"a": [1, -2.5e-3, true, false, null], "b": {"c": "\\u00e4\\n", "d": {}}, "e": []}\n',
    "good_bom": b'\xef\xbb\xbf{"a": 1}',
    "good_scalar": "12345678901234567890123",
    "good_depth": "[" * 199 + "]" * 199,
    "duplicate": '{"a": 1,\n "b": 2,\n "a": 3}',
    "duplicate_deep": '{"x": [{"a": {"b": 1, "b": 1}}]}',
    "too_deep": "[" * 201 + "]" * 201,
    "bomb": "[" * 2000,
    "bomb_objects": '{"a":' * 1000,
    "nan": '{"a": NaN}',
    "infinity": "[Infinity]",
    "minus_infinity": "[-Infinity]",
    "huge_number": "[1e999]",
    "leading_zero": "[01]",
    "plus": "[+1]",
    "dot": "[.5]",
    "trailing_comma": "[1,]",
    "trailing_text": "{} x",
    "two": "1 2",
    "comment": "/* a */ 1",
    "single_quotes": "{'a': 1}",
    "unclosed": '{"a": [1, 2',
    "unclosed_string": '"abc',
    "no_value": '{"a": }',
    "no_colon": '{"a" 1}',
    "number_key": "{1: 2}",
    "bad_escape": '"\\q"',
    "lone_surrogate": '"\\ud800"',
    "control_character": '"a\nb"',
    "bad_utf8": b'"\xff"',
    "overlong": b'"\xc0\xaf"',
    "nul": b"\0",
    "empty": "",
    "blanks": " \n\t",
}
for name, content in texts.items():
    (out / name).write_bytes(content if isinstance(content, bytes) else content.encode())
