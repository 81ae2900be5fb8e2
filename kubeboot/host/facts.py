"""What one round trip says of a machine: frozen, and all that a plan may know of it besides the spec."""

from __future__ import annotations

import dataclasses
import ipaddress
import itertools
from collections import defaultdict
from collections.abc import Mapping, Sequence


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
    joined: bool = False
    """A kubelet has its way to a cluster."""

    @property
    def may_lower_oom_score(self) -> bool:
        """CAP_SYS_RESOURCE: without it containerd must not ask for a lower oom_score_adj."""
        return bool(self.capabilities >> 24 & 1)


_ARCH = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "ppc64le": "ppc64le", "s390x": "s390x"}
_SELINUX = {"1": "enforcing", "0": "permissive"}

_Said = Mapping[str, Sequence[str]]


def is_loopback(nameserver: str) -> bool:
    """Whether a resolver's address is this machine's own for everybody who asks: 0.0.0.0 is, too."""
    try:
        address = ipaddress.ip_address(nameserver.split("%")[0])
    except ValueError:
        return False
    plain = getattr(address, "ipv4_mapped", None) or address
    return bool(plain.is_loopback or plain.is_unspecified)


def parse(out: bytes) -> Facts:
    """What probe.sh printed. ValueError when it did not come to its end."""
    said: dict[str, list[str]] = defaultdict(list)
    for line in out.decode(errors="replace").split("\n"):
        key, _, value = line.partition("=")
        said[key].append(value.strip())
    if "end" not in said:
        raise ValueError("the machine's facts are incomplete")
    return _facts({key: tuple(values) for key, values in said.items()})


def _facts(said: _Said) -> Facts:
    arch = _last(said, "arch")
    nics = _nics(said)
    nic, source = _default(said, nics)
    return Facts(
        hostname=_last(said, "hostname"),
        machine_id=_last(said, "machine_id"),
        kernel=_last(said, "kernel"),
        arch=_ARCH.get(arch, arch),
        cpus=_number(_last(said, "cpus"), 1),
        memory=_number(_word(said, "memory", 1)) * 1024,
        uid=_number(_last(said, "uid")),
        user=_last(said, "user"),
        cgroup_v2="cgroup_v2" in said,
        joined="joined" in said,
        init=_last(said, "init"),
        swap=tuple(line.split()[0] for line in said.get("swap", ())),
        nics=nics,
        default_nic=nic,
        default_source=source,
        nameservers=_nameservers(said, "nameserver"),
        resolved_nameservers=_nameservers(said, "resolved"),
        capabilities=int(_word(said, "capabilities", 1) or "0", 16),
        commands=frozenset(said.get("command", ())),
        selinux=_SELINUX.get(_last(said, "selinux"), "disabled"),
        apparmor=_last(said, "apparmor") == "Y",
        clock=float(_last(said, "clock").removesuffix(".%N") or 0),
    )


def _last(said: _Said, key: str) -> str:
    return (said.get(key) or ("",))[-1]


def _word(said: _Said, key: str, at: int) -> str:
    words = _last(said, key).split()
    return words[at] if len(words) > at else ""


def _number(text: str, otherwise: int = 0) -> int:
    return int(text) if text.isdigit() else otherwise


def _nameservers(said: _Said, key: str) -> tuple[str, ...]:
    rows = (line.split() for line in said.get(key, ()))
    return tuple(row[1] for row in rows if len(row) > 1 and row[0] == "nameserver")


def _nics(said: _Said) -> tuple[Nic, ...]:
    """From `ip -oneline address`: `2: eth0    inet 10.0.0.5/24 brd … scope global …`."""
    addresses: dict[str, list[str]] = defaultdict(list)
    for line in said.get("nic", ()):
        words = line.split()
        addresses[words[1].split("@")[0]].append(words[3])
    return tuple(Nic(name, tuple(found)) for name, found in addresses.items())


def _default(said: _Said, nics: tuple[Nic, ...]) -> tuple[str, str]:
    """The first default route's interface and the address that it would use."""
    route = next(iter(said.get("default", ())), "").split()
    words = dict(itertools.pairwise(route))
    name = words.get("dev", "")
    own = [ipaddress.ip_interface(text) for nic in nics if nic.name == name for text in nic.addresses]
    gateway = ipaddress.ip_address(words["via"]) if _is_address(words.get("via", "")) else None
    own.sort(key=lambda address: gateway is None or gateway not in address.network)
    fitting = [address for address in own if gateway is None or address.version == gateway.version]
    return name, words.get("src") or (str(fitting[0].ip) if fitting else "")


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
