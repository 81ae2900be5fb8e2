"""What a machine in memory is made of: files, directories and their owners, what it has at first, faults."""

from __future__ import annotations

import dataclasses
import functools
import io
import json
import tarfile
from typing import NamedTuple

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


@functools.cache
def by_name(owner: str) -> str:
    """`0:0` and `root:root` are the same owner, so snapshots know only one of them."""
    names = {number: name for name, number in ACCOUNTS.items()}
    return ":".join(names.get(number, str(number)) for number in ids(owner))


def below(path: str, roots: tuple[str, ...]) -> bool:
    """Whether it is one of these or in one of them."""
    return any(path == root or path.startswith(root.rstrip("/") + "/") for root in roots)


def digests_of(data: bytes) -> dict[str, str]:
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
