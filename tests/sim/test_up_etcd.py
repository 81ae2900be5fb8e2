"""`up` where etcd has machines of its own: made first, told of, and what stops when they are silent."""

from __future__ import annotations

import pytest

from kubeboot import errors
from kubeboot.fleet import departing
from kubeboot.fleet.etcd import fleet as etcd_fleet
from kubeboot.fleet.tasks import Shop
from kubeboot.inventory.model import Machine
from kubeboot.steps import preflight
from tests.sim.fleet_world import PLANES, VOTERS, World, done


def test_etcd_is_made_first_then_the_first_control_plane_then_balancers_then_workers(world: World) -> None:
    world.members.clear()
    result = world.up("cp-1", "cp-2", *VOTERS, "lb-1", "w-1")
    stages = [stage for name, stage in world.worked if name in ("e-1", "e-2", "cp-1", "lb-1", "w-1")]
    order = [(name, stage) for name, stage in world.worked if stage not in ("preparing", "finishing")]
    assert order[0] == ("e-1", "making etcd") and {n for n, _ in order[1:3]} == {"e-2", "e-3"}
    assert order[3] == ("cp-1", "making the cluster")
    assert {n for n, _ in order[4:6]} == {"cp-2", "lb-1"} and order[6] == ("w-1", "joining")
    assert stages.count("preparing") == 4
    assert set(world.states(result).values()) == {"changed"}


def test_without_etcd_there_is_no_control_plane(world: World) -> None:
    world.members.clear()
    world.failing.add("e-1")
    result = world.up("cp-1", "e-1", "e-2", "w-1")
    assert world.states(result) == {"cp-1": "skipped", "e-1": "failed", "e-2": "skipped", "w-1": "skipped"}


def test_a_member_more_joins_before_the_control_planes_are_told(world: World) -> None:
    world.members |= {*PLANES, "e-1", "e-2", "lb-1", "w-1"}
    world.dirty |= {*PLANES, "e-1", "lb-1", "w-1"}
    world.up(*PLANES, *VOTERS, "lb-1", "w-1")
    assert done(world) == ["e-1", "e-3", *PLANES, "lb-1", "w-1"]
    assert len(world.urls[0][0]) == 1


def test_control_planes_are_left_alone_when_a_member_cannot_join(world: World) -> None:
    world.members |= {*PLANES, "e-1"}
    world.dirty |= {*PLANES}
    world.failing.add("e-2")
    result = world.up(*PLANES, "e-1", "e-2")
    assert done(world) == ["e-2"]
    assert world.states(result) == {**dict.fromkeys(PLANES, "skipped"), "e-1": "ok", "e-2": "failed"}


def test_control_planes_are_told_of_no_member_that_is_not_fit_to_be_one(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.members |= {*PLANES, "e-1"}
    unfit = preflight.Finding("PeerUnreachable-2380", "e-2 → 192.0.2.11:2380: filtered", "open TCP 2380")
    monkeypatch.setattr(Shop, "examine", lambda self, task, cluster: (unfit,) if task.name == "e-2" else ())
    result = world.up(*PLANES, "e-1", "e-2")
    assert world.urls == [([], [])] and done(world) == []
    assert world.states(result) == {**dict.fromkeys(PLANES, "ok"), "e-1": "ok", "e-2": "failed"}


def test_an_inventory_without_any_of_etcds_machines_is_refused(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.members |= {*PLANES}
    monkeypatch.setattr(departing, "find", lambda *_: (Machine("e-1", frozenset({"etcd"})),))
    for verb in (world.up, world.plan):
        with pytest.raises(errors.ConfigInvalid) as raised:
            verb(*PLANES)
        assert raised.value.reason == "KB_FLEET_ROLE" and "e-1" in raised.value.message
    assert world.worked == []


def test_silent_machines_of_etcd_stop_only_what_is_about_etcd(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def silent(*_: object) -> None:
        raise errors.Unreachable("etcd does not answer", reason="KB_ETCD_SILENT")

    world.members |= {"cp-1", "e-1"}
    monkeypatch.setattr(etcd_fleet, "look", silent)
    assert world.states(world.up("cp-1", "e-1", "w-1"))["w-1"] == "changed"
    world.members.clear()
    with pytest.raises(errors.Unreachable):
        world.up("cp-1", "e-1", "w-1")
