"""A cluster in memory as its steps make it, for tests of those steps."""

from __future__ import annotations

import datetime
from typing import Any

from kubeboot.config.node import NodeSettings
from kubeboot.config.spec import ClusterSpec
from kubeboot.engine.step import Ok, Step, Target
from kubeboot.engine.values import Secret, Values
from kubeboot.pki import jws, tokens
from kubeboot.steps import authorities, cluster, node
from tests.fakes import tls
from tests.fakes.api import FakeApi
from tests.fakes.host import FakeHost

WHERE = "10.0.0.11:8443"
CP = NodeSettings(
    name="cp-1",
    address="10.0.0.11",
    role="control_plane",
    labels=(("rack", "7"),),
    taints=((node.CONTROL_PLANE, "", "NoSchedule"),),
)
NOON = datetime.datetime(2026, 11, 20, 12, tzinfo=datetime.UTC)
GIVEN = tokens.parse("abcdef.0123456789abcdef")


def known() -> Values:
    vals = Values()
    vals.put(authorities.CA, Secret(tls.authority()))
    return vals


def on(api: FakeApi, host: FakeHost | None = None) -> Target:
    return Target(host or FakeHost(), api)


def run(steps: tuple[Step, ...], api: FakeApi) -> None:
    for step in steps:
        if step.check(on(api).see, known()) != Ok():
            step.apply(on(api), known())


def made(spec: ClusterSpec | None = None) -> tuple[Step, ...]:
    return cluster.steps(spec or ClusterSpec(), WHERE, {"kind": "KubeletConfiguration"})


def a_node(*taints: dict[str, str], machine: str = "m1", ready: str = "True") -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": "cp-1", "labels": {"kubernetes.io/os": "linux"}},
        "spec": {"taints": list(taints)} if taints else {},
        "status": {
            "nodeInfo": {"machineID": machine},
            "conditions": [{"type": "Ready", "status": ready, "message": "cni plugin not initialized"}],
        },
    }


NOT_READY = {"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}


def sign(api: FakeApi, token: tokens.BootstrapToken) -> None:
    """What kube-controller-manager does."""
    info = api.get("v1", "ConfigMap", "cluster-info", "kube-public")
    assert info is not None
    signature = jws.sign(info["data"]["kubeconfig"], token)
    api.patch_merge(
        "v1", "ConfigMap", "cluster-info", {"data": {jws.KEY_PREFIX + token.id: signature}}, "kube-public"
    )
