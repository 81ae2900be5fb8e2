"""One machine's part in the cluster: what the spec and its facts together decide about it."""

from __future__ import annotations

import dataclasses
from typing import Literal

Role = Literal["control_plane", "worker", "etcd", "load_balancer"]


@dataclasses.dataclass(frozen=True)
class NodeSettings:
    """Derived by plan/; what steps need to know of the machine that they work on."""

    name: str
    address: str
    role: Role
    interface: str = ""
    default_route: bool = True
    cpus: int = 1
    resolv_conf: str = "/etc/resolv.conf"
    nameservers: tuple[str, ...] = ()
    """Written into `resolv_conf` when that file is kubeboot's own; else empty."""
    cgroup_v2: bool = True
    may_lower_oom_score: bool = True
    labels: tuple[tuple[str, str], ...] = ()
    taints: tuple[tuple[str, str, str], ...] = ()
    """(key, value, effect)."""
    kubelet_arguments: tuple[tuple[str, str], ...] = ()
    local_balancer: bool = True
    """It has its own haproxy."""
    proxy_variables: tuple[tuple[str, str], ...] = ()
    """containerd's environment."""
    timeout_scale: float = 1.0
    """How much slower than others it may be: by this its static pods have longer to start."""
