"""A machine over SSH, with the writes: as `local` has them, by the same table of commands."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from kubeboot.host import commands, removal, scripts, streams, sums
from kubeboot.host.api import CommandFailed, Lost
from kubeboot.host.common import CommandTarget
from kubeboot.host.runner import Tell
from kubeboot.host.sending import OnMachine, part
from kubeboot.host.ssh import images
from kubeboot.host.ssh.connection import Connection
from kubeboot.host.ssh.held import Held
from kubeboot.host.ssh.hostkeys import HostKeys
from kubeboot.host.ssh.login import Deadlines, Login
from kubeboot.host.ssh.upload import Upload
from kubeboot.host.ssh.view import ATTEMPTS, SshView, again

ON_MACHINE = 3600.0
"""Seconds for what a machine puts together itself: it may have to fetch it first."""


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
            argv, long = streams.put_together(chunks.parts, tell.argv), max(tell.deadline, ON_MACHINE)
            tell = dataclasses.replace(tell, argv=argv, deadline=long)
            chunks = ()
        twice = tell.repeatable and isinstance(chunks, tuple)

        def act() -> None:
            self._keep_locks()
            super(SshHost, self)._tell(tell, chunks)

        again(act, lambda lost: twice or not lost.sent)

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

        def finish(sent: Upload) -> Tell:
            if sent.sum != sha256:
                raise CommandFailed(f"{path}: the bytes to send do not match the sha256 {sha256}")
            return scripts.commit(path, sha256, mode, there, sent.size, read=sent.offset > 0)

        self._send(path, there, chunks, finish)
        return None

    def _send(self, path: str, there: str, chunks: Iterable[bytes], finish: Callable[[Upload], Tell]) -> None:
        """Into a part, from where an earlier upload was cut; `finish` says what becomes of the whole."""
        sent = Upload(chunks, self._ask(scripts.part_size(there)))
        try:
            self._tell(scripts.receive(path, there, sent.offset), sent)
            self._tell(finish(sent))
        except Lost:
            raise
        except BaseException as err:
            self.remove(there)
            if not (sent.offset and isinstance(err, CommandFailed)):
                raise
            raise Lost(f"{err.message}, together with what an earlier upload left", host=self.name) from err

    def import_images(self, chunks: Iterable[bytes], names: tuple[str, ...], pinned: bool = False) -> None:
        """Stream an image into containerd; once that was cut, by way of a file, which can go on."""
        tell = commands.import_images(pinned)
        if not isinstance(chunks, OnMachine) and self._detours.has(self, names):
            path, there = images.places(names)
            return self._send(path, there, chunks, lambda sent: streams.consume(there, tell))
        try:
            return self._tell(tell, chunks)
        except Lost:
            self._detours.add(names)
            raise

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
        left = removal.points_below(real, (mount.point for mount in self.mounts()))
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
