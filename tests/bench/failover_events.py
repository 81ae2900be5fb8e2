"""What is done to a machine, how that is taken back, and how long writes may then stand still."""

from __future__ import annotations

import dataclasses
import subprocess
from collections.abc import Callable, Mapping
from typing import Literal

from tests.bench.machines import Machine

DROP = b"""
table inet blackout {
  chain in { type filter hook prerouting priority -400; policy accept; iif != "lo" drop; }
  chain out { type filter hook output priority -400; policy accept; oif != "lo" drop; }
}
"""
"""No packet comes or goes, an RST at the end of a process neither."""

FREEZES = 5
"""Attempts."""

Target = Literal["leader", "follower", "control plane", "worker"]
Act = Callable[[Machine], None]


@dataclasses.dataclass(frozen=True)
class Event:
    """`bar`: seconds between two acknowledged writes. `count`: how often, by tests/run --chaos."""

    name: str
    target: Target
    bar: float
    count: int
    strike: Act
    mend: Act
    window: float = 10.0
    """Seconds of writes after the strike."""


@dataclasses.dataclass(frozen=True)
class Measured:
    """One event that happened: how long it took (seconds), its bar, and every way in which it missed that."""

    name: str
    on: str
    seconds: float
    bar: float
    problems: tuple[str, ...] = ()
    lost: int = 0
    haproxy_mib: float = 0.0
    gaps: Mapping[str, float] = dataclasses.field(default_factory=dict)
    """The longest gap with a connection for each write, and on one that is kept."""


def late(name: str, on: str, seconds: float, bar: float) -> Measured:
    """Something that is to happen within `bar`."""
    problems = () if seconds <= bar else (f"took {seconds:.1f} s, the bar is {bar:.0f} s",)
    return Measured(name, on, seconds, bar, problems)


def cut(machine: Machine) -> None:
    """Nothing is heard of it any more."""
    machine.run("nft", "-f", "-", stdin=DROP)


def reconnect(machine: Machine) -> None:
    machine.run("nft", "delete", "table", "inet", "blackout")


def power_off(machine: Machine) -> None:
    """The network first, so that no dying process says good-bye; then everything at once."""
    cut(machine)
    docker("kill", machine)


def power_on(machine: Machine) -> None:
    docker("start", machine)


def freeze(machine: Machine) -> None:
    """The kernel's freezer gives up when too much happens at once; nothing is frozen then."""
    for left in reversed(range(FREEZES)):
        try:
            return docker("pause", machine)
        except subprocess.CalledProcessError:
            if not left:
                raise
    return None


def thaw(machine: Machine) -> None:
    docker("unpause", machine)


def signal(name: str, process: str) -> Act:
    """What sends a signal to every process of that program."""

    def act(machine: Machine) -> None:
        machine.run("pkill", f"-{name}", "-f", f"^([^ ]*/)?{process} ")

    return act


def nothing(machine: Machine) -> None:
    """The kubelet starts again what was killed."""


def docker(verb: str, machine: Machine) -> None:
    subprocess.run(("docker", verb, machine.container), check=True, stdout=subprocess.DEVNULL)


EVENTS = (
    Event("power-loss-leader", "leader", 5.0, 5, power_off, power_on),
    Event("power-loss-follower", "follower", 5.0, 5, power_off, power_on),
    Event("freeze-leader", "leader", 10.0, 5, freeze, thaw, 12.0),
    Event("freeze-follower", "follower", 10.0, 5, freeze, thaw, 12.0),
    Event("no-packets-leader", "leader", 10.0, 5, cut, reconnect, 12.0),
    Event("no-packets-follower", "follower", 10.0, 5, cut, reconnect, 12.0),
    Event("apiserver-killed", "control plane", 2.0, 5, signal("KILL", "kube-apiserver"), nothing, 6.0),
    Event(
        "apiserver-hung",
        "control plane",
        4.0,
        5,
        signal("STOP", "kube-apiserver"),
        signal("CONT", "kube-apiserver"),
    ),
    Event("etcd-killed-leader", "leader", 5.0, 3, signal("KILL", "etcd"), nothing),
    Event("etcd-killed-follower", "follower", 5.0, 2, signal("KILL", "etcd"), nothing),
    Event("haproxy-killed", "worker", 3.0, 5, signal("KILL", "haproxy"), nothing, 6.0),
)
