"""Reading a file that someone named: never more than so many bytes, and never waiting for nobody."""

from __future__ import annotations

import errno
import os
import select
import stat
from collections.abc import Iterator

PATIENCE = 5.0
"""Seconds for someone to begin to write into a named pipe."""
_CHUNK = 1 << 16


def read(path: str | os.PathLike[str], most: int) -> bytes:
    """The first `most` bytes of a file or pipe; OSError for whatever keeps them from being read."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    except ValueError:
        raise OSError(errno.EINVAL, "Not a file's name") from None
    try:
        return b"".join(_chunks(descriptor, most))
    finally:
        os.close(descriptor)


def _chunks(descriptor: int, left: int) -> Iterator[bytes]:
    if stat.S_ISFIFO(os.fstat(descriptor).st_mode):
        first = _first(descriptor, left)
        left -= len(first)
        yield first
    os.set_blocking(descriptor, True)
    while left and (chunk := os.read(descriptor, min(left, _CHUNK))):
        left -= len(chunk)
        yield chunk


def _first(pipe: int, most: int) -> bytes:
    """What is in a pipe first: one that nobody has opened to write seems to be at its end."""
    try:
        found = os.read(pipe, min(most, _CHUNK))
    except BlockingIOError:
        return b""
    if found:
        return found
    poll = select.poll()
    poll.register(pipe, select.POLLIN)
    if not poll.poll(PATIENCE * 1000):
        raise TimeoutError(errno.ETIMEDOUT, "Nobody writes into this pipe")
    return b""
