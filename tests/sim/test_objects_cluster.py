"""What a cluster says of itself converges, and says to a joining machine what it needs."""

from __future__ import annotations

import pytest

from kubeboot import errors, render
from kubeboot.config.components import Argument
from kubeboot.config.spec import ClusterSpec
from kubeboot.engine.plan import Plan, edges
from kubeboot.engine.step import CLUSTER, Later
from kubeboot.engine.values import Values
from kubeboot.kube import configmaps, facts
from kubeboot.kube.api import Object
from kubeboot.pki import jws
from kubeboot.steps import basic, conditions
from tests.fakes.api import FakeApi
from tests.fakes.cluster import GIVEN, WHERE, made, on, run, sign


def test_every_object_converges_and_a_second_run_writes_nothing() -> None:
    api = FakeApi()
    run(made(), api)
    first = len(api.changes)
    assert first == len(made())
    run(made(), api)
    assert len(api.changes) == first


def test_each_object_waits_for_its_namespace() -> None:
    ready = basic.Await(id="control-plane/ready", title="", on="cp-1", condition=conditions.NodeReady("cp-1"))
    plan = Plan("init", "", (ready, *made()), {"cp-1": "control_plane"})
    order = edges(plan)
    assert (CLUSTER, "cluster/namespace-kube-public") in order[CLUSTER, "cluster/info"]
    assert (CLUSTER, "cluster/namespace-kube-system") in order[CLUSTER, "cluster/kubelet-config"]
    assert (CLUSTER, "cluster/namespace-default") in order[CLUSTER, "cluster/role-kubeboot:api-servers"]
    assert all(("cp-1", "control-plane/ready") in order[CLUSTER, step.id] for step in made())


def test_cluster_info_is_for_later_until_there_is_an_authority() -> None:
    info = next(step for step in made() if step.id == "cluster/info")
    assert info.check(on(FakeApi()).see, Values()) == Later("authority/ca")


def test_a_signature_in_cluster_info_is_not_taken_away() -> None:
    api = FakeApi()
    run(made(), api)
    sign(api, GIVEN)
    run(made(), api)
    info = api.get("v1", "ConfigMap", "cluster-info", "kube-public")
    assert info is not None and jws.KEY_PREFIX + GIVEN.id in info["data"]


def test_what_a_cluster_says_is_what_a_joining_machine_reads() -> None:
    extra = Argument(name="audit-log-path", value="-")
    spec = ClusterSpec.model_validate(
        {"single": True, "api_server": {"extra_args": (extra,)}, "node": {"name": "only-here"}},
        by_name=True,
    )
    api = FakeApi(slice_of("10.0.0.12", "10.0.0.11"))
    run(made(spec), api)
    found = facts.read(api, b"CA")
    assert found.spec == spec.model_copy(update={"control_plane_endpoint": WHERE, "node": ClusterSpec().node})
    assert found.control_planes == (("10.0.0.11", 6443), ("10.0.0.12", 6443))
    assert found.version == "v1.37.1"
    assert render.load(found.kubelet_config) == {"kind": "KubeletConfiguration"}


def slice_of(*addresses: str) -> Object:
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": "kubernetes", "namespace": "default"},
        "endpoints": [{"addresses": [address]} for address in addresses],
        "ports": [{"name": "https", "port": 6443}],
    }


def test_a_cluster_of_somebody_elses_making() -> None:
    with pytest.raises(errors.Unreachable) as caught:
        facts.read(FakeApi(), b"")
    assert caught.value.reason == "KB_NOT_KUBEBOOT"


@pytest.mark.parametrize("text", ["kind: Cluster\nfuture: 1", "[1]", "a: [", "port: x"])
def test_a_config_that_is_not_understood(text: str) -> None:
    obj = configmaps.kubeboot_config(ClusterSpec(), WHERE)
    api = FakeApi({**obj, "data": {configmaps.KUBEBOOT_KEY: text}})
    api.put(configmaps.kubelet_config({"a": 1}))
    with pytest.raises(errors.ConfigInvalid, match="does not understand ConfigMap kubeboot-config"):
        facts.read(api, b"")
