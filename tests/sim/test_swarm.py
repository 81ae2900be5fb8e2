"""A fleet of simulated machines, planned for over SSH: all are looked at, few at once, the dead are named."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator
from pathlib import Path

import pytest

from kubeboot.config.loader import Sources, load
from kubeboot.engine.events import Event, StepFinished
from kubeboot.engine.step import CLUSTER
from kubeboot.fleet import logins, planning, reach
from kubeboot.fleet.orders_fleet import FleetOptions
from kubeboot.fleet.supply import Supply
from kubeboot.host.api import HostTarget
from kubeboot.host.ssh.connection import Connection
from kubeboot.host.ssh.host import SshHost
from kubeboot.host.ssh.login import Deadlines, Login
from kubeboot.host.ssh.pool import Pool
from kubeboot.inventory import listed
from kubeboot.inventory.model import Machine
from tests.fakes import ports, swarm
from tests.fakes.source import FakeSource

SIZE, ROOM = 50, 12
DEAD = frozenset({7, 23, 50})


@pytest.fixture(scope="module")
def machines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[swarm.Swarm]:
    """The dead refuse at once: nothing here is to take a busy machine for a silent one."""
    folder = tmp_path_factory.mktemp("swarm")
    with swarm.running(folder, latest=0.1, processes=1) as made, ports.kept() as nobody:
        yield dataclasses.replace(made, dead=nobody)


def patient(machine: Machine) -> HostTarget:
    deadlines = Deadlines().scaled(6.0)
    return SshHost(Connection(Login(machine.name, logins.ssh_config(machine), deadlines=deadlines)))


def wanted(path: Path) -> FleetOptions:
    spec = load(Sources(files=[str(path)])).spec
    return FleetOptions(spec, listed.read(spec, str(path)))


def test_all_that_live_are_planned_for_by_few_connections(
    machines: swarm.Swarm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reach, "Pool", functools.partial(Pool, ROOM))
    monkeypatch.setattr(Supply, "source", lambda self, arch: FakeSource())
    events: list[Event] = []
    result = planning.plan(wanted(machines.cluster(SIZE, DEAD)), events.append, patient)
    states = {host.host: host.state for host in result.hosts}
    wrong = [host for host in result.hosts if host.state == "unreachable" and int(host.host[2:]) not in DEAD]
    assert wrong == []
    assert states == {f"m-{n}": "unreachable" if n in DEAD else "drift" for n in range(1, SIZE + 1)}
    assert 1 < machines.count.most.value <= ROOM
    steps = [event for event in events if isinstance(event, StepFinished)]
    assert not [step for step in steps if step.state == "blocked"]
    assert {step.host for step in steps} - {CLUSTER} == states.keys() - {f"m-{n}" for n in DEAD}
