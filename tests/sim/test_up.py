"""The order in which `up` goes through a fleet, on machines whose work is only noted."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from kubeboot import errors
from kubeboot.config.spec import Artifacts, ClusterSpec
from kubeboot.engine.events import StepFinished
from kubeboot.fleet import planning, up
from kubeboot.fleet.orders_fleet import FleetResult
from kubeboot.inventory.model import Machine
from tests.sim.fleet_world import PLANES, VOTERS, WORKERS, World, done

Verb = Callable[..., FleetResult]


@pytest.mark.parametrize("verb", [up.up, planning.plan])
def test_a_bundle_that_is_not_there_is_told_before_any_machine_is_reached(world: World, verb: Verb) -> None:
    wanted = world.options(("cp-1", "w-1"), ())
    lacking = ClusterSpec(artifacts=Artifacts(bundle="/nonexistent/k.bundle"))
    with pytest.raises(errors.ConfigInvalid, match="there is no bundle /nonexistent/k"):
        verb(dataclasses.replace(wanted, spec=lacking), world.told.append, _nobody)
    assert not world.told


def _nobody(machine: Machine) -> Any:
    raise AssertionError(f"{machine.name} was reached")


def test_a_new_cluster_is_made_while_the_others_get_ready_and_they_join_then(world: World) -> None:
    world.members.clear()
    result = world.up("cp-1", "cp-2", "w-1")
    stages = {name: [s for n, s in world.worked if n == name] for name in ("cp-1", "cp-2", "w-1")}
    assert stages == {"cp-1": ["making the cluster"], "cp-2": ["preparing", "joining"],
                      "w-1": ["preparing", "joining"]}  # fmt: skip
    assert world.states(result) == dict.fromkeys(("cp-1", "cp-2", "w-1"), "changed")
    assert world.worked[-1] == ("kept", "finishing")


def test_no_machine_joins_a_cluster_that_was_not_made(world: World) -> None:
    world.members.clear()
    world.failing.add("cp-1")
    result = world.up("cp-1", "cp-2", "w-1")
    assert world.states(result) == {"cp-1": "failed", "cp-2": "skipped", "w-1": "skipped"}
    assert not any(stage == "joining" for _, stage in world.worked)


def test_new_machines_have_joined_before_any_other_is_changed(world: World) -> None:
    world.members |= {*PLANES, "w-1"}
    world.dirty |= {"cp-1", "w-1"}
    world.up(*PLANES, "w-1", "w-2")
    assert done(world) == ["w-2", "cp-1", "w-1"]


def test_workers_that_need_a_new_balancer_join_after_it(world: World) -> None:
    world.members |= {"cp-1"}
    world.up("cp-1", "w-1", "lb-1")
    assert done(world) == ["lb-1", "w-1"]


def test_another_run_keeps_the_whole_fleet(world: World) -> None:
    world.members |= {"cp-1"}
    world.occupied.add("cp-1")
    with pytest.raises(errors.Occupied):
        world.up("cp-1", "w-1")
    assert world.worked == []


def test_a_worker_of_another_cluster_is_left_alone_when_one_is_made(world: World) -> None:
    world.members.clear()
    world.elsewhere.add("w-1")
    result = world.up("cp-1", "w-1", "w-2")
    assert world.states(result) == {"cp-1": "changed", "w-1": "unreachable", "w-2": "changed"}
    assert "w-1" not in done(world) and result.failed[0].reason == "KB_NO_CONTROL_PLANE"


def test_nothing_to_do_locks_and_touches_nothing(world: World) -> None:
    world.members |= {*PLANES, *WORKERS}
    result = world.up(*PLANES, *WORKERS)
    assert result.clean and world.worked == [] and world.locked == []


def test_new_machines_join_and_no_other_is_touched(world: World) -> None:
    world.members |= {*PLANES, "w-1"}
    world.up(*PLANES, "w-1", "w-2")
    assert done(world) == ["w-2"] and world.locked == ["cp-1", "w-2"]


def test_a_change_rolls_the_lead_first_then_control_planes_then_one_worker_then_the_rest(
    world: World,
) -> None:
    world.members |= {*PLANES, *WORKERS}
    world.dirty |= {*PLANES, *WORKERS}
    world.lead = "cp-2"
    world.up(*PLANES, *WORKERS)
    assert done(world)[:4] == ["cp-2", "cp-1", "cp-3", "w-1"] and set(done(world)[4:]) == {"w-2", "w-3"}


def test_a_failure_ends_the_roll(world: World) -> None:
    world.members |= {*PLANES, *WORKERS}
    world.dirty |= {*PLANES, *WORKERS}
    world.failing.add("cp-2")
    result = world.up(*PLANES, *WORKERS)
    assert done(world) == ["cp-1", "cp-2"]
    skipped = dict.fromkeys(("cp-3", *WORKERS), "skipped")
    assert world.states(result) == {"cp-1": "changed", "cp-2": "failed", **skipped}


def test_no_control_plane_is_changed_while_the_cluster_is_ill(world: World) -> None:
    world.members |= {*PLANES}
    world.dirty |= {*PLANES}
    world.unhealthy = "Node cp-3 is not Ready"
    result = world.up(*PLANES)
    assert done(world) == [] and set(world.states(result).values()) == {"skipped"}
    assert "Node cp-3 is not Ready" in result.hosts[0].message


def test_a_machine_that_another_run_holds_is_out_and_the_others_are_not(world: World) -> None:
    world.members |= {"cp-1"}
    world.occupied.add("w-1")
    result = world.up("cp-1", "w-1", "w-2")
    assert world.states(result) == {"cp-1": "ok", "w-1": "failed", "w-2": "changed"}


def test_a_limit_leaves_the_others_alone(world: World) -> None:
    world.members |= {"cp-1"}
    result = world.up("cp-1", "w-1", "w-2", limit=("w-2",))
    assert done(world) == ["w-2"] and "w-1" not in world.states(result)


def test_a_plan_tells_what_differs_and_works_on_nothing(world: World) -> None:
    world.members |= {*PLANES, "w-1"}
    world.dirty.add("cp-2")
    world.dead.add("cp-3")
    result = world.plan(*PLANES, "w-1")
    wanted = {"cp-1": "ok", "cp-2": "drift", "cp-3": "unreachable", "w-1": "ok"}
    assert world.states(result) == wanted and world.worked == [] and not result.clean


def test_a_plan_of_a_new_cluster_on_machines_of_all_kinds(world: World) -> None:
    world.members.clear()
    world.dirty |= {"cp-1", "e-1"}
    result = world.plan("cp-1", *VOTERS, "lb-1", "w-1")
    assert set(world.states(result).values()) == {"drift"} and world.worked == []
    joins = {e.host: e.title for e in world.told if isinstance(e, StepFinished) and e.step == "join"}
    assert joins == {"e-2": "Join as a member of etcd", "e-3": "Join as a member of etcd",
                     "lb-1": "Join as a balancer", "w-1": "Join as a worker"}  # fmt: skip


def test_a_hook_that_fails_on_the_first_control_plane_stops_only_that(world: World) -> None:
    world.members.clear()
    world.failing.add("cp-1")
    world.reasons["cp-1"] = "KB_HOOK"
    result = world.up("cp-1", "w-1")
    assert world.states(result) == {"cp-1": "failed", "w-1": "changed"}
