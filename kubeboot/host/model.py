"""What a machine has, as it answers: frozen values."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Literal

OURS = "kubeboot-"
"""How the names of our own containers begin, those of no pod."""


@dataclasses.dataclass(frozen=True)
class Stat:
    """One directory entry, links not followed. `mode` holds permission bits only; `size` is in bytes."""

    kind: Literal["file", "dir", "link", "other"]
    mode: int
    uid: int
    gid: int
    size: int
    target: str | None = None


@dataclasses.dataclass(frozen=True)
class Unit:
    """A systemd unit. `pid` is the main process (0: none); `environment`: what it was started with.

    `stale`: its files are newer than what systemd has read.
    """

    name: str
    loaded: bool = False
    active: str = "inactive"
    enabled: bool = False
    pid: int = 0
    environment: Mapping[str, str] = dataclasses.field(default_factory=dict)
    result: str = "success"
    restarts: int = 0
    stale: bool = False


@dataclasses.dataclass(frozen=True)
class Mount:
    """One line of the mount table."""

    source: str
    point: str
    fstype: str
    options: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Link:
    """A network interface with its addresses in CIDR notation."""

    name: str
    kind: str = ""
    up: bool = True
    mtu: int = 1500
    addresses: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Chain:
    """A chain of nftables. `hook` (input, forward …) and `policy` are of one that filters; else empty."""

    family: str
    table: str
    name: str
    hook: str = ""
    policy: str = ""


@dataclasses.dataclass(frozen=True)
class Rule:
    """A rule of nftables, as `nft list` writes it."""

    family: str
    table: str
    chain: str
    text: str


@dataclasses.dataclass(frozen=True)
class Listener:
    """A listening TCP or UDP socket and the process that holds it (pid 0: not visible)."""

    protocol: Literal["tcp", "udp"]
    address: str
    port: int
    pid: int = 0
    process: str = ""


@dataclasses.dataclass(frozen=True)
class Image:
    """An image in containerd's k8s.io namespace."""

    name: str
    digest: str
    pinned: bool = False


@dataclasses.dataclass(frozen=True)
class Container:
    """A container in containerd's k8s.io namespace. `pid` is 0 when it has no running task."""

    id: str
    image: str
    name: str = ""
    pod: str = ""
    namespace: str = ""
    sandbox: bool = False
    pid: int = 0
    labels: Mapping[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class BareContainer:
    """A container of no pod, on the machine's own network. `mounts`: (path, as what, "ro" or "rw")."""

    id: str
    image: str
    command: tuple[str, ...]
    mounts: tuple[tuple[str, str, str], ...] = ()

    @property
    def log(self) -> str:
        """The file that it writes to."""
        return f"/var/lib/kubeboot/{self.id}.log"

    def holds(self, process: Process) -> bool:
        """Whether a process is in it."""
        return process.cgroup.endswith(f"/{self.id}")


@dataclasses.dataclass(frozen=True)
class Process:
    """A running process."""

    pid: int
    name: str
    cgroup: str = ""
    cmdline: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Space:
    """A file system's size and room in bytes, and in inodes (0: it does not count them)."""

    size: int
    free: int
    inodes: int = 0
    free_inodes: int = 0


@dataclasses.dataclass(frozen=True)
class EtcdTool:
    """The image that etcdutl is in, and the one member of the cluster that it is to make."""

    image: str
    member: str
    peer_url: str
    token: str
