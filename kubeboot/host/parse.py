"""What commands and the kernel's files say, as typed values: pure functions from bytes."""

from __future__ import annotations

import json
import re
import socket
import struct
from collections.abc import Iterable, Mapping
from typing import Any, Literal

from kubeboot.host.model import Container, Image, Link, Listener, Mount, Process, Unit

_IMAGE = re.compile(r"^(?P<name>\S+)\s+\S+\s+(?P<digest>sha256:[0-9a-f]{64})\s.*?(?P<labels>\S+)\s*$")
_SOCKET = re.compile(rb"socket:\[(\d+)\]")
_PINNED = "io.cri-containerd.pinned=pinned"
_LISTEN = {"tcp": "0A", "udp": "07"}
_ENABLED = ("enabled", "enabled-runtime")


def properties(out: bytes) -> dict[str, str]:
    """`KEY=value` lines, as `systemctl show` prints them."""
    lines = out.decode(errors="replace").splitlines()
    return {key: value for key, found, value in (line.partition("=") for line in lines) if found}


def unit(name: str, shown: Mapping[str, str], environ: bytes) -> Unit:
    """A unit from its properties and its main process's environment."""
    return Unit(
        name=name,
        loaded=shown.get("LoadState") == "loaded",
        active=shown.get("ActiveState", "inactive"),
        enabled=shown.get("UnitFileState") in _ENABLED,
        pid=int(shown.get("MainPID", "0")),
        environment=environment(environ),
        result=shown.get("Result", "success"),
        restarts=int(shown.get("NRestarts") or 0),
        stale=shown.get("NeedDaemonReload") == "yes",
    )


def environment(out: bytes) -> dict[str, str]:
    """/proc/PID/environ."""
    pairs = (entry.partition("=") for entry in out.decode(errors="replace").split("\0"))
    return {key: value for key, found, value in pairs if found}


def images(out: bytes) -> tuple[Image, ...]:
    """`ctr images ls`, without the entries that only repeat a digest as a name."""
    found = (_IMAGE.match(line) for line in out.decode().splitlines())
    return tuple(
        Image(match["name"], match["digest"], _PINNED in match["labels"].split(","))
        for match in found
        if match and not match["name"].startswith("sha256:")
    )


def containers(out: bytes) -> tuple[Container, ...]:
    """JSON documents of `ctr containers info`, a line TASKS, and `ctr tasks ls`."""
    text, _, tasks = out.decode(errors="replace").rpartition("TASKS\n")
    rows = (line.split() for line in tasks.splitlines())
    pids = {row[0]: int(row[1]) for row in rows if len(row) == 3 and row[2] == "RUNNING"}
    return tuple(_container(data, pids) for data in _documents(text))


def _documents(text: str) -> Iterable[dict[str, Any]]:
    decoder, at = json.JSONDecoder(), 0
    while (at := text.find("{", at)) >= 0:
        data, at = decoder.raw_decode(text, at)
        yield data


def _container(data: Mapping[str, Any], pids: Mapping[str, int]) -> Container:
    labels = {str(key): str(value) for key, value in (data.get("Labels") or {}).items()}
    return Container(
        id=data["ID"],
        image=data.get("Image", ""),
        name=labels.get("io.kubernetes.container.name", ""),
        pod=labels.get("io.kubernetes.pod.name", ""),
        namespace=labels.get("io.kubernetes.pod.namespace", ""),
        sandbox=labels.get("io.cri-containerd.kind") == "sandbox",
        pid=pids.get(data["ID"], 0),
        labels=labels,
    )


def links(out: bytes) -> tuple[Link, ...]:
    """`ip -details -json address show`."""
    return tuple(_link(data) for data in json.loads(out or b"[]") if data.get("ifname"))


def _link(data: Mapping[str, Any]) -> Link:
    loopback = "loopback" if data.get("link_type") == "loopback" else ""
    return Link(
        name=data["ifname"],
        kind=data.get("linkinfo", {}).get("info_kind", loopback),
        up="UP" in data.get("flags", ()),
        mtu=int(data.get("mtu", 0)),
        addresses=tuple(
            f"{at['local']}/{at['prefixlen']}" for at in data.get("addr_info", ()) if "local" in at
        ),
    )


def route_source(out: bytes) -> str | None:
    """The word after `src` in `ip route get`."""
    words = out.decode().split()
    return words[words.index("src") + 1] if "src" in words[:-1] else None


def nft_tables(out: bytes) -> tuple[tuple[str, str], ...]:
    """`nft list tables`: lines of `table FAMILY NAME`."""
    rows = (line.split() for line in out.decode().splitlines())
    return tuple((row[1], row[2]) for row in rows if len(row) == 3 and row[0] == "table")


def mounts(out: bytes) -> tuple[Mount, ...]:
    """/proc/self/mounts."""
    rows = (line.split(" ") for line in out.decode(errors="surrogateescape").splitlines())
    return tuple(
        Mount(_unescape(source), _unescape(point), fstype, tuple(options.split(",")))
        for source, point, fstype, options, *_ in rows
    )


def _unescape(text: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), text)


def sockets(kind: Literal["tcp", "udp"], out: bytes) -> tuple[tuple[Listener, str], ...]:
    """Listening sockets of /proc/net/{tcp,tcp6,udp,udp6}, each with its inode."""
    rows = (line.split() for line in out.decode().splitlines()[1:])
    state = _LISTEN[kind]
    return tuple((_listener(kind, row[1]), row[9]) for row in rows if len(row) > 9 and row[3] == state)


def _listener(kind: Literal["tcp", "udp"], local: str) -> Listener:
    address, _, port = local.partition(":")
    words = [int(address[at : at + 8], 16) for at in range(0, len(address), 8)]
    family = socket.AF_INET if len(words) == 1 else socket.AF_INET6
    raw = struct.pack(f"={len(words)}I", *words)
    return Listener(kind, socket.inet_ntop(family, raw), int(port, 16))


def socket_inode(target: bytes) -> str | None:
    """The inode of an open file that is a socket, from its link in /proc/PID/fd."""
    match = _SOCKET.search(target)
    return match[1].decode() if match else None


def process(pid: int, name: bytes, cgroup: bytes, cmdline: bytes) -> Process:
    """From /proc/PID/{comm,cgroup,cmdline}."""
    words = cmdline.decode(errors="replace").rstrip("\0").split("\0") if cmdline.strip(b"\0") else []
    return Process(pid, name.decode(errors="replace").rstrip("\n"), _cgroup(cgroup.decode()), tuple(words))


def _cgroup(text: str) -> str:
    """systemd's hierarchy on cgroup v1, the only one on v2."""
    rows = [line.split(":", 2) for line in text.splitlines()]
    paths = {row[1]: row[2] for row in rows if len(row) == 3}
    return paths.get("name=systemd") or paths.get("") or ""
