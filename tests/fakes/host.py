"""FakeHost: a machine in memory.

It keeps what a real machine keeps (files with modes and owners, directories, links, units, sysctls, modules,
images …), lists every write in `changes`, compares by `snapshot()`, and fails on request.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import io
import json
import posixpath
import socket
import tarfile
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from kubeboot import errors
from kubeboot.host.api import (
    Chain,
    CommandFailed,
    Container,
    EtcdTool,
    Image,
    Link,
    Listener,
    Mount,
    Process,
    Rule,
    Space,
    Stat,
    Unit,
)
from kubeboot.host.facts import Facts
from tests.fakes.systemd import FakeSystemd, full_name

DIRS = (
    "/", "/etc", "/etc/modules-load.d", "/etc/sysctl.d", "/etc/systemd", "/etc/systemd/system", "/opt",
    "/proc", "/root", "/run", "/sys", "/tmp", "/usr", "/usr/bin", "/usr/lib", "/usr/lib/systemd",
    "/usr/lib/systemd/system", "/usr/local", "/usr/local/bin", "/var", "/var/lib", "/var/log",
)  # fmt: skip
SYSCTLS = {
    "net.ipv4.ip_forward": "0",
    "net.ipv4.conf.all.rp_filter": "0",
    "net.ipv4.conf.default.rp_filter": "0",
    "net.ipv4.conf.all.route_localnet": "0",
    "net.ipv6.conf.all.forwarding": "0",
    "net.netfilter.nf_conntrack_max": "262144",
    "net.netfilter.nf_conntrack_tcp_timeout_established": "432000",
    "net.netfilter.nf_conntrack_tcp_timeout_close_wait": "60",
    "net.netfilter.nf_conntrack_tcp_be_liberal": "0",
    "vm.overcommit_memory": "0",
    "vm.panic_on_oom": "0",
    "vm.max_map_count": "65530",
    "kernel.panic": "0",
    "kernel.panic_on_oops": "0",
    "kernel.keys.root_maxkeys": "1000000",
    "kernel.keys.root_maxbytes": "25000000",
    "fs.inotify.max_user_instances": "128",
    "fs.inotify.max_user_watches": "65536",
}
MODULE_SYSCTLS = {
    "br_netfilter": {
        "net.bridge.bridge-nf-call-iptables": "1",
        "net.bridge.bridge-nf-call-ip6tables": "1",
    }
}
ACCOUNTS = {"root": 0, "etcd": 990, "nobody": 65534, "nogroup": 65534}


class Change(NamedTuple):
    """One call of a writing method: `Change("write", "/etc/hosts")`."""

    op: str
    subject: str


@dataclasses.dataclass(frozen=True)
class File:
    """A regular file."""

    data: bytes
    mode: int = 0o644
    owner: str = "root:root"

    def __post_init__(self) -> None:
        object.__setattr__(self, "owner", by_name(self.owner))


@dataclasses.dataclass(frozen=True)
class Dir:
    """A directory."""

    mode: int = 0o755
    owner: str = "root:root"

    def __post_init__(self) -> None:
        object.__setattr__(self, "owner", by_name(self.owner))


@dataclasses.dataclass(frozen=True)
class Fault:
    """Raise `error` at a write: `after` it took effect, or instead of it."""

    error: BaseException
    after: bool = False


def ids(owner: str) -> tuple[int, int]:
    """`root:root` or `0:0` as numbers."""
    user, _, group = owner.partition(":")
    uid, gid = (int(word) if word.isdigit() else ACCOUNTS[word] for word in (user, group or user))
    return uid, gid


def by_name(owner: str) -> str:
    """`0:0` and `root:root` are the same owner, so snapshots know only one of them."""
    names = {number: name for name, number in ACCOUNTS.items()}
    return ":".join(names.get(number, str(number)) for number in ids(owner))


class FakeHost:
    """An in-memory HostTarget. State is public: a test arranges it and looks at it."""

    def __init__(self, name: str = "cp-1", facts: Facts | None = None) -> None:
        self._name = name
        self.known_facts = facts or Facts(hostname=name)
        self.files: dict[str, File] = {
            "/etc/hostname": File(f"{name}\n".encode()),
            "/etc/resolv.conf": File(b"nameserver 192.0.2.53\n"),
        }
        self.dirs: dict[str, Dir] = {path: Dir() for path in DIRS}
        self.symlinks: dict[str, str] = {}
        self.systemd = FakeSystemd(lambda: {path: file.data for path, file in dict(self.files).items()})
        self.sysctls = dict(SYSCTLS)
        self.modules: set[str] = set()
        self.missing_modules: set[str] = set()
        self.image_table: dict[str, Image] = {}
        self.container_table: dict[str, Container] = {}
        self.mount_table: list[Mount] = [Mount("/dev/vda1", "/", "ext4", ("rw",))]
        self.link_table: dict[str, Link] = {
            "lo": Link("lo", "loopback", addresses=("127.0.0.1/8",)),
            "eth0": Link("eth0", "", "02:00:00:00:00:01", addresses=("192.0.2.11/24",)),
        }
        self.listener_table: list[Listener] = []
        self.process_table: dict[int, Process] = {1: Process(1, "systemd", "/init.scope")}
        self.nft: list[tuple[str, str]] = []
        self.journals: dict[str, list[str]] = {}
        self.routes: dict[str, str] = {}
        self.free = 100 << 30
        self.size = 200 << 30
        self.free_inodes = 1_000_000
        self.tool_versions: dict[str, str] = {}
        self.containerd_config = ""
        self.chains: list[Chain] = []
        self.refusals: list[Rule] = []
        self.sync: float | None = 0.001
        self.dialers: dict[tuple[str, int], Callable[[], socket.socket]] = {}
        self.locks: dict[str, str] = {}
        self.said: dict[str, tuple[str, ...]] = {}
        self.on_start: dict[str, Callable[[FakeHost], None]] = {}
        self.changes: list[Change] = []
        self.faults: dict[int | str, Fault] = {}
        self.unreachable = False
        self._mutex = threading.RLock()

    # --- for tests -----------------------------------------------------------------------------------------

    def fail_at(self, at: int | str, error: BaseException | None = None, after: bool = False) -> None:
        """Fail at the n-th write from the beginning (1 is the first), or at every write of a subject."""
        self.faults[at] = Fault(error or CommandFailed(f"injected at {at}", host=self._name), after)

    def snapshot(
        self, *, ignore: tuple[str, ...] = ("/var/lib/kubeboot", "/var/log/kubeboot")
    ) -> dict[str, Any]:
        """Everything that a run may change, as plain data: equal snapshots, equal machines."""

        def kept(table: dict[str, Any]) -> dict[str, Any]:
            return {key: table[key] for key in sorted(table) if not _below(key, ignore)}

        units = {
            unit.name: (unit.active, unit.enabled, dict(unit.environment))
            for unit in self.systemd.units.values()
            if unit.active != "inactive" or unit.enabled
        }
        return {
            "files": kept(self.files), "dirs": kept(self.dirs), "symlinks": kept(self.symlinks),
            "units": units,
            "sysctls": dict(self.sysctls), "images": dict(self.image_table), "mounts": list(self.mount_table),
            "containers": dict(self.container_table), "links": dict(self.link_table), "nft": list(self.nft),
            "processes": dict(self.process_table), "modules": sorted(self.modules),
        }  # fmt: skip

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

    def _reach(self) -> None:
        if self.unreachable:
            raise errors.Unreachable(f"{self._name} does not answer", host=self._name)

    def _real(self, path: str, last: bool = True) -> str:
        """The path with links followed (`last`: of its last part too)."""
        done = "/"
        parts = [part for part in posixpath.normpath(path).split("/") if part]
        for _ in range(400):
            if not parts:
                return done
            here = posixpath.join(done, parts.pop(0))
            target = self.symlinks.get(here) if parts or last else None
            if target is None:
                done = here
            else:
                parts = [p for p in posixpath.normpath(posixpath.join(done, target)).split("/") if p] + parts
                done = "/"
        raise CommandFailed(f"too many levels of symbolic links: {path}", host=self._name)

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

    # --- HostView ------------------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        return self._name

    def facts(self) -> Facts:
        self._reach()
        return self.known_facts

    def read(self, path: str) -> bytes | None:
        self._reach()
        file = self.files.get(self._real(path))
        return file.data if file else None

    def stat(self, path: str) -> Stat | None:
        self._reach()
        real = self._real(path, last=False)
        if real in self.symlinks:
            return Stat("link", 0o777, 0, 0, len(self.symlinks[real]), self.symlinks[real])
        if real in self.dirs:
            return Stat("dir", self.dirs[real].mode, *ids(self.dirs[real].owner), size=4096)
        if real in self.files:
            file = self.files[real]
            return Stat("file", file.mode, *ids(file.owner), size=len(file.data))
        return None

    def listdir(self, path: str) -> tuple[str, ...]:
        self._reach()
        real = self._real(path)
        names = {*self.files, *self.dirs, *self.symlinks} - {"/"}
        return tuple(sorted(posixpath.basename(name) for name in names if posixpath.dirname(name) == real))

    def sha256(self, path: str) -> str | None:
        data = self.read(path)
        return None if data is None else hashlib.sha256(data).hexdigest()

    def unit(self, name: str) -> Unit:
        self._reach()
        return self.systemd.show(name)

    def sysctl(self, key: str) -> str | None:
        self._reach()
        return self.sysctls.get(key)

    def module(self, name: str) -> bool:
        self._reach()
        return name.replace("-", "_") in self.modules

    def mounts(self) -> tuple[Mount, ...]:
        self._reach()
        return tuple(self.mount_table)

    def links(self) -> tuple[Link, ...]:
        self._reach()
        return tuple(self.link_table.values())

    def listeners(self) -> tuple[Listener, ...]:
        self._reach()
        return tuple(self.listener_table)

    def processes(self) -> tuple[Process, ...]:
        self._reach()
        return tuple(self.process_table.values())

    def nft_tables(self) -> tuple[tuple[str, str], ...]:
        self._reach()
        return tuple(self.nft)

    def images(self) -> tuple[Image, ...]:
        self._reach()
        return tuple(self.image_table.values())

    def containers(self) -> tuple[Container, ...]:
        self._reach()
        return tuple(self.container_table.values())

    def journal_tail(self, unit: str, lines: int = 20) -> str:
        self._reach()
        return "\n".join(self.journals.get(full_name(unit), [])[-lines:])

    def route_source(self, address: str) -> str | None:
        self._reach()
        return self.routes.get(address, self.known_facts.default_source or "192.0.2.11")

    def free_bytes(self, path: str) -> int:
        self._reach()
        return self.free

    def space(self, path: str) -> Space:
        self._reach()
        return Space(self.size, self.free, 1_000_000, self.free_inodes)

    def active_units(self) -> frozenset[str]:
        self._reach()
        return frozenset(u.name for u in self.systemd.units.values() if u.active in ("active", "activating"))

    def versions(self) -> dict[str, str]:
        self._reach()
        return dict(self.tool_versions)

    def runtime_config(self) -> str:
        self._reach()
        return self.containerd_config

    def nft_chains(self) -> tuple[Chain, ...]:
        self._reach()
        return tuple(self.chains)

    def nft_refusals(self) -> tuple[Rule, ...]:
        self._reach()
        return tuple(self.refusals)

    def sync_seconds(self, path: str) -> float | None:
        self._reach()
        return self.sync

    def dial(self, address: str, port: int, timeout: float = 5.0) -> socket.socket:
        self._reach()
        if (address, port) not in self.dialers:
            raise ConnectionRefusedError(111, f"Connection refused: {address}:{port}")
        return self.dialers[address, port]()

    # --- HostTarget ----------------------------------------------------------------------------------------

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
            points = [mount.point for mount in self.mount_table if _below(mount.point, (real,))]
            for table in (self.files, self.symlinks, self.dirs):
                for entry in [entry for entry in table if _below(entry, (real,))]:
                    if not any(_below(entry, (point,)) or _below(point, (entry,)) for point in points):
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
            for entry in [entry for entry in table if _below(entry, (path,))]:
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
            for entry in [entry for entry in self.dirs if _below(entry, (path,))]:
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
            digests = _digests(data)
            for name in names:
                digest = digests.get(name, "sha256:" + hashlib.sha256(data).hexdigest())
                self.image_table[name] = Image(name, digest, pinned)

    def remove_image(self, name: str) -> None:
        with self._change("remove_image", name):
            self.image_table.pop(name, None)

    def remove_container(self, id: str) -> None:
        with self._change("remove_container", id):
            self.container_table.pop(id, None)

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


def _below(path: str, roots: tuple[str, ...]) -> bool:
    return any(path == root or path.startswith(root.rstrip("/") + "/") for root in roots)


def _digests(data: bytes) -> dict[str, str]:
    """Name to digest, where `data` is an OCI image layout."""
    try:
        with tarfile.open(fileobj=io.BytesIO(data)) as tar:
            member = tar.extractfile("index.json")
            index = json.load(member) if member else {}
    except (tarfile.TarError, KeyError):
        return {}
    return {
        manifest.get("annotations", {}).get("io.containerd.image.name", ""): manifest["digest"]
        for manifest in index.get("manifests", [])
    }
