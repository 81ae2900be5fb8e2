"""Files of this machine, looked at."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from kubeboot import inputs
from kubeboot.host.api import CommandFailed
from kubeboot.host.model import Stat

MOST = 256 << 20
"""Bytes that are ever read into memory: a kubeconfig may have been named that has no end."""
ABSENT = (FileNotFoundError, NotADirectoryError)
_FULL = "make room there (df -h), then run the same command again"


@contextlib.contextmanager
def naming(path: str) -> Iterator[None]:
    """Turn an OSError into a CommandFailed that names the path, and what fixes it where that is known."""
    try:
        yield
    except OSError as err:
        hint = _FULL if err.errno in (errno.ENOSPC, errno.EDQUOT) else None
        raise CommandFailed(f"{path}: {(err.strerror or str(err)).lower()}", hint=hint) from err


def read(path: str) -> bytes | None:
    """All bytes, up to MOST; None where there is no such file."""
    try:
        return inputs.read(path, MOST)
    except (*ABSENT, IsADirectoryError):
        return None


def stat_of(path: str) -> Stat | None:
    """One directory entry, links not followed."""
    try:
        found = os.lstat(path)
    except ABSENT:
        return None
    target = os.readlink(path) if stat.S_ISLNK(found.st_mode) else None
    return entry(found.st_mode, found.st_uid, found.st_gid, found.st_size, target)


def entry(mode: int, uid: int, gid: int, size: int, target: str | None) -> Stat:
    """A Stat from the numbers of lstat(2)."""
    permissions = stat.S_IMODE(mode)
    if stat.S_ISREG(mode):
        return Stat("file", permissions, uid, gid, size)
    if stat.S_ISDIR(mode):
        return Stat("dir", permissions, uid, gid, size)
    if stat.S_ISLNK(mode):
        return Stat("link", permissions, uid, gid, size, target)
    return Stat("other", permissions, uid, gid, size)


def sha256(path: str) -> str | None:
    """The file's sum in hex; None where there is no such file."""
    try:
        with Path(path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except (*ABSENT, IsADirectoryError):
        return None


def listdir(path: str) -> tuple[str, ...]:
    """Sorted names; none where there is no such directory."""
    try:
        return tuple(sorted(os.listdir(path)))
    except ABSENT:
        return ()


def nearest(path: str) -> str:
    """The path, or the first directory above it that exists."""
    while not os.path.exists(path):
        path = os.path.dirname(path)
    return path


def free_bytes(path: str) -> int:
    """Room for an ordinary user on the file system of the nearest directory that exists."""
    found = os.statvfs(nearest(path))
    return found.f_bavail * found.f_frsize
