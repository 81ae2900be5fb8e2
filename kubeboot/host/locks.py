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
    """Hold the lock, or raise Occupied with the words of who does. The file stays: removing it would race."""
    with files.naming(path):
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
    try:
        with files.naming(path):
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise occupied(os.pread(fd, 4096, 0), host) from None
            _say(fd, holder)
        yield
        _say(fd, "")
    finally:
        os.close(fd)


def occupied(words: bytes, host: str) -> errors.Occupied:
    """The error for a lock that somebody else holds."""
    holder = words.decode(errors="replace").strip() or "somebody who did not say who"
    hint = "wait until that run has ended; a lock never outlives its holder"
    return errors.Occupied(f"{host} is being changed by {holder}", host=host, hint=hint)


def _say(fd: int, words: str) -> None:
    os.ftruncate(fd, 0)
    os.pwrite(fd, words.encode(), 0)
