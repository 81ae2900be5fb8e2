"""Who is dead, slow or hangs is waited for by nobody who need not."""

from __future__ import annotations

import dataclasses

import pytest

from kubeboot.fleet import departing, down, remote, survey, turns, up
from kubeboot.fleet.orders_fleet import ExecOptions
from kubeboot.fleet.reach import Reached
from kubeboot.fleet.tasks import Task
from kubeboot.host.facts import Facts
from kubeboot.inventory.model import Machine
from tests.sim.fleet_world import PLANES, WORKERS, Silent, World, done


def test_one_dead_machine_stops_nobody_and_is_left_for_the_next_run(world: World) -> None:
    world.members.clear()
    world.dead.add("w-1")
    result = world.up("cp-1", "w-1", "w-2")
    assert world.states(result) == {"cp-1": "changed", "w-1": "unreachable", "w-2": "changed"}
    assert [host.host for host in result.failed] == ["w-1"] and result.failed[0].hint
    world.dead.clear()
    world.worked.clear()
    assert world.states(world.up("cp-1", "w-1", "w-2"))["w-1"] == "changed" and done(world) == ["w-1"]


def test_a_dead_machine_is_waited_for_by_nobody(world: World) -> None:
    world.members |= {*PLANES}
    world.dead.add("w-1")
    world.slow["w-1"] = ("w-2", "joining")
    result = world.up(*PLANES, "w-1", "w-2")
    assert (world.held_up, world.states(result)["w-1"]) == ([], "unreachable")


def test_a_dead_control_plane_is_waited_for_by_nobody_and_a_plan_tells_of_it(world: World) -> None:
    world.members |= {*PLANES}
    world.dead.add("cp-3")
    world.slow["cp-3"] = ("w-1", "joining")
    result = world.up(*PLANES, "w-1")
    assert world.held_up == [] and done(world) == ["w-1"]
    assert world.states(result) == {"cp-1": "ok", "cp-2": "ok", "cp-3": "unreachable", "w-1": "changed"}
    assert world.states(world.plan(*PLANES, "w-1"))["cp-3"] == "unreachable"


@pytest.mark.parametrize(("living", "held_up"), [(("10.0.0.2", "10.0.0.3"), []), (("10.0.0.1",), ["cp-1"])])
def test_a_dead_control_plane_that_could_lead_is_waited_for_unless_the_cluster_says_that_it_is_silent(
    world: World, living: tuple[str, ...], held_up: list[str]
) -> None:
    world.members |= {*PLANES}
    world.lead, world.living = "cp-2", living
    world.addresses = {"cp-1": "10.0.0.1", "cp-2": "10.0.0.2", "cp-3": "10.0.0.3"}
    world.dead.add("cp-1")
    world.slow["cp-1"] = ("w-1", "joining")
    world.patience = 0.5 if held_up else world.patience
    result = world.up(*PLANES, "w-1")
    assert world.held_up == held_up and world.locked == ["cp-2", "w-1"]
    assert world.states(result) == {"cp-1": "unreachable", "cp-2": "ok", "cp-3": "ok", "w-1": "changed"}


def test_a_control_plane_that_comes_late_is_changed_in_its_turn(world: World) -> None:
    world.members |= {*PLANES, *WORKERS}
    world.dirty |= {*PLANES, "w-1"}
    world.slow["cp-2"] = ("w-4", "joining")
    world.up(*PLANES, *WORKERS, "w-4")
    assert world.held_up == [] and done(world)[:2] == ["w-4", "cp-1"]
    assert set(done(world)[2:4]) == {"cp-2", "cp-3"} and done(world)[4:] == ["w-1"]


def test_a_dead_control_plane_is_not_waited_for_before_the_others_are_changed(world: World) -> None:
    world.members |= {*PLANES}
    world.dirty |= {"cp-2"}
    world.dead.add("cp-1")
    world.lead, world.living = "cp-2", ("10.0.0.2", "10.0.0.3")
    world.addresses = {"first": "10.0.0.1", "cp-2": "10.0.0.2", "cp-3": "10.0.0.3"}
    world.at["cp-1"] = "10.0.0.1"
    world.unhealthy = "it is not well"
    result = world.up(*PLANES)
    assert set(world.mourned) == {"cp-1", "first"} and "kubeboot node remove first" in world.mourned["first"]
    assert world.states(result) == {"cp-1": "unreachable", "cp-2": "skipped", "cp-3": "ok"}


def test_a_machine_that_was_taken_out_leaves_first_if_it_is_dead_and_last_if_not(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead, living = (Machine(name, frozenset({"control_plane"})) for name in ("cp-8", "cp-9"))
    monkeypatch.setattr(departing, "find", lambda cluster, inventory: (living, dead))
    monkeypatch.setattr(departing, "_forget", lambda cluster, etcd, machine, there: (leaving(machine),))
    monkeypatch.setattr(departing, "reset", lambda who, hooks: world.task(who, command="reset"))

    def leaving(machine: Machine) -> Task:
        return world.task(Reached(machine, Silent(machine.name, world), Facts(machine.name)))  # type: ignore[arg-type]

    world.members |= {*PLANES}
    world.dirty |= {"cp-2"}
    world.dead.add("cp-8")
    again: list[str] = []
    monkeypatch.setattr(survey, "again", lambda cluster: again.extend(done(world)) or cluster)
    agreed = dataclasses.replace(world.options((*PLANES, "w-1"), ()), ask=lambda names: True)
    result = up.up(agreed, world.told.append, world._open)
    assert again == ["cp-8"] and done(world) == ["cp-8", "w-1", "cp-2", "cp-9", "cp-9"]
    assert world.states(result)["cp-8"] == world.states(result)["cp-9"] == "changed"


def test_a_new_control_plane_that_comes_late_joins_when_the_others_are_changed(world: World) -> None:
    world.members |= {"cp-1", "cp-2"}
    world.dirty |= {"cp-2"}
    world.slow["cp-3"] = ("w-1", "joining")
    world.up(*PLANES, "w-1")
    assert world.held_up == [] and done(world) == ["w-1", "cp-2", "cp-3"]


def test_a_new_cluster_is_made_before_a_dead_machine_is_given_up(world: World) -> None:
    world.members.clear()
    world.dead.add("w-1")
    world.slow["w-1"] = ("cp-1", "making the cluster")
    result = world.up("cp-1", "w-1", "w-2")
    assert world.held_up == []
    assert world.states(result) == {"cp-1": "changed", "w-1": "unreachable", "w-2": "changed"}


def test_down_and_exec_wait_for_no_dead_machine(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.dead.add("w-1")
    world.slow["w-1"] = ("w-2", "resetting")
    monkeypatch.setattr(departing, "reset", lambda who, hooks: world.task(who, command="reset"))
    options = world.options(("cp-1", "w-1", "w-2"), ())
    assert world.states(down.down(options, world.told.append, world._open))["w-2"] == "changed"
    world.slow["w-1"] = ("w-2", "command")
    monkeypatch.setattr(remote, "_run", lambda who, *_: world.worked.append((who.name, "command")) or 0)
    wanted = ExecOptions(options.inventory, ("true",))
    assert [end.state for end in remote.execute(wanted, lambda *_: None, world._open)] == [
        "ok",
        "unreachable",
        "ok",
    ]
    assert world.held_up == []


def one_is_known_to_be_new(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """w-2, since the Nodes tell where all others are; it has all the time to answer."""
    monkeypatch.setattr(turns, "GRACE", 60.0)
    world.members |= {*PLANES, "w-1"}
    world.addresses = {name: f"10.0.0.{number}" for number, name in enumerate((*PLANES, "w-1"), 1)}


def test_new_machines_join_before_the_others_are_looked_at(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    one_is_known_to_be_new(world, monkeypatch)
    result = world.up("w-1", *PLANES, "w-2")
    assert world.looks[:4] == [("w-2", "joining")] * 4 and world.states(result)["w-1"] == "ok"
    assert done(world) == ["w-2"]


def test_the_others_are_looked_at_while_a_new_machine_waits_for_its_node(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    one_is_known_to_be_new(world, monkeypatch)
    world.awaiting["w-2"] = 4
    result = world.up("w-1", *PLANES, "w-2")
    assert world.held_up == [] and world.states(result)["w-2"] == "changed"


def test_a_new_machine_that_hangs_does_not_hold_up_the_others_for_long(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "PATIENCE", 0.05)
    world.members |= {*PLANES, "w-1"}
    world.addresses = {"w-1": "10.0.0.4"}
    world.hanging["w-2"] = 1
    world.up(*PLANES, "w-1", "w-2")
    assert world.held_up == []
