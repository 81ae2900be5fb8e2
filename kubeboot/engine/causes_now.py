"""Whether what a line of a log says is still so: logs keep what has been put right since."""

from __future__ import annotations

import re

from kubeboot.host import health
from kubeboot.host.api import HostView

SWAPS = "/proc/swaps"
SUBNET = "/run/flannel/subnet.env"
CNI = "/etc/cni/net.d"
_PATH = re.compile(r"/etc/kubernetes/[^\s:\"']+")


def swap_on(host: HostView, line: str) -> bool:
    """By the kernel's table, which has a header."""
    table = host.read(SWAPS)
    return table is None or len(table.splitlines()) > 1


def disk_short(host: HostView, line: str) -> bool:
    """Below what the kubelet evicts pods at."""
    spaces = ((host.space(path), share) for path, share in health.EVICTED_BELOW.items())
    return any(
        found.free < share * found.size or found.free_inodes < health.INODES_BELOW * found.inodes
        for found, share in spaces
    )


def containerd_off(host: HostView, line: str) -> bool:
    """By its unit."""
    return host.unit("containerd.service").active != "active"


def no_subnet(host: HostView, line: str) -> bool:
    """flannel writes its file when it knows this node's range."""
    return host.stat(SUBNET) is None


def no_network(host: HostView, line: str) -> bool:
    """The file may be a link that leads nowhere yet."""
    names = (name for name in host.listdir(CNI) if name.endswith((".conf", ".conflist", ".json")))
    return not any(host.read(f"{CNI}/{name}") for name in names)


def missing(host: HostView, line: str) -> bool:
    """One of the cluster's files that the line names, if it names any."""
    named = _PATH.findall(line)
    return not named or any(host.stat(path) is None for path in named)
