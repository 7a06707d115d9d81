"""The list of what a zoo ships, with a SHA-256 of each file, as `sha256sum -c` reads it."""

import hashlib

FILE = "SHA256SUMS"
PARTS = ("base", "adapters", "data")


def _files(folder):
    return sorted(path for part in PARTS for path in (folder / part).rglob("*") if path.is_file())


def _sums(folder):
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in _files(folder)
    }


def write(folder):
    text = "".join(f"{value}  {name}\n" for name, value in _sums(folder).items())
    (folder / FILE).write_text(text, encoding="utf-8")


def size(folder):
    """Bytes of all of it."""
    return sum(path.stat().st_size for path in _files(folder))


def differences(folder):
    """What is missing, added or changed since the sums were written, as lines."""
    text = (folder / FILE).read_text(encoding="utf-8")
    wanted = {name: value for value, name in (line.split("  ", 1) for line in text.splitlines())}
    found = _sums(folder)
    wrong = []
    for name in sorted(wanted.keys() | found.keys()):
        if name not in found:
            wrong.append(f"{folder / name}: missing")
        elif name not in wanted:
            wrong.append(f"{folder / name}: not in {FILE}")
        elif found[name] != wanted[name]:
            wrong.append(f"{folder / name}: not the file that {FILE} describes")
    return wrong
