"""FakeView: a machine in memory, as far as it can be looked at."""

from __future__ import annotations

import hashlib
import posixpath
import socket
from collections.abc import Callable
from typing import Any

from kubeboot import errors
from kubeboot.host.api import CommandFailed
from kubeboot.host.facts import Facts
from kubeboot.host.model import (
    Chain,
    Container,
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
from tests.fakes.entries import DIRS, SYSCTLS, Dir, File, below, ids
from tests.fakes.systemd import FakeSystemd, full_name


class FakeView:
    """An in-memory HostView. State is public: a test arranges it and looks at it."""

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
        self.unreachable = False

    def snapshot(
        self, *, ignore: tuple[str, ...] = ("/var/lib/kubeboot", "/var/log/kubeboot")
    ) -> dict[str, Any]:
        """Everything that a run may change, as plain data: equal snapshots, equal machines."""

        def kept(table: dict[str, Any]) -> dict[str, Any]:
            return {key: table[key] for key in sorted(table) if not below(key, ignore)}

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

    def _reach(self) -> None:
        if self.unreachable:
            raise errors.Unreachable(f"{self._name} does not answer", host=self._name)

    def _real(self, path: str, last: bool = True) -> str:
        """The path with links followed (`last`: of its last part too)."""
        done = ""
        parts = [part for part in posixpath.normpath(path).split("/") if part]
        for _ in range(400):
            if not parts:
                return done or "/"
            here = f"{done}/{parts.pop(0)}"
            target = self.symlinks.get(here) if parts or last else None
            if target is None:
                done = here
            else:
                whole = posixpath.normpath(posixpath.join(done or "/", target))
                parts = [p for p in whole.split("/") if p] + parts
                done = ""
        raise CommandFailed(f"too many levels of symbolic links: {path}", host=self._name)

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

    def stats(self, paths: tuple[str, ...]) -> dict[str, Stat | None]:
        return {path: self.stat(path) for path in paths}

    def listdir(self, path: str) -> tuple[str, ...]:
        self._reach()
        start = self._real(path).rstrip("/") + "/"
        size = len(start)
        names = (*self.files, *self.dirs, *self.symlinks)  # at once: other threads add to them meanwhile
        inside = {name[size:] for name in names if name.startswith(start) and "/" not in name[size:]}
        return tuple(sorted(inside - {""}))

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
