"""FakeHost: a machine in memory.

It keeps what a real machine keeps (files with modes and owners, directories, links, units, sysctls, modules,
images …), lists every write in `changes`, compares by `snapshot()`, and fails on request.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import posixpath
import threading
from collections.abc import Callable, Iterable, Iterator

from kubeboot import errors
from kubeboot.host.api import CommandFailed
from kubeboot.host.facts import Facts
from kubeboot.host.model import BareContainer, Container, EtcdTool, Image, Process
from tests.fakes.entries import MODULE_SYSCTLS, Change, Dir, Fault, File, below, digests_of
from tests.fakes.systemd import full_name
from tests.fakes.view import FakeView


class FakeHost(FakeView):
    """An in-memory HostTarget."""

    def __init__(self, name: str = "cp-1", facts: Facts | None = None) -> None:
        super().__init__(name, facts)
        self.locks: dict[str, str] = {}
        self.said: dict[str, tuple[str, ...]] = {}
        self.on_start: dict[str, Callable[[FakeHost], None]] = {}
        self.changes: list[Change] = []
        self.faults: dict[int | str, Fault] = {}
        self._mutex = threading.RLock()

    def fail_at(self, at: int | str, error: BaseException | None = None, after: bool = False) -> None:
        """Fail at the n-th write from the beginning (1 is the first), or at every write of a subject."""
        self.faults[at] = Fault(error or CommandFailed(f"injected at {at}", host=self._name), after)

    @contextlib.contextmanager
    def _change(self, op: str, subject: str) -> Iterator[None]:
        with self._mutex:
            self._reach()
            fault = self.faults.get(len(self.changes) + 1) or self.faults.get(subject)
            if fault and not fault.after:
                raise fault.error
            yield
            self.changes.append(Change(op, subject))
            if fault:
                raise fault.error

    def _exists(self, path: str) -> bool:
        return path in self.files or path in self.dirs or path in self.symlinks

    def _parents(self, path: str) -> str:
        """Make what is missing above `path`, and answer where it really is."""
        real = self._real(path, last=False)
        above = posixpath.dirname(real)
        while above not in self.dirs:
            if self._exists(above):
                raise CommandFailed(f"not a directory: {above}", host=self._name)
            self.dirs[above] = Dir()
            above = posixpath.dirname(above)
        return real

    def write(self, path: str, data: bytes, mode: int = 0o644, owner: str = "root:root") -> None:
        with self._change("write", path):
            real = self._parents(path)
            if real in self.dirs:
                raise CommandFailed(f"is a directory: {path}", host=self._name)
            self.symlinks.pop(real, None)
            self.files[real] = File(data, mode, owner)

    def append(self, path: str, data: bytes, mode: int = 0o600) -> None:
        with self._change("append", path):
            real = self._real(self._parents(path))
            old = self.files.get(real, File(b"", mode))
            self.files[real] = dataclasses.replace(old, data=old.data + data)

    def put(self, path: str, chunks: Iterable[bytes], sha256: str, mode: int = 0o755) -> None:
        data = b"".join(chunks)
        if hashlib.sha256(data).hexdigest() != sha256:
            raise CommandFailed(f"{path}: sha256 does not match", host=self._name)
        with self._change("put", path):
            real = self._parents(path)
            self.symlinks.pop(real, None)
            self.files[real] = File(data, mode)

    def mkdir(self, path: str, mode: int = 0o755) -> None:
        with self._change("mkdir", path):
            real = self._real(self._parents(path))
            if real in self.files:
                raise CommandFailed(f"not a directory: {path}", host=self._name)
            self.dirs[real] = Dir(mode, self.dirs.get(real, Dir()).owner)

    def symlink(self, path: str, target: str) -> None:
        with self._change("symlink", path):
            real = self._parents(path)
            if real in self.dirs:
                raise CommandFailed(f"is a directory: {path}", host=self._name)
            self.files.pop(real, None)
            self.symlinks[real] = target

    def chmod(self, path: str, mode: int, owner: str = "root:root") -> None:
        with self._change("chmod", path):
            real = self._real(path, last=False)
            if real in self.files:
                self.files[real] = dataclasses.replace(self.files[real], mode=mode, owner=owner)
            elif real in self.dirs:
                self.dirs[real] = Dir(mode, owner)
            else:
                raise CommandFailed(f"no such file or directory: {path}", host=self._name)

    def remove(self, path: str) -> None:
        with self._change("remove", path):
            real = self._real(path, last=False)
            if real in self.dirs and self.listdir(real):
                raise CommandFailed(f"directory not empty: {path}", host=self._name)
            for table in (self.files, self.symlinks, self.dirs):
                table.pop(real, None)

    def remove_tree(self, path: str) -> tuple[str, ...]:
        with self._change("remove_tree", path):
            real = self._real(path, last=False)
            points = [mount.point for mount in self.mount_table if below(mount.point, (real,))]
            for table in (self.files, self.symlinks, self.dirs):
                for entry in [entry for entry in table if below(entry, (real,))]:
                    if not any(below(entry, (point,)) or below(point, (entry,)) for point in points):
                        del table[entry]
            return tuple(sorted(points))

    def rename(self, path: str, to: str) -> None:
        with self._change("rename", path):
            if self._exists(path) or not self._exists(to):
                self._copy(path, to, move=True)

    def copy_tree(self, path: str, to: str) -> None:
        with self._change("copy_tree", path):
            self._copy(path, to)

    def _copy(self, path: str, to: str, *, move: bool = False) -> None:
        if self._exists(to) or not self._exists(path):
            raise CommandFailed(f"cannot make {to} from {path}", host=self._name)
        for table in (self.files, self.symlinks, self.dirs):
            for entry in [entry for entry in table if below(entry, (path,))]:
                table[to + entry.removeprefix(path)] = table[entry]  # type: ignore[assignment]
                if move:
                    del table[entry]

    def restore_snapshot(self, snapshot: str, to: str, tool: EtcdTool) -> None:
        with self._change("restore_snapshot", to):
            if self._exists(to):
                raise CommandFailed(f"data-dir {to} not empty or could not be read", host=self._name)
            self.dirs |= {to: Dir(0o700), f"{to}/member": Dir(0o700), f"{to}/member/snap": Dir(0o700)}
            text = f"{tool.member} {tool.peer_url} {tool.token} ".encode()
            self.files[f"{to}/member/snap/db"] = File(text + (self.read(snapshot) or b""), 0o600)

    def remove_cgroup(self, path: str) -> None:
        with self._change("remove_cgroup", path):
            for entry in [entry for entry in self.dirs if below(entry, (path,))]:
                del self.dirs[entry]

    def daemon_reload(self) -> None:
        with self._change("daemon_reload", ""):
            self.systemd.reload()

    def start(self, unit: str) -> None:
        self._start("start", unit)

    def restart(self, unit: str) -> None:
        self._start("restart", unit)

    def _start(self, op: str, unit: str) -> None:
        with self._change(op, full_name(unit)):
            before = self.systemd.show(unit).pid
            started = self.systemd.start(unit, again=op == "restart")
            if started.pid != before and started.name in self.on_start:
                self.on_start[started.name](self)

    def stop(self, unit: str) -> None:
        with self._change("stop", full_name(unit)):
            self.systemd.stop(unit)

    def enable(self, unit: str) -> None:
        with self._change("enable", full_name(unit)):
            self.systemd.enable(unit)

    def disable(self, unit: str) -> None:
        with self._change("disable", full_name(unit)):
            self.systemd.enable(unit, enabled=False)

    def load_module(self, name: str) -> None:
        with self._change("load_module", name):
            if name in self.missing_modules:
                raise CommandFailed(f"modprobe: FATAL: Module {name} not found", host=self._name)
            self.modules.add(name.replace("-", "_"))
            self.sysctls = MODULE_SYSCTLS.get(name, {}) | self.sysctls

    def set_sysctl(self, key: str, value: str) -> None:
        with self._change("set_sysctl", key):
            if key not in self.sysctls:
                raise CommandFailed(f"there is no sysctl {key}", host=self._name)
            self.sysctls[key] = " ".join(value.split())

    def import_images(self, chunks: Iterable[bytes], names: tuple[str, ...], pinned: bool = False) -> None:
        data = b"".join(chunks)
        with self._change("import_images", " ".join(names)):
            digests = digests_of(data)
            for name in names:
                digest = digests.get(name, "sha256:" + hashlib.sha256(data).hexdigest())
                self.image_table[name] = Image(name, digest, pinned)

    def remove_image(self, name: str) -> None:
        with self._change("remove_image", name):
            self.image_table.pop(name, None)

    def remove_container(self, id: str) -> None:
        with self._change("remove_container", id):
            self._drop(id)

    def start_container(self, container: BareContainer) -> None:
        with self._change("start_container", container.id):
            self._drop(container.id)
            made = Container(container.id, container.image, pid=4000)
            self.container_table[container.id] = made
            name, group = container.command[0], f"/{container.id}"
            self.process_table[made.pid] = Process(made.pid, name, group, container.command)
            self.files[self._parents(container.log)] = File(b"")

    def end_container(self, id: str) -> None:
        with self._change("end_container", id):
            self._drop(id)

    def _drop(self, id: str) -> None:
        found = self.container_table.pop(id, None)
        self.process_table.pop(found.pid if found else 0, None)

    def unmount(self, point: str) -> None:
        with self._change("unmount", point):
            self.mount_table = [mount for mount in self.mount_table if mount.point != point]

    def delete_link(self, name: str) -> None:
        with self._change("delete_link", name):
            self.link_table.pop(name, None)

    def delete_address(self, address: str, link: str) -> None:
        with self._change("delete_address", f"{address} {link}"):
            found = self.link_table.get(link)
            if found is not None:
                kept = tuple(a for a in found.addresses if a != address)
                self.link_table[link] = dataclasses.replace(found, addresses=kept)

    def delete_nft_table(self, family: str, name: str) -> None:
        with self._change("delete_nft_table", f"{family} {name}"):
            self.nft = [table for table in self.nft if table != (family, name)]

    def kill(self, pid: int, signal: int) -> None:
        with self._change("kill", str(pid)):
            self.process_table.pop(pid, None)

    @contextlib.contextmanager
    def lock(self, path: str, holder: str) -> Iterator[None]:
        self._reach()
        with self._mutex:
            if path in self.locks:
                holder = ", ".join((self.locks[path], *self.said.get(path, ())))
                raise errors.Occupied(f"{self._name} is locked by {holder}", host=self._name)
            self.locks[path] = holder
        try:
            yield
        finally:
            self.locks.pop(path, None)
            self.said.pop(path, None)

    def say(self, path: str, words: str) -> None:
        if path in self.locks:
            self.said[path] = (words,)
