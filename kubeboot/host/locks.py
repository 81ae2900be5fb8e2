"""An flock on a file whose text says who holds it."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from kubeboot import errors
from kubeboot.host import files


@contextlib.contextmanager
def held(path: str, holder: str, host: str) -> Iterator[None]:
    """Hold the lock, or raise Occupied with the words of who does."""
    fd = _taken(path, host)
    try:
        with files.naming(path):
            _say(fd, holder)
        yield
        _say(fd, "")
    finally:
        os.close(fd)


def _taken(path: str, host: str) -> int:
    """An open file that is locked and still the one at the path: `reset` removes it while it holds it."""
    while True:
        with files.naming(path):
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
        if _lock(fd, path, host):
            return fd
        os.close(fd)


def _lock(fd: int, path: str, host: str) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        words = os.pread(fd, 4096, 0)
        os.close(fd)
        raise occupied(words, host) from None
    try:
        return os.path.samestat(os.fstat(fd), os.lstat(path))
    except FileNotFoundError:
        return False


def occupied(words: bytes, host: str) -> errors.Occupied:
    """The error for a lock that somebody else holds."""
    holder = words.decode(errors="replace").strip() or "somebody who did not say who"
    hint = "wait until that run has ended; a lock never outlives its holder"
    return errors.Occupied(f"{host} is being changed by {holder}", host=host, hint=hint)


def _say(fd: int, words: str) -> None:
    os.ftruncate(fd, 0)
    os.pwrite(fd, words.encode(), 0)
