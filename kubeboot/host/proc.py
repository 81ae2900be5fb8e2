"""What /proc and /sys of this machine say."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from kubeboot.host import parse
from kubeboot.host.model import Listener, Process

_GONE = (FileNotFoundError, ProcessLookupError, NotADirectoryError, PermissionError)

NET: tuple[tuple[Literal["tcp", "udp"], str], ...] = (
    ("tcp", "tcp"),
    ("tcp", "tcp6"),
    ("udp", "udp"),
    ("udp", "udp6"),
)
"""Protocol and file in /proc/net."""

BUILT_IN = {"br_netfilter": "/proc/sys/net/bridge", "overlay": "/sys/module/overlay"}
"""Where a kernel shows that it has a module without listing it."""


def sysctl_path(key: str) -> str:
    """Of `net.ipv4.ip_forward`, or with slashes where a name has dots: `net/ipv4/conf/eth0.1/rp_filter`."""
    first = next((letter for letter in key if letter in "./"), ".")
    swapped = key if first == "/" else key.translate(str.maketrans("./", "/."))
    return f"/proc/sys/{swapped}"


def module(name: str) -> bool:
    """Whether the kernel has it, loaded or built in."""
    name = name.replace("-", "_")
    shown = (f"/sys/module/{name}", BUILT_IN.get(name, ""))
    return any(path and os.path.exists(path) for path in shown) or name in _built_in()


def _built_in() -> frozenset[str]:
    lines = _read(f"/lib/modules/{os.uname().release}/modules.builtin").decode().splitlines()
    return frozenset(line.rpartition("/")[2].removesuffix(".ko").replace("-", "_") for line in lines)


def processes() -> tuple[Process, ...]:
    """Every process that can be seen."""
    return tuple(_process(pid) for pid in _pids() if os.path.exists(f"/proc/{pid}/comm"))


def _process(pid: int) -> Process:
    comm, cgroup, cmdline = (_read(f"/proc/{pid}/{name}") for name in ("comm", "cgroup", "cmdline"))
    return parse.process(pid, comm, cgroup, cmdline)


def listeners() -> tuple[Listener, ...]:
    """Listening sockets, each with the process that holds it."""
    found = [entry for kind, name in NET for entry in parse.sockets(kind, _read(f"/proc/net/{name}"))]
    owners = _owners({inode for _, inode in found})
    return tuple(
        dataclasses.replace(
            listener, pid=pid, process=_read(f"/proc/{pid}/comm").decode().strip() if pid else ""
        )
        for listener, pid in ((listener, owners.get(inode, 0)) for listener, inode in found)
    )


def _owners(inodes: set[str]) -> dict[str, int]:
    """Inode to the first process that holds it."""
    owners: dict[str, int] = {}
    for pid in _pids():
        for inode in _socket_inodes(pid):
            if inode in inodes:
                owners.setdefault(inode, pid)
    return owners


def _socket_inodes(pid: int) -> Iterator[str]:
    folder = f"/proc/{pid}/fd"
    try:
        descriptors = os.listdir(folder)
    except _GONE:
        return
    for descriptor in descriptors:
        try:
            inode = parse.socket_inode(os.fsencode(os.readlink(f"{folder}/{descriptor}")))
        except _GONE:
            continue
        if inode:
            yield inode


def _pids() -> list[int]:
    return sorted(int(name) for name in os.listdir("/proc") if name.isdigit())


def _read(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except _GONE:
        return b""
