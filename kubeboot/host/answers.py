"""What our scripts print, taken apart."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Literal

from kubeboot.host import files, parse, proc
from kubeboot.host.model import Listener, Process, Stat

_KINDS: dict[str, Literal["tcp", "udp"]] = {name: kind for kind, name in proc.NET}


def stat(out: bytes) -> Stat:
    """A line of `stat -c '%f %u %g %s'` and a link's target."""
    numbers, _, target = out.partition(b"\n")
    mode, uid, gid, size = numbers.split()
    return files.entry(int(mode, 16), int(uid), int(gid), int(size), target.decode(errors="surrogateescape"))


def stats(out: bytes) -> Mapping[str, bytes]:
    """`stat`'s lines, and a link's target after its own."""
    found: dict[str, bytes] = {}
    lines = iter(out.splitlines())
    for line in lines:
        if line.startswith(b"LINK "):
            found[line[5:].decode()] += next(lines, b"")
        else:
            *numbers, name = line.split(b" ", 4)
            found[name.decode()] = b" ".join(numbers) + b"\n"
    return found


def reads(out: bytes) -> Mapping[str, bytes]:
    """Sizes by name, then all bytes in that order; ValueError when a file changed meanwhile."""
    head, _, data = out.partition(b"BYTES\n")
    rows = [line.split(None, 1) for line in head.splitlines()]
    sizes = [(name.decode(), int(size)) for size, name in rows]
    each = sizes[:-1] if len(sizes) > 1 else sizes
    if sum(size for _, size in each) != len(data):
        raise ValueError("a file changed while it was read")
    found, at = {}, 0
    for name, size in each:
        found[name] = data[at : at + size]
        at += size
    return found


def sums(out: bytes) -> Mapping[str, bytes]:
    """Lines of a sum and a name."""
    pairs = (line.split(b"  ", 1) for line in out.splitlines())
    return {name.decode(): total for total, name in pairs}


def listeners(out: bytes) -> tuple[Listener, ...]:
    """Sections `NET <name>`, OWNERS (`ls -l` of descriptors) and NAMES (pid and name)."""
    sockets, _, rest = out.partition(b"OWNERS\n")
    owners, _, names = rest.rpartition(b"NAMES\n")
    tables = (table.partition(b"\n") for table in sockets.split(b"NET ")[1:])
    found = [entry for name, _, text in tables for entry in parse.sockets(_KINDS[name.decode()], text)]
    pids = _owners(owners)
    named = dict(line.split(" ", 1) for line in names.decode(errors="replace").splitlines())
    return tuple(
        dataclasses.replace(listener, pid=pids.get(inode, 0), process=named.get(str(pids.get(inode, 0)), ""))
        for listener, inode in found
    )


def _owners(listing: bytes) -> dict[str, int]:
    """Inode to the lowest pid that holds it."""
    owners: dict[str, int] = {}
    pid = 0
    for line in listing.splitlines():
        if line.startswith(b"/proc/"):
            pid = int(line.split(b"/")[2])
        elif inode := parse.socket_inode(line):
            owners[inode] = min(pid, owners.get(inode, pid))
    return owners


def processes(out: bytes) -> tuple[Process, ...]:
    """Groups of pid, name, cgroup and cmdline (its NULs as \\1), each ended by a NUL."""
    words = out.split(b"\0")[:-1]
    groups = zip(*(words[at::4] for at in range(4)), strict=True)
    found = (
        parse.process(int(pid), name, cgroup, line.replace(b"\1", b"\0"))
        for pid, name, cgroup, line in groups
    )
    return tuple(sorted(found, key=lambda process: process.pid))
