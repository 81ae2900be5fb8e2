"""A machine over SSH: the same answers as `local`, by the same table of commands."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import socket
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, TypeVar

from kubeboot.host import commands, files, images, parse, proc, scripts, sums
from kubeboot.host.api import CommandFailed, Lost
from kubeboot.host.common import CommandTarget, CommandView
from kubeboot.host.connection import Connection
from kubeboot.host.held import Held
from kubeboot.host.hostkeys import HostKeys
from kubeboot.host.login import Deadlines, Login
from kubeboot.host.model import Listener, Mount, Process, Stat, Unit
from kubeboot.host.runner import Ask, Tell
from kubeboot.host.sending import OnMachine, part
from kubeboot.host.upload import Upload

T = TypeVar("T")
ATTEMPTS = 5
"""At a command whose connection is lost, each on a new one."""

ON_MACHINE = 3600.0
"""Seconds for what a machine puts together itself: it may have to fetch it first."""


class SshView(CommandView):
    """A remote machine, read-only. A read that lost its connection is repeated on a new one."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection.name, connection.run)
        self.connection = connection

    def _ask(self, ask: Ask[T]) -> T:
        return _again(lambda: super(SshView, self)._ask(ask), lambda lost: True)

    def read(self, path: str) -> bytes | None:
        """A file's bytes."""
        return self._ask(scripts.read(path))

    def stat(self, path: str) -> Stat | None:
        """One directory entry, links not followed."""
        return self._ask(scripts.stat(path))

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


class SshHost(SshView, CommandTarget):
    """A remote machine, with the writes. A lock that went with its connection is taken again before any."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self._locks: dict[str, Held] = {}
        self._detours = images.Detours()

    @classmethod
    def from_ssh_config(
        cls,
        config: Path | str,
        name: str,
        host_keys: HostKeys | None = None,
        deadlines: Deadlines | None = None,
    ) -> SshHost:
        """From an ssh-config (a file, or its text) that describes `name`, as `vagrant ssh-config` does."""
        text = config.read_text() if isinstance(config, Path) else config
        how = Login(name, text, host_keys=host_keys, deadlines=deadlines or Deadlines())
        return cls(Connection(how))

    def close(self) -> None:
        """Close the connection."""
        self.connection.close()

    def run(self, argv: tuple[str, ...], stdin: BinaryIO | None, stdout: BinaryIO, stderr: BinaryIO) -> int:
        """A person's own command, streamed; answers its exit status."""
        return self.connection.stream(argv, stdin, stdout, stderr)

    def _tell(self, tell: Tell, chunks: Iterable[bytes] = ()) -> None:
        if isinstance(chunks, OnMachine):
            argv, long = scripts.put_together(chunks.parts, tell.argv), max(tell.deadline, ON_MACHINE)
            tell = dataclasses.replace(tell, argv=argv, deadline=long)
            chunks = ()
        twice = tell.repeatable and isinstance(chunks, tuple)

        def act() -> None:
            self._keep_locks()
            super(SshHost, self)._tell(tell, chunks)

        _again(act, lambda lost: twice or not lost.sent)

    def _keep_locks(self) -> None:
        for held in tuple(self._locks.values()):
            held.ensure()

    def write(self, path: str, data: bytes, mode: int = 0o644, owner: str = "root:root") -> None:
        """Replace a file's bytes, mode and owner in one move."""
        self._tell(scripts.replace(path, hashlib.sha256(data).hexdigest(), mode, owner), (data,))

    def append(self, path: str, data: bytes, mode: int = 0o600) -> None:
        """Add to a file's end, durably, all or nothing, and only once: after a loss it looks first."""
        for left in reversed(range(ATTEMPTS)):
            try:
                return self._tell(scripts.append(path, data, mode), (data,))
            except Lost:
                if (self.read(path) or b"").endswith(data):
                    return None
                if not left:
                    raise
        return None

    def put(self, path: str, chunks: Iterable[bytes], sha256: str, mode: int = 0o755) -> None:
        """Stream a file, and let it appear only if its sum is right. Goes on where an earlier one was cut.

        The sum is that of the bytes as they are sent: that they arrive is SSH's and the file system's word.
        """
        if isinstance(chunks, OnMachine):
            return self._tell(scripts.replace(path, sha256, mode, "", sums.PATH), chunks)
        folder, _, name = path.rpartition("/")
        there = f"{folder}/{part(name, sha256)}"
        sent = Upload(chunks, self._ask(scripts.part_size(there)))
        try:
            self._tell(scripts.receive(path, there, sent.offset), sent)
            if sent.sum != sha256:
                raise CommandFailed(f"{path}: what was to be sent does not have the sha256 {sha256}")
            self._tell(scripts.commit(path, sha256, mode, there, sent.size, read=sent.offset > 0))
        except Lost:
            raise
        except BaseException as err:
            self.remove(there)
            if not (sent.offset and isinstance(err, CommandFailed)):
                raise
            raise self._spoilt(err) from err

    def import_images(self, chunks: Iterable[bytes], names: tuple[str, ...], pinned: bool = False) -> None:
        """Stream an image into containerd; once that was cut, by way of a file, which can go on."""
        tell = commands.import_images(pinned)
        if not isinstance(chunks, OnMachine) and self._detours.has(self, names):
            return self._import_sent(chunks, names, tell)
        try:
            return self._tell(tell, chunks)
        except Lost:
            self._detours.add(names)
            raise

    def _import_sent(self, chunks: Iterable[bytes], names: tuple[str, ...], tell: Tell) -> None:
        """The image's own digests tell whether what came by several connections is it."""
        path, there = images.places(names)
        sent = Upload(chunks, self._ask(scripts.part_size(there)))
        try:
            self._tell(scripts.receive(path, there, sent.offset), sent)
            self._tell(scripts.consume(there, tell))
        except CommandFailed as err:
            self.remove(there)
            if not sent.offset:
                raise
            raise self._spoilt(err) from err

    def _spoilt(self, err: CommandFailed) -> Lost:
        return Lost(f"{err.message}, with what an earlier upload left", host=self.name)

    def mkdir(self, path: str, mode: int = 0o755) -> None:
        """A directory with this mode."""
        self._tell(scripts.mkdir(path, mode))

    def symlink(self, path: str, target: str) -> None:
        """A symbolic link with this target."""
        self._tell(scripts.symlink(path, target))

    def chmod(self, path: str, mode: int, owner: str = "root:root") -> None:
        """Mode and owner of a file or directory."""
        self._tell(scripts.chmod(path, mode, owner))

    def remove(self, path: str) -> None:
        """A file, a link or an empty directory."""
        self._tell(scripts.remove(path))

    def remove_tree(self, path: str) -> tuple[str, ...]:
        """All at and below a path except mounts, whose points are the answer."""
        found = self.stat(path)
        real = path if found is None or found.kind == "link" else self._ask(scripts.real_path(path))
        left = files.points_below(real, (mount.point for mount in self.mounts()))
        self._tell(scripts.remove_tree(real, left))
        return left

    def remove_cgroup(self, path: str) -> None:
        """Remove a control group and those below it."""
        self._tell(scripts.remove_cgroup(path))

    def set_sysctl(self, key: str, value: str) -> None:
        """Change a kernel setting now (not for the next boot)."""
        self._tell(scripts.set_sysctl(key, value))

    def kill(self, pid: int, signal: int) -> None:
        """Signal a process, if it is still there."""
        self._tell(scripts.kill(pid, signal))

    @contextlib.contextmanager
    def lock(self, path: str, holder: str) -> Iterator[None]:
        """Hold an exclusive lock as long as the connection lives; it excludes local runs too."""
        with Held(self.connection, path, holder) as held:
            self._locks[path] = held
            try:
                yield
            finally:
                del self._locks[path]

    def say(self, path: str, words: str) -> None:
        """What else is told of who holds the lock."""
        if held := self._locks.get(path):
            held.say(words)


def _again(act: Callable[[], T], may: Callable[[Lost], bool]) -> T:
    """Do it; after a loss again, if that is safe. The connection itself waits for a machine that boots."""
    for _ in range(ATTEMPTS - 1):
        try:
            return act()
        except Lost as lost:
            if not may(lost):
                raise
    return act()
