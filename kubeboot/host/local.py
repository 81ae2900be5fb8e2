"""The machine that kubeboot runs on.

Native calls for files and /proc; a subprocess only where there is no other way.
"""

from __future__ import annotations

import contextlib
import functools
import os
import socket
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from kubeboot.host import commands, durable, files, health, locks, parse, proc, removal, sums
from kubeboot.host.api import CommandFailed
from kubeboot.host.common import CommandTarget, CommandView
from kubeboot.host.model import Listener, Mount, Process, Stat, Unit
from kubeboot.host.process import run


class LocalView(CommandView):
    """This machine, read-only. Commands and connections get their own time times `timeout_scale`."""

    def __init__(self, name: str | None = None, timeout_scale: float = 1.0) -> None:
        name = name or os.uname().nodename
        super().__init__(name, functools.partial(run, scale=timeout_scale))
        self._scale = timeout_scale

    def read(self, path: str) -> bytes | None:
        """A file's bytes."""
        with files.naming(path):
            return files.read(path)

    def stat(self, path: str) -> Stat | None:
        """One directory entry, links not followed."""
        with files.naming(path):
            return files.stat_of(path)

    def stats(self, paths: tuple[str, ...]) -> Mapping[str, Stat | None]:
        """`stat` of each of them."""
        return {path: self.stat(path) for path in paths}

    def listdir(self, path: str) -> tuple[str, ...]:
        """The sorted names in a directory."""
        with files.naming(path):
            return files.listdir(path)

    def sha256(self, path: str) -> str | None:
        """A file's sum in hex."""
        with files.naming(path):
            return sums.known(path, sums.PATH) or files.sha256(path)

    def unit(self, name: str) -> Unit:
        """A systemd unit, and what its main process was started with."""
        shown = self._ask(commands.unit(name))
        pid = shown.get("MainPID", "0")
        environ = b"" if pid == "0" else self._environ(pid)
        return parse.unit(name, shown, environ)

    def _environ(self, pid: str) -> bytes:
        try:
            return self.read(f"/proc/{pid}/environ") or b""
        except CommandFailed:  # it ended meanwhile
            return b""

    def sysctl(self, key: str) -> str | None:
        """A kernel setting, runs of blanks as one."""
        data = self.read(proc.sysctl_path(key))
        return None if data is None else " ".join(data.decode().split())

    def module(self, name: str) -> bool:
        """Whether the kernel has the module, loaded or built in."""
        return proc.module(name)

    def mounts(self) -> tuple[Mount, ...]:
        """The mount table."""
        return parse.mounts(self.read("/proc/self/mounts") or b"")

    def listeners(self) -> tuple[Listener, ...]:
        """Listening sockets and who holds them."""
        return proc.listeners()

    def processes(self) -> tuple[Process, ...]:
        """Running processes."""
        return proc.processes()

    def free_bytes(self, path: str) -> int:
        """What a user may still write where `path` is or will be."""
        with files.naming(path):
            return files.free_bytes(path)

    def sync_seconds(self, path: str) -> float | None:
        """The mean time of a small synced write, where the file system has files without names."""
        return health.sync_here(path)

    def dial(self, address: str, port: int, timeout: float = 5.0) -> socket.socket:
        """A TCP connection; OSError where there is none."""
        return socket.create_connection((address, port), timeout * self._scale)


class LocalHost(LocalView, CommandTarget):
    """This machine, with the writes."""

    def __init__(self, name: str | None = None, timeout_scale: float = 1.0) -> None:
        super().__init__(name, timeout_scale)
        self._locks: dict[str, locks.Held] = {}

    def write(self, path: str, data: bytes, mode: int = 0o644, owner: str = "root:root") -> None:
        """Replace a file's bytes, mode and owner in one move."""
        durable.replace(path, (data,), mode, owner)

    def append(self, path: str, data: bytes, mode: int = 0o600) -> None:
        """Add to a file's end, durably."""
        durable.append(path, data, mode)

    def put(self, path: str, chunks: Iterable[bytes], sha256: str, mode: int = 0o755) -> None:
        """Stream a file, and let it appear only if its sum is right."""
        durable.replace(path, chunks, mode, None, sha256)
        with files.naming(path):
            sums.note(path, sha256, sums.PATH)

    def mkdir(self, path: str, mode: int = 0o755) -> None:
        """A directory with this mode."""
        durable.mkdir(path, mode)

    def symlink(self, path: str, target: str) -> None:
        """A symbolic link with this target."""
        durable.symlink(path, target)

    def chmod(self, path: str, mode: int, owner: str = "root:root") -> None:
        """Mode and owner of a file or directory."""
        durable.chmod(path, mode, owner)

    def remove(self, path: str) -> None:
        """A file, a link or an empty directory."""
        removal.remove(path)

    def remove_tree(self, path: str) -> tuple[str, ...]:
        """All at and below a path except mounts, whose points are the answer."""
        return removal.remove_tree(path, [mount.point for mount in self.mounts()])

    def remove_cgroup(self, path: str) -> None:
        """Remove a control group and those below it."""
        with files.naming(path):
            for directory, _, _ in os.walk(path, topdown=False):
                Path(directory).rmdir()

    def set_sysctl(self, key: str, value: str) -> None:
        """Change a kernel setting now (not for the next boot)."""
        path = proc.sysctl_path(key)
        with files.naming(f"sysctl {key}"):
            if not Path(path).exists():
                raise CommandFailed(f"there is no sysctl {key} on {self.name}", host=self.name)
            Path(path).write_text(value)

    def kill(self, pid: int, signal: int) -> None:
        """Signal a process, if it is still there."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal)

    @contextlib.contextmanager
    def lock(self, path: str, holder: str) -> Iterator[None]:
        """Hold an exclusive lock as long as this process lives."""
        with locks.held(path, holder, self.name) as held:
            self._locks[path] = held
            try:
                yield
            finally:
                self._locks.pop(path, None)

    def say(self, path: str, words: str) -> None:
        """What else is told of who holds the lock."""
        if held := self._locks.get(path):
            held.say(words)
