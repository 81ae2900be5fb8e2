"""What a lab is: names, addresses and where its state lies. Nothing here touches a machine."""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import ipaddress
import json
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal

from kubeboot import errors

Role = Literal["control_plane", "worker", "load_balancer", "etcd"]
Network = ipaddress.IPv4Network

PREFIX: dict[Role, str] = {"control_plane": "cp", "worker": "worker", "load_balancer": "lb", "etcd": "etcd"}
FIRST_HOST: dict[Role, int] = {"control_plane": 11, "worker": 21, "load_balancer": 31, "etcd": 41}
# VirtualBox lets users have host-only networks in the first range only; it comes first for all providers.
POOL = (Network("192.168.56.0/21"), Network("10.156.0.0/18"))
SHARE = "/var/lib/kubeboot-lab"
"""Where machines see what the lab gives them."""
BUNDLE = "bundle.tar"
SUBNETS, DOCKER, DOCKER_USE = "@subnets", "@docker", "@docker-use"
"""What is locked besides labs, whose names cannot be these."""
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?")


@dataclasses.dataclass(frozen=True)
class Machine:
    """One machine of a lab. The address is that on the cluster's network."""

    name: str
    role: Role
    address: str


@dataclasses.dataclass(frozen=True)
class Lab:
    """A lab as the Vagrantfile reads it, from lab.json in its directory."""

    name: str
    provider: str
    checkout: str
    subnet: str
    image: str
    machines: tuple[Machine, ...] = ()

    @property
    def prefix(self) -> str:
        """What the names of all its Docker objects start with."""
        return f"kubeboot-{self.name}"

    @property
    def directory(self) -> Path:
        return directory(self.name)

    @property
    def ssh_config(self) -> Path:
        """How to reach its machines, in ssh's words; there once they were up."""
        return self.directory / "ssh-config"

    def machine(self, name: str) -> Machine | None:
        """The machine of that name; None if there is none."""
        return next((m for m in self.machines if m.name == name), None)


def root() -> Path:
    """Where labs are remembered: $KUBEBOOT_LAB_STATE, else kubeboot-lab in the user's state directory."""
    override = os.environ.get("KUBEBOOT_LAB_STATE")
    if override:
        return Path(override).absolute()
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "kubeboot-lab"


def directory(name: str) -> Path:
    """One lab's directory."""
    return root() / "labs" / name


def check_name(name: str) -> str:
    """The name, if Docker, DNS and file systems can all live with it."""
    if not _NAME.fullmatch(name):
        raise errors.UsageProblem(f"{name!r} is no name for a lab", hint="use up to 32 of a-z, 0-9 and -")
    return name


def layout(
    subnet: str, control_planes: int, workers: int, balancers: int = 0, etcd: int = 0
) -> tuple[Machine, ...]:
    """Names and addresses of a lab's machines: fixed by role and number, so that a lab can grow."""
    counts: dict[Role, int] = {
        "control_plane": control_planes,
        "worker": workers,
        "load_balancer": balancers,
        "etcd": etcd,
    }
    base = Network(subnet).network_address
    return tuple(
        Machine(f"{PREFIX[role]}-{n + 1}", role, str(base + FIRST_HOST[role] + n))
        for role, count in counts.items()
        for n in range(count)
    )


def free_subnets(taken: Iterable[str]) -> Iterator[str]:
    """The /24 networks of the pool that overlap with none of the taken ones, in a fixed order."""
    used = [Network(t, strict=False) for t in taken]
    for block in POOL:
        for subnet in block.subnets(new_prefix=24):
            if not any(subnet.overlaps(u) for u in used):
                yield str(subnet)


def routed(route_table: str) -> list[str]:
    """The destinations in the output of `ip -4 route show table all`, but for default routes."""
    found = re.findall(
        r"^(?:(?:unicast|local|broadcast|blackhole|unreachable) )?(\d+\.\d+\.\d+\.\d+(?:/\d+)?)",
        route_table,
        re.MULTILINE,
    )
    return [f for f in found if not f.startswith("127.")]


def save(lab: Lab) -> None:
    """Write lab.json."""
    lab.directory.mkdir(parents=True, exist_ok=True)
    partial = lab.directory / ".lab.json"
    partial.write_text(json.dumps(dataclasses.asdict(lab), indent=2) + "\n")
    partial.rename(lab.directory / "lab.json")


def load(name: str) -> Lab | None:
    """The lab of that name; None if there is none."""
    try:
        data = json.loads((directory(name) / "lab.json").read_text())
    except FileNotFoundError:
        return None
    return Lab(**{**data, "machines": tuple(Machine(**m) for m in data["machines"])})


def require(name: str) -> Lab:
    """The lab of that name."""
    lab = load(check_name(name))
    if lab is None:
        raise errors.UsageProblem(f"there is no lab `{name}`", hint="vagrant/lab up")
    return lab


def names() -> list[str]:
    """All labs that are remembered."""
    return sorted(p.parent.name for p in root().glob("labs/*/lab.json"))


@contextlib.contextmanager
def locked(what: str, *, wait: bool = False, shared: bool = False) -> Iterator[None]:
    """One command at a time changes a lab; its end, however it ends, frees the lab."""
    locks = root() / "locks"
    locks.mkdir(parents=True, exist_ok=True)
    how = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    with (locks / what).open("w") as handle:
        try:
            fcntl.flock(handle, how | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            raise errors.Occupied(f"another command is at work on the lab `{what}`") from None
        yield
