"""An flock on a file whose text says who holds it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from kubeboot import errors
from kubeboot.host import files

SPEAKS = 2.0
"""Seconds that a holder is given to say who it is."""


@contextlib.contextmanager
def held(path: str, holder: str, host: str) -> Iterator[Held]:
    """Hold the lock, or raise Occupied with the words of who does."""
    fd = _taken(path, host)
    try:
        with files.naming(path):
            _say(fd, holder)
        yield Held(fd, holder)
        os.ftruncate(fd, 0)
    finally:
        os.close(fd)


class Held:
    """A lock that is held, by whom. Safe to use from several threads."""

    def __init__(self, fd: int, holder: str) -> None:
        self._fd = fd
        self._holder = holder
        self._mutex = threading.Lock()

    def say(self, words: str) -> None:
        """What else is told of the holder; on a full disk that is less."""
        with self._mutex, contextlib.suppress(OSError):
            _say(self._fd, f"{self._holder}, {words}")


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
        words = _words(fd)
        os.close(fd)
        raise occupied(words, host) from None
    try:
        return os.path.samestat(os.fstat(fd), os.lstat(path))
    except FileNotFoundError:
        return False


def occupied(words: bytes, host: str) -> errors.Occupied:
    """The error for a lock that someone else holds."""
    holder = words.decode(errors="replace").partition("\n")[0].strip() or "an unknown process"
    hint = "wait until that run has ended; the lock of a run that has died ends within a minute"
    return errors.Occupied(f"{host} is being changed by {holder}", host=host, hint=hint)


def _say(fd: int, words: str) -> None:
    """A line in one move: who reads it finds the old words or the new ones, and nothing in between."""
    line = f"{words}\n".encode()
    os.pwrite(fd, line, 0)
    os.ftruncate(fd, len(line))


def _words(fd: int) -> bytes:
    """The holder's; who has just taken the lock writes them in the next moment."""
    end = time.monotonic() + SPEAKS
    while not (words := os.pread(fd, 4096, 0).strip()) and time.monotonic() < end:
        time.sleep(0.005)
    return words
