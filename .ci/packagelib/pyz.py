"""kubeboot.pyz: one file with kubeboot and every locked wheel for each Python and machine that it runs on.

The wheels are inside as they came from the index, byte for byte, so their sums are those of the lock. One
file serves Python 3.11 to 3.14 on amd64 and arm64; each machine unpacks what it needs (see unpack.py).
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterable
from pathlib import Path

PYTHONS = ("3.11", "3.12", "3.13", "3.14")
MACHINES = ("x86_64", "aarch64")
_GLIBC = ("manylinux2014", "manylinux_2_17", "manylinux_2_28")
_EPOCH = (1980, 1, 1, 0, 0, 0)
_HERE = Path(__file__).parent


def wheels(lock: Path, cache: Path) -> tuple[Path, ...]:
    """Every wheel that the lock names for each Python and machine: from the cache, or downloaded into it."""
    text = lock.read_text()
    if odd := re.findall(r"^\S+ ;(?!.*emscripten).*python_(?:full_)?version.*", text, re.MULTILINE):
        raise SystemExit(f"error: {lock.name} differs from Python to Python, and one list is made: {odd}")
    key = hashlib.sha256("\n".join((text, *PYTHONS, *MACHINES)).encode()).hexdigest()[:16]
    place = cache / f"wheels-{key}"
    if not (place / "ready").exists():
        for machine in MACHINES:
            for python in PYTHONS:
                _download(lock, place, python, machine)
        (place / "ready").touch()
    return tuple(sorted(place.glob("*.whl")))


def _download(lock: Path, to: Path, python: str, machine: str) -> None:
    platforms = (f"--platform={glibc}_{machine}" for glibc in _GLIBC)
    wanted = ("--implementation=cp", f"--python-version={python}", *platforms)
    command = (sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps")
    exact = ("--only-binary=:all:", "--require-hashes", f"--requirement={lock}")
    subprocess.run((*command, f"--dest={to}", *wanted, *exact), check=True)


def build(own: Path, others: Iterable[Path], to: Path) -> None:
    """Write the file: the same bytes from the same wheels."""
    packed = sorted((own, *others), key=lambda path: path.name)
    for wheel in packed:
        _check(wheel)
    with to.open("wb") as file:
        file.write(b"#!/usr/bin/env python3\n")
        with zipfile.ZipFile(file, "w") as archive:
            for name, text in _scripts(own, packed).items():
                archive.writestr(_entry(name), text, zipfile.ZIP_DEFLATED)
            for wheel in packed:
                archive.writestr(_entry(f"wheels/{wheel.name}"), wheel.read_bytes())
    to.chmod(0o755)


def _scripts(own: Path, packed: Iterable[Path]) -> dict[str, bytes]:
    """What runs before anything is unpacked. The identity names the directory that it is unpacked to."""
    with zipfile.ZipFile(own) as wheel:
        blank = wheel.read("kubeboot/cli/argv.py")
    start, unpack = ((_HERE / name).read_bytes() for name in ("start.py", "unpack.py"))
    sums = (hashlib.sha256(data).hexdigest() for data in (start, unpack, *map(Path.read_bytes, packed)))
    identity = hashlib.sha256("".join(sums).encode()).hexdigest()[:16]
    named = f'"""The sum of all that is in this file."""\n\nID = "{identity}"\n'.encode()
    return {"__main__.py": start, "argv.py": blank, "identity.py": named, "unpack.py": unpack}


def _check(wheel: Path) -> None:
    """A wheel is unpacked as it is: what an installer would have to move is refused."""
    with zipfile.ZipFile(wheel) as archive:
        if moved := [name for name in archive.namelist() if ".data/" in name]:
            raise SystemExit(f"error: {wheel.name} holds files to be moved: {moved[0]}")


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, _EPOCH)
    entry.external_attr = 0o644 << 16
    return entry


def cache() -> Path:
    """Where downloaded wheels are kept: outside the checkout."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kubeboot"
