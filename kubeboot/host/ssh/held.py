"""A lock on a remote machine: a command that holds it and ends with its connection."""

from __future__ import annotations

import contextlib
import secrets
import threading

import paramiko

from kubeboot.host import locks, streams
from kubeboot.host.runner import Result, failed
from kubeboot.host.ssh.channel import GONE
from kubeboot.host.ssh.connection import Connection

SILENCE = 60.0
"""Seconds after which a machine takes a run for gone, whose connection nobody has closed."""
BEAT = SILENCE / 3
"""Seconds between two signs of life."""


class Held:
    """Taken on entering. `ensure` takes it again when it went with its connection."""

    def __init__(self, connection: Connection, path: str, holder: str) -> None:
        self._connection = connection
        self._argv = streams.lock(path, holder, secrets.token_hex(8), SILENCE)
        self._mutex = threading.Lock()
        self._stack = contextlib.ExitStack()
        self._channel: paramiko.Channel | None = None
        self._over = threading.Event()

    def __enter__(self) -> Held:
        self.ensure()
        threading.Thread(target=self._beat, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        with self._mutex, self._stack:
            if self._channel is not None and not self._channel.closed:
                self._channel.shutdown_write()
                self._channel.status_event.wait(5.0)

    def ensure(self) -> None:
        """Raises Occupied when someone else has it (by now)."""
        with self._mutex:
            if self._channel is None or self._channel.closed:
                self._stack.close()
                self._channel = self._take()

    def say(self, words: str) -> None:
        """What else is told of the holder. A connection that is lost here is told by the next write."""
        with self._mutex, contextlib.suppress(*GONE):
            if self._channel is not None:
                self._channel.sendall(f"{words}\n".encode())

    def _beat(self) -> None:
        """An empty line now and then. What is lost here is told by the next write."""
        while not self._over.wait(BEAT):
            with contextlib.suppress(*GONE):
                if self._channel is not None:
                    self._channel.sendall(b"\n")

    def _take(self) -> paramiko.Channel:
        said, session = self._stack.enter_context(self._connection.holding(self._argv))
        if said == b"held\n":
            return session
        host = self._connection.name
        result = Result(session.recv_exit_status(), said, session.recv_stderr(4096))
        self._stack.close()
        if result.status == streams.LOCK_TAKEN:
            raise locks.occupied(said, host)
        raise failed(self._argv, result, host)
