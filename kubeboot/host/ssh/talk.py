"""A command on an SSH channel, from exec to exit status."""

from __future__ import annotations

import contextlib
import dataclasses
import select
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import BinaryIO

import paramiko

from kubeboot.host.runner import timed_out
from kubeboot.host.ssh.channel import GONE, closing_after, shut

_CHUNK = 1 << 17
_DIRECT = 1 << 16
"""So much input always fits into a channel's first window: no thread is needed to send it."""


class Bell:
    """Rung when something comes on a channel, or it ends. By it a channel needs no descriptors of its own."""

    def __init__(self, channel: paramiko.Channel) -> None:
        self._rung = threading.Event()
        for buffer in (channel.in_buffer, channel.in_stderr_buffer):
            buffer.set_event(self)  # type: ignore[arg-type]

    def set(self) -> None:
        """By either stream."""
        self._rung.set()

    def clear(self) -> None:
        """One stream is empty: that says nothing of the other."""

    def rest(self) -> None:
        """Before looking: what comes from now on rings it again."""
        self._rung.clear()

    def wait(self, seconds: float) -> None:
        """Until it is rung."""
        self._rung.wait(min(seconds, threading.TIMEOUT_MAX))


@dataclasses.dataclass
class Talk:
    """Sends the input, hands on what comes, and asks whether the other side lives when nothing does.

    `over` knows when a command's answer is whole on a channel that stays open after it, and its status.
    `failure` is the error of the input's source or of a receiver: ours, not the connection's.
    """

    channel: paramiko.Channel
    out: Callable[[bytes], object]
    err: Callable[[bytes], object]
    alive: Callable[[], None]
    idle: float
    over: Callable[[], int | None] | None = None
    moved: float = 0.0
    failure: BaseException | None = None

    def run(self, stdin: Iterable[bytes], argv: tuple[str, ...], deadline: float | None, host: str) -> int:
        """The exit status of a command that has begun. `deadline` None: as long as it takes."""
        self.channel.settimeout(self.idle)
        self.moved = time.monotonic()
        end = self.moved + deadline if deadline is not None else float("inf")
        bell = Bell(self.channel)
        with self._feeding(stdin):
            while not self._drained(bell):
                if self.over is not None and (status := self.over()) is not None:
                    return status
                if time.monotonic() > end:
                    raise timed_out(argv, deadline or 0.0, host)
                self._wait(bell, end)
            if self.failure is not None:
                raise self.failure
            if not self.channel.eof_received:  # sshd may tell the status before the rest of the output
                raise EOFError("it broke off before the output had ended")
            return self._status(argv, end, deadline or 0.0, host)

    def _drained(self, bell: Bell) -> bool:
        """Hand on what is there; True when nothing more will come."""
        bell.rest()
        ended = bool(self.channel.eof_received or self.channel.closed)
        moved = self._pass(self.channel.recv_ready, self.channel.recv, self.out)
        moved = self._pass(self.channel.recv_stderr_ready, self.channel.recv_stderr, self.err) or moved
        if moved:
            self.moved = time.monotonic()
        if ended:
            bell.set()  # nothing else will
        return ended and not moved

    def _pass(
        self, ready: Callable[[], bool], receive: Callable[[int], bytes], give: Callable[[bytes], object]
    ) -> bool:
        moved = False
        while ready():
            data = receive(_CHUNK)
            moved = True
            with self._ours():
                give(data)
        return moved

    def _wait(self, bell: Bell, end: float) -> None:
        until = min(self.moved + self.idle, end)
        bell.wait(max(0.0, until - time.monotonic()))
        if time.monotonic() >= self.moved + self.idle:
            self.alive()
            self.moved = time.monotonic()

    def _status(self, argv: tuple[str, ...], end: float, deadline: float, host: str) -> int:
        """Comes soon after the output has ended, unless the command was killed or the connection went."""
        while not self.channel.status_event.wait(min(self.idle, max(0.0, end - time.monotonic()))):
            if time.monotonic() > end:
                raise timed_out(argv, deadline, host)
            self.alive()
        status = int(self.channel.exit_status)
        if status < 0:
            raise EOFError("it broke off in the middle of a command")
        return status

    @contextlib.contextmanager
    def _feeding(self, stdin: Iterable[bytes]) -> Iterator[None]:
        if isinstance(stdin, tuple) and sum(map(len, stdin)) <= _DIRECT:
            with closing_after(self.channel.get_transport(), 2 * self.idle):
                self._send(stdin)
            yield
            return
        thread = threading.Thread(target=self._send, args=(stdin,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            shut(self.channel, self.idle)
            thread.join()

    def _send(self, chunks: Iterable[bytes]) -> None:
        """An input that fails must not look like one that ends: a last byte too many spoils its sum.

        The command is not killed: it is given the time to notice and to clean up.
        """
        source = iter(chunks)
        with contextlib.suppress(*GONE):  # the command ended, or the connection: the reader knows which
            while (chunk := self._next(source)) is not None:
                self.channel.sendall(chunk)
                self.moved = time.monotonic()
            if self.failure is not None:
                self.channel.sendall(b"\0")
            if self.over is None:
                self.channel.shutdown_write()

    def _next(self, source: Iterator[bytes]) -> bytes | None:
        try:
            return next(source, None)
        except BaseException as err:
            self.failure = err
            return None

    @contextlib.contextmanager
    def _ours(self) -> Iterator[None]:
        try:
            yield
        except BaseException as err:
            self.failure = err
            raise


def from_file(file: BinaryIO, channel: paramiko.Channel) -> Iterator[bytes]:
    """What comes from a file (a pipe, a terminal), until it ends or the channel does."""
    while not channel.closed:
        ready, _, _ = select.select([file], [], [], 0.1)
        if ready:
            data = file.raw.read(_CHUNK) if hasattr(file, "raw") else file.read(_CHUNK)
            if not data:
                return
            yield data
