"""What one round trip says of a machine: frozen, and all that a plan may know of it besides the spec."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Nic:
    """An interface that has a global address. `addresses` are in CIDR notation."""

    name: str
    addresses: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Facts:
    """Facts of one machine. Sizes in bytes, `clock` in seconds since the epoch at the time of asking."""

    hostname: str
    machine_id: str = ""
    os_id: str = ""
    os_version: str = ""
    os_name: str = ""
    kernel: str = ""
    arch: str = "amd64"
    cpus: int = 1
    memory: int = 0
    uid: int = 0
    cgroup_v2: bool = True
    init: str = "systemd"
    swap: tuple[str, ...] = ()
    nics: tuple[Nic, ...] = ()
    default_nic: str = ""
    default_source: str = ""
    nameservers: tuple[str, ...] = ()
    resolved_nameservers: tuple[str, ...] = ()
    capabilities: int = (1 << 41) - 1
    commands: frozenset[str] = frozenset()
    selinux: str = "disabled"
    apparmor: bool = False
    clock: float = 0.0
    user: str = "root"

    @property
    def may_lower_oom_score(self) -> bool:
        """CAP_SYS_RESOURCE: without it containerd must not ask for a lower oom_score_adj."""
        return bool(self.capabilities >> 24 & 1)
