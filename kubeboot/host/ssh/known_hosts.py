"""ssh's known-hosts files, read once for all machines; paramiko compares each line with all others."""

from __future__ import annotations

import fnmatch
import functools
from collections.abc import Iterator
from pathlib import Path

import paramiko
from paramiko.hostkeys import HostKeyEntry, InvalidHostKey

_REVOKED = "@revoked"


def find(file: Path, name: str) -> Iterator[paramiko.PKey]:
    """A host's keys in a file, by the name that is compared: `host`, or `[host]:port`."""
    named, hashed, _ = _lines(file)
    for line in (*named.get(name, ()), *hashed):
        entry = _entry(line)
        if entry and (name in entry.hostnames or any(_is(name, each) for each in entry.hostnames)):
            yield entry.key


def revoked(file: Path, name: str) -> Iterator[paramiko.PKey]:
    """The keys that a file says a host must not show, whatever else it says; names may be patterns."""
    for entry in map(_entry, _lines(file)[2]):
        if entry and any(_covers(each, name) or _is(name, each) for each in entry.hostnames):
            yield entry.key


_Lines = tuple[dict[str, list[str]], list[str], list[str]]


def _lines(file: Path) -> _Lines:
    if not file.exists():
        return {}, [], []
    at = file.stat()
    return _read(file, at.st_mtime_ns, at.st_size)


@functools.lru_cache(maxsize=16)
def _read(file: Path, mtime: int, size: int) -> _Lines:
    """Lines by the names in them, with hashed names, and revoked; the numbers tell of a change."""
    named: dict[str, list[str]] = {}
    hashed: list[str] = []
    gone: list[str] = []
    for line in map(str.strip, file.read_text(errors="replace").splitlines()):
        if line.startswith("|1|"):
            hashed.append(line)
        elif line.startswith(_REVOKED):
            gone.append(line.removeprefix(_REVOKED).strip())
        elif line and not line.startswith(("#", "@")):
            for name in line.split(None, 1)[0].split(","):
                named.setdefault(name, []).append(line)
    return named, hashed, gone


def _entry(line: str) -> HostKeyEntry | None:
    """None for a line that is no key, as ssh leaves it out."""
    try:
        return HostKeyEntry.from_line(line)
    except (InvalidHostKey, paramiko.SSHException, ValueError):
        return None


def _is(name: str, hashed: str) -> bool:
    return hashed.startswith("|1|") and paramiko.HostKeys.hash_host(name, hashed) == hashed


def _covers(pattern: str, name: str) -> bool:
    """`*` and `?` as ssh has them; brackets are those of `[host]:port`."""
    return fnmatch.fnmatchcase(name, pattern.replace("[", "[[]"))
