"""A machine over SSH, read-only: the same answers as `local`, by the same table of commands."""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping
from typing import TypeVar

from kubeboot.host import parse, proc, scripts
from kubeboot.host.api import Lost
from kubeboot.host.common import CommandView
from kubeboot.host.model import Listener, Mount, Process, Stat, Unit
from kubeboot.host.runner import Ask
from kubeboot.host.ssh.connection import Connection

T = TypeVar("T")
ATTEMPTS = 5
"""At a command whose connection is lost, each on a new one."""


class SshView(CommandView):
    """A remote machine, read-only. A read that lost its connection is repeated on a new one."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection.name, connection.run)
        self.connection = connection

    def _ask(self, ask: Ask[T]) -> T:
        return again(lambda: super(SshView, self)._ask(ask), lambda lost: True)

    def read(self, path: str) -> bytes | None:
        """A file's bytes."""
        return self._ask(scripts.read(path))

    def stat(self, path: str) -> Stat | None:
        """One directory entry, links not followed."""
        return self._ask(scripts.stat(path))

    def stats(self, paths: tuple[str, ...]) -> Mapping[str, Stat | None]:
        """`stat` of each of them, by one command."""
        return self._ask(scripts.stats(paths))

    def listdir(self, path: str) -> tuple[str, ...]:
        """The sorted names in a directory."""
        return self._ask(scripts.listdir(path))

    def sha256(self, path: str) -> str | None:
        """A file's sum in hex."""
        return self._ask(scripts.sha256(path))

    def unit(self, name: str) -> Unit:
        """A systemd unit, and what its main process was started with."""
        return self._ask(scripts.unit(name))

    def sysctl(self, key: str) -> str | None:
        """A kernel setting, runs of blanks as one."""
        data = self.read(proc.sysctl_path(key))
        return None if data is None else " ".join(data.decode().split())

    def module(self, name: str) -> bool:
        """Whether the kernel has the module, loaded or built in."""
        return self._ask(scripts.module(name))

    def mounts(self) -> tuple[Mount, ...]:
        """The mount table."""
        return parse.mounts(self.read("/proc/self/mounts") or b"")

    def listeners(self) -> tuple[Listener, ...]:
        """Listening sockets and who holds them."""
        return self._ask(scripts.listeners())

    def processes(self) -> tuple[Process, ...]:
        """Running processes."""
        return self._ask(scripts.processes())

    def free_bytes(self, path: str) -> int:
        """What a user may still write where `path` is or will be."""
        return self._ask(scripts.free_bytes(path))

    def dial(self, address: str, port: int, timeout: float = 5.0) -> socket.socket:
        """A TCP connection made from the machine; OSError where there is none."""
        return self.connection.dial(address, port, timeout)


def again(act: Callable[[], T], may: Callable[[Lost], bool]) -> T:
    """Do it; after a loss again, if that is safe. The connection itself waits for a machine that boots."""
    for _ in range(ATTEMPTS - 1):
        try:
            return act()
        except Lost as lost:
            if not may(lost):
                raise
    return act()
