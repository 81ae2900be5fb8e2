"""CoreDNS's pods do not stay together on the machine that was the first."""

from __future__ import annotations

from typing import Any

from kubeboot.engine.step import Drift, Ok
from kubeboot.engine.values import Values
from kubeboot.steps.dns import spread as dns_spread
from tests.fakes import cluster as clusters
from tests.fakes.api import FakeApi

STEP = dns_spread.step("node/ready")


def pod(name: str, node: str | None = "cp-1", **meta: str) -> dict[str, Any]:
    labels = {"k8s-app": "kube-dns"}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "kube-system", "labels": labels, **meta},
        "spec": {"nodeName": node} if node else {},
    }


def node(name: str, ready: str = "True", **spec: bool) -> dict[str, Any]:
    made = clusters.a_node(ready=ready)
    return {**made, "metadata": {"name": name}, "spec": spec}


def found(*objects: dict[str, Any]) -> object:
    return STEP.check(clusters.on(FakeApi(*objects)).see, Values())


def test_one_of_two_moves_once_there_is_another_machine() -> None:
    api = FakeApi(node("cp-1"), node("cp-2"), pod("coredns-a"), pod("coredns-b"))
    do = clusters.on(api)
    assert STEP.check(do.see, Values()) == Drift("move coredns-b away from cp-1", "change")
    STEP.apply(do, Values())
    api.put(pod("coredns-c", None))
    assert STEP.check(do.see, Values()) == Ok()
    STEP.apply(do, Values())
    assert [change.subject for change in api.changes] == ["Pod kube-system/coredns-b"]


def test_machines_that_join_at_once_move_the_same_one() -> None:
    api = FakeApi(node("cp-1"), node("cp-2"), node("cp-3"), pod("coredns-a"), pod("coredns-b"))
    api.put(pod("coredns-b", deletionTimestamp="2026-11-20T00:00:00Z"))
    assert STEP.check(clusters.on(api).see, Values()) == Ok()


def test_what_is_spread_or_alone_stays() -> None:
    nodes = (node("cp-1"), node("cp-2"))
    assert found(*nodes, pod("coredns-a"), pod("coredns-b", "cp-2")) == Ok()
    assert found(*nodes, pod("coredns-a")) == Ok()
    assert found(*nodes) == Ok()


def test_where_nobody_else_takes_them_they_stay() -> None:
    pods = (pod("coredns-a"), pod("coredns-b"))
    assert found(node("cp-1"), *pods) == Ok()
    assert found(node("cp-1"), node("cp-2", "Unknown"), *pods) == Ok()
    assert found(node("cp-1"), node("cp-2", unschedulable=True), *pods) == Ok()
