"""The plans that change who is a control plane: their order, and what they do to the cluster's records."""

from __future__ import annotations

import dataclasses

import pytest

from kubeboot import errors, render
from kubeboot.config.node import NodeSettings
from kubeboot.config.spec import ClusterSpec
from kubeboot.engine import plan as plans
from kubeboot.engine.plan import Plan
from kubeboot.engine.step import Drift, Ok, View
from kubeboot.engine.undo import RemovePath
from kubeboot.engine.values import Values
from kubeboot.kube import configmaps, surroundings
from kubeboot.kube.api import Api
from kubeboot.kube.deferred import Deferred
from kubeboot.kube.facts import ClusterFacts
from kubeboot.pki import sealed
from kubeboot.plan import join_control_plane, remove, reset
from kubeboot.steps.leaving import EndpointElsewhere, NoNode
from tests.fakes import cluster as clusters
from tests.fakes import tls
from tests.fakes.api import FakeApi
from tests.fakes.host import FakeHost
from tests.fakes.source import FakeSource

NODE = NodeSettings("cp-2", "192.0.2.12", "control_plane")
OTHERS = (("192.0.2.11", 6443), ("192.0.2.13", 6443))
CA = tls.authority().certificate


def facts(endpoint: str) -> tuple[ClusterSpec, ClusterFacts]:
    spec = ClusterSpec(control_plane_endpoint=endpoint)
    config = render.dump({"kind": "KubeletConfiguration"})
    return spec, ClusterFacts(CA, spec, config, OTHERS, "v1.37.1")


def joining(endpoint: str = "192.0.2.11:8443") -> Plan:
    spec, cluster = facts(endpoint)
    given = dict.fromkeys(sealed.FILES.values(), b"x")
    return join_control_plane.plan(spec, NODE, FakeSource(), cluster, given)


def before(plan: Plan, step: str) -> set[str]:
    """Everything that must be done before a step, near or far."""
    edges, found, ahead = plans.edges(plan), set(), [n for n in plans.edges(plan) if n[1] == step]
    while ahead:
        for n in edges[ahead.pop()] - found:
            found.add(n)
            ahead.append(n)
    return {name for _, name in found}


def test_etcd_is_told_when_little_can_go_wrong_and_the_api_server_comes_last() -> None:
    plan = joining()
    told = before(plan, "etcd/learner")
    assert {
        "images/etcd",
        "runtime/service",
        "pki/etcd-peer",
        "kubelet/binary",
        "load-balancer/servers",
    } <= told
    assert "kubelet/service" not in told
    assert {"etcd/learner", "etcd/manifest", "etcd/promoted", "kubelet/service"} <= before(
        plan, "control-plane/kube-apiserver"
    )
    assert "control-plane/ready" in before(plan, "control-plane/kube-scheduler")
    assert "etcd/serves" not in before(plan, "control-plane/kube-apiserver")


def test_the_node_waits_for_its_pods_images_and_etcd_does_not() -> None:
    """Its kubelet registers it as soon as haproxy is there to lead to the other API servers."""
    plan = joining()
    images = {"images/kube-proxy", "images/flannel", "images/coredns"}
    assert images <= before(plan, "load-balancer/manifest")
    assert not images & before(plan, "kubelet/service")
    assert "load-balancer/manifest" not in before(plan, "etcd/promoted")


def test_a_further_control_plane_has_no_super_admin_and_makes_no_cluster_objects() -> None:
    steps = {step.id for step in joining().steps}
    assert "kubeconfig/admin" in steps and "kubeconfig/super-admin" not in steps
    made = {s for s in steps if s.split("/")[0] in ("cluster", "network", "proxy", "dns", "token")}
    assert made == {"dns/spread"}


@pytest.mark.parametrize(
    ("endpoint", "used"),
    [
        ("192.0.2.11:8443", "192.0.2.12:8443"),
        ("192.0.2.13:443", "192.0.2.12:443"),
        ("k8s.example.org:8443", "k8s.example.org:8443"),
        ("192.0.2.100:8443", "192.0.2.100:8443"),
    ],
)
def test_administrators_do_not_depend_on_another_control_plane(endpoint: str, used: str) -> None:
    spec, cluster = facts(endpoint)
    assert join_control_plane.control_plane_endpoint(spec, NODE, cluster) == used


def test_nor_on_one_that_is_dead() -> None:
    spec, cluster = facts("192.0.2.19:8443")
    dead = dataclasses.replace(cluster, silent=frozenset({"192.0.2.19"}))
    assert join_control_plane.control_plane_endpoint(spec, NODE, dead) == "192.0.2.12:8443"


def test_a_dead_one_is_known_by_its_node() -> None:
    peers = [
        surroundings.Machine(name, addresses=(f"192.0.2.1{number}",), control_plane=name.startswith("cp"))
        for number, name in enumerate(("cp-1", "cp-2", "worker-1"), 1)
    ]
    cluster = ClusterFacts(CA, ClusterSpec(), "", (("192.0.2.12", 6443),), "v1.37.1")
    assert surroundings.heard(cluster, peers).silent == {"192.0.2.11"}


def test_its_haproxy_knows_every_control_plane_and_itself_once() -> None:
    spec, cluster = facts("192.0.2.11:8443")
    again = ClusterFacts(CA, spec, "", (*OTHERS, ("192.0.2.12", 6443)), "v1.37.1")
    for known in (cluster, again):
        found = join_control_plane.backends(spec, NODE, known)
        assert sorted(address for _, address, _ in found) == ["192.0.2.11", "192.0.2.12", "192.0.2.13"]
        assert found[0][0] == "cp-2"


UNDO = (("a/b", RemovePath("/etc/a")),)
LEAVE = remove.steps("leave", remove.Going("cp-2", ("192.0.2.12",), "192.0.2.11", CA))


def test_nothing_is_taken_back_before_etcd_is_left() -> None:
    requires = plans.requirements(reset.plan("cp-2", UNDO, leave=LEAVE))
    ours = [n for n in requires if n[0] == "cp-2"]
    assert ours and all(("@cluster", "leave/etcd") in requires[n] for n in ours)


def test_the_node_is_forgotten_once_the_api_bears_fewer_members() -> None:
    def nobody() -> Api:
        raise errors.Unreachable("nobody answers")

    settled = LEAVE[0].settle
    assert settled is not None and LEAVE[1].after == {"leave/etcd"}
    assert LEAVE[3].after == {"leave/endpoint", "leave/servers"} and LEAVE[3].id == "leave/node"
    assert settled.look(View(FakeHost(), Deferred(nobody)), Values()) == "nobody answers"
    assert settled.look(View(FakeHost(), FakeApi()), Values()) is None


def test_by_force_it_is_tried_first_and_does_not_matter() -> None:
    plan = reset.plan("cp-2", UNDO, leave=LEAVE, force=True)
    requires, order = plans.requirements(plan), plans.edges(plan)
    for n in requires:
        if n[0] == "cp-2":
            assert ("@cluster", "leave/etcd") not in requires[n]
            assert ("@cluster", "leave/etcd") in order[n]


def test_a_worker_has_nothing_to_leave() -> None:
    assert all(step.on == "w-1" for step in reset.plan("w-1", UNDO).steps)


def api(endpoint: str) -> FakeApi:
    spec = ClusterSpec()
    return FakeApi(
        configmaps.kubeadm_config(spec, endpoint),
        configmaps.kubeboot_config(spec, endpoint),
        configmaps.cluster_info(CA, endpoint),
        clusters.a_node(),
    )


def moving(*gone: str) -> EndpointElsewhere:
    return EndpointElsewhere(
        id="x/endpoint", title="", on="@cluster", gone=gone, to="192.0.2.12", authority=CA
    )


def test_the_endpoint_moves_with_all_its_records_when_its_machine_goes() -> None:
    found = api("192.0.2.11:8443")
    step, do = moving("192.0.2.11"), clusters.on(found)
    assert isinstance(step.check(do.see, Values()), Drift)
    step.apply(do, Values())
    assert step.check(do.see, Values()) == Ok()
    texts = [str(obj["data"]) for obj in found.snapshot().values() if obj["kind"] == "ConfigMap"]
    assert len(texts) == 3
    assert all("192.0.2.12:8443" in text and "192.0.2.11" not in text for text in texts)


@pytest.mark.parametrize("endpoint", ["k8s.example.org:8443", "192.0.2.13:8443"])
def test_an_endpoint_that_stays_is_left_alone(endpoint: str) -> None:
    assert moving("192.0.2.11").check(clusters.on(api(endpoint)).see, Values()) == Ok()


def test_the_node_is_deleted_once() -> None:
    found = api("k8s.example.org:8443")
    step = NoNode(id="x/node", title="", on="@cluster", node="cp-1")
    assert isinstance(step.check(clusters.on(found).see, Values()), Drift)
    step.apply(clusters.on(found), Values())
    step.apply(clusters.on(found), Values())
    assert step.check(clusters.on(found).see, Values()) == Ok()
