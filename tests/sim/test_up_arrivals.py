"""Machines of a new cluster against each other: clones and clocks that differ, before any change."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from kubeboot.config.node import NodeSettings
from kubeboot.engine.plan import Plan
from kubeboot.fleet import arrivals, tasks
from kubeboot.fleet.reach import Reached
from kubeboot.fleet.tasks import Task
from kubeboot.host.facts import Facts
from kubeboot.inventory.model import Machine
from kubeboot.kube.api import NoApi
from kubeboot.steps.preflight import Surroundings
from tests.fakes.host import FakeHost
from tests.sim.fleet_world import World, done, noted

NAMES = ("cp-1", "cp-2", "w-1", "w-2")


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return noted(monkeypatch)


def task(name: str, address: str = "", machine_id: str = "", ahead: float = 0.0) -> Task:
    machine, host = Machine(name, frozenset({"worker"})), FakeHost(name)
    who = Reached(machine, host, Facts(name, machine_id=machine_id or name), ahead)  # type: ignore[arg-type]
    return Task(who, name, Plan("join", "", ()), NoApi(), node=NodeSettings(name, address or name, "worker"))


@pytest.mark.parametrize("clone", ["cp-2", "w-1"])
def test_a_clone_of_a_control_plane_is_not_touched_and_the_others_become_a_cluster(
    world: World, clone: str
) -> None:
    world.clones = {clone: "cp-1"}
    result = world.up(*NAMES)
    assert world.states(result) == {name: "failed" if name == clone else "changed" for name in NAMES}
    assert clone not in done(world)
    failed = next(host for host in result.hosts if host.host == clone)
    assert failed.reason == "KB_PREFLIGHT" and "DuplicateMachineID" in (failed.hint or "")


def test_of_two_workers_that_are_clones_one_becomes_a_node(world: World) -> None:
    world.clones = {"w-2": "w-1"}
    states = world.states(world.up(*NAMES))
    assert sorted((states["w-1"], states["w-2"])) == ["changed", "failed"]


@pytest.mark.parametrize("late", ["cp-2", "w-1"])
def test_a_clock_that_differs_from_the_first_machines_is_told_before_any_change(
    world: World, late: str
) -> None:
    world.clocks = {late: -3600.0}
    assert world.states(world.up(*NAMES)) == {n: "failed" if n == late else "changed" for n in NAMES}
    assert late not in done(world)


def test_a_workstation_whose_clock_is_wrong_is_none_of_the_machines_concern(world: World) -> None:
    world.clocks = dict.fromkeys(NAMES, 3600.0)
    assert set(world.states(world.up(*NAMES)).values()) == {"changed"}


def test_one_address_on_two_machines_is_found_on_the_later_one() -> None:
    first, second = task("w-1", "10.0.2.15"), task("w-2", "10.0.2.15")
    assert arrivals.compared(first, (), frozenset()) == ()
    (found,) = arrivals.compared(second, (first,), frozenset())
    assert (found.name, found.level, found.host) == ("DuplicateAddress", "error", "w-2")
    (ignored,) = arrivals.compared(second, (first,), frozenset({"DuplicateAddress"}))
    assert ignored.level == "warning"


def test_each_is_compared_with_those_before_it_however_often_it_is_asked_for() -> None:
    one, two = task("w-1"), task("w-2")
    known = arrivals.Arrivals()
    assert [known.add(each) for each in (one, two, one, two)] == [(), (one,), (), (one,)]


@dataclasses.dataclass(frozen=True)
class There:
    around: Surroundings


@pytest.mark.parametrize(("here", "ahead"), [(0.0, 0.0), (-100.0, 100.0), (252.0, -252.0)])
def test_the_cluster_sees_a_machines_clock_and_not_the_workstations(here: float, ahead: float) -> None:
    """`here`: this computer's against the cluster's; `ahead`: the machine's against this computer's."""
    there: Any = There(Surroundings(ahead=here))
    around = tasks._around(task("w-1", ahead=ahead).who, there)
    assert around is not None and around.ahead == 0.0
