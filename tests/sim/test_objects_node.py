"""A Node is marked as what it is, and what others wrote on it stays."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from kubeboot import errors
from kubeboot.config.node import NodeSettings
from kubeboot.config.spec import ClusterSpec
from kubeboot.engine.step import Drift, Later, Ok, Step
from kubeboot.engine.values import Values
from kubeboot.kube import facts
from kubeboot.kube.api import ApiError, Object
from kubeboot.steps import node
from tests.fakes.api import FakeApi
from tests.fakes.cluster import CP, NOT_READY, a_node, on


def mark(spec: ClusterSpec | None = None, settings: NodeSettings = CP) -> Step:
    return next(step for step in node.steps(spec or ClusterSpec(), settings) if step.id == "node/mark")


def test_a_node_that_is_not_there_is_marked_later() -> None:
    assert mark().check(on(FakeApi()).see, Values()) == Later("the Node cp-1")


def test_a_control_plane_is_marked_and_keeps_what_others_wrote() -> None:
    api = FakeApi(a_node(NOT_READY))
    found = mark().check(on(api).see, Values())
    assert (
        isinstance(found, Drift) and "taint node-role.kubernetes.io/control-plane:NoSchedule" in found.summary
    )
    mark().apply(on(api), Values())
    assert mark().check(on(api).see, Values()) == Ok()
    live = api.get("v1", "Node", "cp-1")
    assert live is not None and NOT_READY in live["spec"]["taints"]
    assert live["metadata"]["labels"] == {
        "kubernetes.io/os": "linux",
        node.CONTROL_PLANE: "",
        node.NO_EXTERNAL_BALANCER: "",
        "kubeboot.io/local-lb": "static",
        "rack": "7",
    }


def test_a_taint_of_another_value_is_replaced() -> None:
    wanted = dataclasses.replace(CP, taints=(("dedicated", "db", "NoSchedule"),))
    api = FakeApi(a_node({"key": "dedicated", "value": "web", "effect": "NoSchedule"}))
    mark(settings=wanted).apply(on(api), Values())
    live = api.get("v1", "Node", "cp-1")
    assert live is not None
    assert live["spec"]["taints"] == [{"key": "dedicated", "value": "db", "effect": "NoSchedule"}]


def test_a_single_machine_schedules_pods_and_serves_load_balancers() -> None:
    alone = mark(ClusterSpec(single=True), dataclasses.replace(CP, taints=()))
    api = FakeApi(a_node({"key": node.CONTROL_PLANE, "effect": "NoSchedule"}))
    alone.apply(on(api), Values())
    assert alone.check(on(api).see, Values()) == Ok()
    live = api.get("v1", "Node", "cp-1")
    assert live is not None and not live["spec"].get("taints")
    assert node.NO_EXTERNAL_BALANCER not in live["metadata"]["labels"]


@pytest.mark.parametrize(("races", "fails"), [(2, False), (node.TRIES, True)])
def test_a_lost_race_for_the_taints_is_run_again(races: int, fails: bool) -> None:
    api = Racing(a_node(NOT_READY), races=races)
    if fails:
        with pytest.raises(ApiError):
            mark().apply(on(api), Values())
    else:
        mark().apply(on(api), Values())
        assert mark().check(on(api).see, Values()) == Ok()


class Racing(FakeApi):
    """Somebody else is faster the first times."""

    def __init__(self, *objects: Object, races: int) -> None:
        super().__init__(*objects)
        self.races = races

    def patch_merge(self, *args: Any, **kwargs: Any) -> Object:
        if self.races:
            self.races -= 1
            raise ApiError("the object has been modified", status=409)
        return super().patch_merge(*args, **kwargs)


@pytest.mark.parametrize(
    ("present", "taken"),
    [(a_node(), True), (a_node(machine="mine"), False), (a_node(ready="False"), False), (None, False)],
)
def test_a_name_is_taken_by_another_machine_that_is_ready(present: Object | None, taken: bool) -> None:
    api = FakeApi(*((present,) if present else ()))
    if not taken:
        facts.require_free_name(api, "cp-1", "mine")
        return
    with pytest.raises(errors.Occupied) as caught:
        facts.require_free_name(api, "cp-1", "mine")
    assert caught.value.reason == "KB_NODE_NAME_TAKEN"
