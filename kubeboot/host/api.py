"""What a machine can be asked (HostView) and told (HostTarget).

Every read is typed and there is no argv here: who holds a HostView cannot change anything, and mypy shows it.
Absent things are None or empty, never an error. A command that fails in a way that says nothing about the
question raises CommandFailed; a machine that does not answer raises errors.Unreachable.
"""

from __future__ import annotations

import dataclasses
import socket
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from typing import Literal, Protocol

from kubeboot import errors
from kubeboot.host.facts import Facts


class CommandFailed(errors.KubebootError):
    """A command on a machine ended with an exit status that its caller cannot use."""

    reason = "KB_COMMAND"


class Lost(errors.Unreachable):
    """The connection went away, or the other side stopped answering. `sent`: perhaps in a command."""

    sent = True


class Unread(BaseException):
    """What a look wants is not fetched yet: it will be with the next batch (host.batch), and looked at again.

    Not an Exception, so that nothing between takes it for an answer.
    """


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
    mac: str = ""
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


class HostView(Protocol):
    """Read-only: everything a check, a dry run or a diagnosis may do to a machine."""

    @property
    def name(self) -> str: ...
    def facts(self) -> Facts: ...
    def read(self, path: str) -> bytes | None: ...
    def stat(self, path: str) -> Stat | None: ...
    def listdir(self, path: str) -> tuple[str, ...]: ...
    def sha256(self, path: str) -> str | None: ...
    def unit(self, name: str) -> Unit: ...
    def sysctl(self, key: str) -> str | None: ...
    def module(self, name: str) -> bool: ...
    def mounts(self) -> tuple[Mount, ...]: ...
    def links(self) -> tuple[Link, ...]: ...
    def listeners(self) -> tuple[Listener, ...]: ...
    def processes(self) -> tuple[Process, ...]: ...
    def nft_tables(self) -> tuple[tuple[str, str], ...]: ...
    def images(self) -> tuple[Image, ...]: ...
    def containers(self) -> tuple[Container, ...]: ...
    def journal_tail(self, unit: str, lines: int = 20) -> str: ...
    def route_source(self, address: str) -> str | None: ...
    def free_bytes(self, path: str) -> int: ...
    def space(self, path: str) -> Space: ...
    def active_units(self) -> frozenset[str]: ...
    def versions(self) -> Mapping[str, str]:
        """Of those of containerd, runc and iptables that are installed."""
        ...

    def runtime_config(self) -> str:
        """containerd's effective configuration, TOML; empty where there is no containerd."""
        ...

    def nft_chains(self) -> tuple[Chain, ...]: ...
    def nft_refusals(self) -> tuple[Rule, ...]:
        """The rules that drop or reject packets."""
        ...

    def sync_seconds(self, path: str) -> float | None:
        """The mean time of a small synced write where `path` is or will be, by a file that has no name.

        None where it cannot be measured so. Bounded: about half a second.
        """
        ...

    def dial(self, address: str, port: int, timeout: float = 5.0) -> socket.socket:
        """A TCP connection made from the machine; OSError as from socket.create_connection."""
        ...


class HostTarget(HostView, Protocol):
    """Adds the writes. Each is atomic, and safe to repeat: "ensure", never "toggle".

    Missing directories above a path are made, 0755. A link at the path itself is replaced, not followed.
    A write that is killed leaves a `sending.temporary` file at most, which the next run sweeps.
    An owner is `user:group` in names or numbers. Removing what is not there is no error.
    """

    def write(self, path: str, data: bytes, mode: int = 0o644, owner: str = "root:root") -> None: ...
    def append(self, path: str, data: bytes, mode: int = 0o600) -> None: ...
    def put(self, path: str, chunks: Iterable[bytes], sha256: str, mode: int = 0o755) -> None: ...
    def mkdir(self, path: str, mode: int = 0o755) -> None: ...
    def symlink(self, path: str, target: str) -> None: ...
    def chmod(self, path: str, mode: int, owner: str = "root:root") -> None: ...
    def remove(self, path: str) -> None: ...
    def remove_tree(self, path: str) -> tuple[str, ...]:
        """Answers the mount points at or below `path`: they, what is in them and the way to them are left."""
        ...

    def rename(self, path: str, to: str) -> None:
        """Within a file system; `to` does not exist, or an empty directory is there. Done is done."""
        ...

    def copy_tree(self, path: str, to: str) -> None:
        """A directory with all that is in it, modes and owners too; `to` does not exist."""
        ...

    def restore_snapshot(self, snapshot: str, to: str, tool: EtcdTool) -> None:
        """Make a data directory `to`, which does not exist, from a snapshot of etcd."""
        ...

    def remove_cgroup(self, path: str) -> None:
        """Remove a control group and those below it; none of them may hold a process."""
        ...

    def daemon_reload(self) -> None: ...
    def start(self, unit: str) -> None: ...
    def restart(self, unit: str) -> None: ...
    def stop(self, unit: str) -> None: ...
    def enable(self, unit: str) -> None: ...
    def disable(self, unit: str) -> None: ...
    def load_module(self, name: str) -> None: ...
    def set_sysctl(self, key: str, value: str) -> None: ...
    def import_images(self, chunks: Iterable[bytes], names: tuple[str, ...], pinned: bool = False) -> None:
        """An OCI image layout that holds `names`; a pinned image is never collected by the kubelet."""
        ...

    def remove_image(self, name: str) -> None: ...
    def remove_container(self, id: str) -> None: ...
    def unmount(self, point: str) -> None: ...
    def delete_link(self, name: str) -> None: ...
    def delete_address(self, address: str, link: str) -> None: ...
    def delete_nft_table(self, family: str, name: str) -> None: ...
    def kill(self, pid: int, signal: int) -> None: ...
    def lock(self, path: str, holder: str) -> AbstractContextManager[None]:
        """Hold an exclusive lock as long as this process (or its connection) lives.

        `holder` is what the other party is told ("alice@ws1 pid 812 since 14:02: kubeboot init").
        Raises errors.Occupied with the present holder's words.
        """
        ...

    def say(self, path: str, words: str) -> None:
        """What else the other party is told from now on of whoever holds the lock; nobody waits for it."""
        ...
