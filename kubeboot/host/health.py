"""The table's third part: what a machine is asked about its fitness, on this one and remote ones alike."""

from __future__ import annotations

import dataclasses
import os
import re
import time
from collections.abc import Mapping

from kubeboot.host import files
from kubeboot.host.commands import sh
from kubeboot.host.model import Chain, Rule, Space
from kubeboot.host.runner import NOT_FOUND, Ask

WRITE = 2300
"""Bytes of one of etcd's usual writes."""
WRITES = 20
LIMIT = 0.5
"""Seconds that the probe of a disk may take."""
EVICTED_BELOW = {"/var/lib/kubelet": 0.10, "/var/lib/containerd": 0.15}
"""The kubelet's own thresholds for the share that is free (nodefs.available, imagefs.available)."""
INODES_BELOW = 0.05
"""The same of both for inodes."""

_TOOLS = ("containerd", "runc", "iptables")
_VERSION = re.compile(r"v?\d+\.\d+[^\s,]*")

_REFUSES = re.compile(r"(^|\s)(drop|reject)(\s|$)")
_SPACE = """\
path=$1
while [ ! -e "$path" ]; do path=$(dirname -- "$path"); done
exec stat -f -c '%b %a %S %c %d' -- "$path"
"""
_VERSIONS = """\
for name; do
    command -v "$name" >/dev/null 2>&1 || continue
    printf '%s=%s\\n' "$name" "$("$name" --version 2>/dev/null | head -n 1)"
done
exit 0
"""
_SYNC = """\
path=$1
while [ ! -d "$path" ]; do path=$(dirname -- "$path"); done
name=$(mktemp -- "$path/.kubeboot-XXXXXXXX" 2>/dev/null) || exit 0
exec 9>"$name"
rm -f -- "$name"
LC_ALL=C timeout -s INT "$4" dd if=/dev/zero of=/dev/fd/9 bs="$2" count="$3" oflag=dsync 2>&1
exit 0
"""
"""The file has no name while it is written to, so that a connection that breaks off leaves nothing."""


def active_units() -> Ask[frozenset[str]]:
    """The units that systemd has running."""
    argv = ("systemctl", "list-units", "--state=active,activating", "--no-legend", "--plain", "--no-pager")
    return Ask(argv, _first_words, nothing=(frozenset(),), statuses=(1, NOT_FOUND))


def _first_words(out: bytes) -> frozenset[str]:
    rows = (line.split() for line in out.decode(errors="replace").splitlines())
    return frozenset(row[0] for row in rows if row)


def space(path: str) -> Ask[Space]:
    """The file system that a path is or will be on."""
    return Ask(sh("space", _SPACE, path), _space)


def _space(out: bytes) -> Space:
    blocks, free, size, inodes, free_inodes = (int(word) for word in out.split())
    return Space(blocks * size, free * size, inodes, free_inodes)


def versions() -> Ask[Mapping[str, str]]:
    """What the tools that a node may have already call their versions."""
    return Ask(sh("versions", _VERSIONS, *_TOOLS), _versions)


def _versions(out: bytes) -> Mapping[str, str]:
    found: dict[str, str] = {}
    for line in out.decode(errors="replace").splitlines():
        name, _, said = line.partition("=")
        number = _VERSION.search(said)
        if number:
            legacy = " (legacy)" if "(legacy)" in said else ""
            found[name] = number[0].lstrip("v") + legacy
    return found


def runtime_config() -> Ask[str]:
    """containerd's effective configuration: its files and its defaults, merged by itself."""
    argv = ("containerd", "config", "dump")
    return Ask(argv, lambda out: out.decode(errors="replace"), nothing=("",), statuses=(1, NOT_FOUND))


def nft_chains() -> Ask[tuple[Chain, ...]]:
    """nftables' chains."""
    return Ask(("nft", "list", "chains"), _chains, nothing=((),), statuses=(1, NOT_FOUND))


def _chains(out: bytes) -> tuple[Chain, ...]:
    found: list[Chain] = []
    family = table = ""
    for line in out.decode(errors="replace").splitlines():
        words = line.split()
        if words[:1] == ["table"] and len(words) >= 3:
            family, table = words[1], words[2]
        elif words[:1] == ["chain"] and len(words) >= 2:
            found.append(Chain(family, table, words[1]))
        elif words[:3] == ["type", "filter", "hook"] and found:
            found[-1] = dataclasses.replace(found[-1], hook=words[3], policy=_policy(line))
    return tuple(found)


def nft_refusals() -> Ask[tuple[Rule, ...]]:
    """nftables' rules that drop or reject; what sets hold is left out."""
    argv = ("nft", "--terse", "list", "ruleset")
    return Ask(argv, _refusals, nothing=((),), statuses=(1, NOT_FOUND))


def _refusals(out: bytes) -> tuple[Rule, ...]:
    found: list[Rule] = []
    family = table = chain = ""
    for line in out.decode(errors="replace").splitlines():
        words = line.split()
        if words[:1] == ["table"] and len(words) >= 3:
            family, table, chain = words[1], words[2], ""
        elif words[:1] == ["chain"] and len(words) >= 2:
            chain = words[1]
        elif chain and _REFUSES.search(line) and words[0] != "type":
            found.append(Rule(family, table, chain, " ".join(words)))
    return tuple(found)


def _policy(line: str) -> str:
    """Of `type filter hook input priority filter; policy drop;`."""
    return line.rpartition("policy ")[2].strip(" ;") if "policy " in line else "accept"


def sync_seconds(path: str) -> Ask[float | None]:
    """The mean time of a synced write, by a file without a name."""
    script = sh("sync", _SYNC, path, str(WRITE), str(WRITES), str(LIMIT))
    return Ask(script, _mean)


def _mean(out: bytes) -> float | None:
    """From dd's last line: `46000 bytes (46 kB, 45 KiB) copied, 0.0312 s, 1.5 MB/s`."""
    found = re.search(rb"(\d+) bytes.* copied, ([\d.e-]+) s", out)
    writes = int(found[1]) // WRITE if found else 0
    return float(found[2]) / writes if found and writes else None


def sync_here(path: str) -> float | None:
    """The same natively; None where the file system knows no files without names, or none may be written."""
    try:
        fd = os.open(files.nearest(path), os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    except OSError:
        return None
    data, took, began = bytes(WRITE), 0, time.monotonic()
    try:
        while took < WRITES and time.monotonic() - began < LIMIT:
            os.write(fd, data)
            os.fdatasync(fd)
            took += 1
    except OSError:
        return None
    finally:
        os.close(fd)
    return (time.monotonic() - began) / took
