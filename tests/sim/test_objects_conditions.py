"""What is waited for in the API."""

from __future__ import annotations

from typing import Any

import pytest

from kubeboot.engine.values import Values
from kubeboot.kube.api import Object
from kubeboot.steps import conditions
from tests.fakes.api import FakeApi
from tests.fakes.cluster import a_node, on
from tests.fakes.host import FakeHost


def a_pod(node: str, ready: str = "True") -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "flannel", "namespace": "kube-flannel", "labels": {"app": "flannel"}},
        "spec": {"nodeName": node},
        "status": {"conditions": [{"type": "Ready", "status": ready}]},
    }


@pytest.mark.parametrize(
    ("condition", "before", "after"),
    [
        (conditions.NodeRegistered("cp-1"), None, a_node(ready="False")),
        (conditions.NodeReady("cp-1"), None, a_node()),
        (conditions.NodeReady("cp-1"), a_node(ready="False"), a_node()),
        (conditions.NodeHasPodCidr("cp-1"), a_node(), {**a_node(), "spec": {"podCIDR": "10.244.0.0/24"}}),
        (
            conditions.PodReadyOn("cp-1", "kube-flannel", "app=flannel"),
            a_pod("worker-1"),
            a_pod("cp-1"),
        ),
        (
            conditions.PodReadyOn("cp-1", "kube-flannel", "app=flannel"),
            a_pod("cp-1", ready="False"),
            a_pod("cp-1"),
        ),
        (
            conditions.ObjectExists("v1", "ConfigMap", "kube-root-ca.crt", "kube-system"),
            None,
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": "kube-root-ca.crt", "namespace": "kube-system"},
            },
        ),
    ],
)
def test_conditions_hold_when_they_should(condition: Any, before: Object | None, after: Object) -> None:
    api = FakeApi(*((before,) if before else ()))
    assert condition.look(on(api).see, Values())
    assert condition.explain(on(api).see) is not None
    api.put(after)
    assert condition.look(on(api).see, Values()) is None
    api.unavailable = "refused"
    assert "refused" in condition.look(on(api).see, Values())
    assert condition.deadline > 0 and condition.sentence


def test_a_node_that_is_not_ready_says_why() -> None:
    host = FakeHost()
    host.journals["kubelet.service"] = ["cni config uninitialized"]
    see = on(FakeApi(a_node(ready="False")), host).see
    assert conditions.NodeReady("cp-1").look(see, Values()) == "cni plugin not initialized"
    assert "cni config uninitialized" in conditions.NodeReady("cp-1").explain(see)
