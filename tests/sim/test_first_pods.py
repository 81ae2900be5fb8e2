"""What lets the first machine's pods start before flannel runs."""

from __future__ import annotations

import dataclasses

import pytest

from kubeboot.config.node import NodeSettings
from kubeboot.config.spec import ClusterSpec
from kubeboot.engine.plan import edges
from kubeboot.engine.step import Later, Ok, Step, Target, View
from kubeboot.engine.values import Values
from kubeboot.plan import init
from kubeboot.steps import basic, first_pods
from tests.fakes.api import FakeApi
from tests.fakes.cluster import a_node
from tests.fakes.entries import File
from tests.fakes.host import FakeHost
from tests.fakes.source import FakeSource
from tests.sim import contract

NODE = NodeSettings("cp-1", "192.0.2.11", "control_plane", interface="eth1")
SPEC = ClusterSpec()
MTU = "/sys/class/net/eth1/mtu"


def opened(spec: ClusterSpec = SPEC, node: NodeSettings = NODE) -> list[Step]:
    return [step for step in first_pods.steps(spec, node) if not isinstance(step, basic.Await)]


def machine(mtu: bytes | None = b"1500\n") -> FakeHost:
    host = FakeHost("cp-1")
    host.mkdir("/run/flannel")
    host.mkdir("/etc/cni/net.d")
    if mtu is not None:
        host.files[MTU] = File(mtu)
    return host


def api() -> FakeApi:
    return FakeApi({**a_node(), "spec": {"podCIDR": "10.244.7.0/24"}})


@pytest.mark.parametrize(("mtu", "left"), [(b"1500\n", 1450), (b"9000\n", 8950), (None, 1450), (b"?", 1450)])
def test_the_file_is_the_one_that_flannel_writes(mtu: bytes | None, left: int) -> None:
    host = machine(mtu)
    [step] = opened()
    contract.converges(step, host, api=api())
    assert host.read(first_pods.SUBNET) == (
        b"FLANNEL_NETWORK=10.244.0.0/16\n"
        b"FLANNEL_SUBNET=10.244.7.1/24\n"
        b"FLANNEL_MTU=%d\n"
        b"FLANNEL_IPMASQ=true\n" % left
    )
    stat = host.stat(first_pods.LINK)
    assert stat is not None and stat.target == first_pods.CONFIG
    assert b"portmap" in (host.read(first_pods.CONFIG) or b"")


def test_pods_do_not_start_before_kube_proxy() -> None:
    [step] = opened()
    assert "proxy/ready" in step.after


def test_what_flannel_has_written_stays() -> None:
    host, [step] = machine(), opened()
    host.write(first_pods.SUBNET, b"FLANNEL_MTU=1400\n")
    step.apply(Target(host, api()), Values())
    assert host.read(first_pods.SUBNET) == b"FLANNEL_MTU=1400\n"
    assert step.check(View(host, api()), Values()) == Ok()


@pytest.mark.parametrize("cluster", [FakeApi(), FakeApi(a_node())])
def test_without_a_range_it_is_too_early(cluster: FakeApi) -> None:
    [step] = opened()
    assert isinstance(step.check(View(machine(), cluster), Values()), Later)
    cluster.unavailable = "refused"
    assert isinstance(step.check(View(machine(), cluster), Values()), Later)


@pytest.mark.parametrize("subnet", ["fd00::/48", "10.244.0.0/16,fd00::/48"])
def test_elsewhere_flannel_s_own_word_is_waited_for(subnet: str) -> None:
    spec = SPEC.model_copy(update={"networking": SPEC.networking.model_copy(update={"pod_subnet": subnet})})
    assert opened(spec) == []
    assert opened(SPEC, dataclasses.replace(NODE, interface="")) == []
    assert [step.id for step in first_pods.steps(spec, NODE)] == ["proxy/ready", "network/ready"]


def test_the_kubelet_finds_its_manifests_when_it_starts() -> None:
    """Without the directory it looks again only 20 seconds later."""
    node = dataclasses.replace(NODE, nameservers=())
    order = edges(init.plan(SPEC, node, FakeSource(), ()))
    before = {step_id for _, step_id in order["cp-1", "kubelet/service"]}
    assert {"etcd/manifest", "control-plane/kube-apiserver"} <= before
    sandbox = {step_id for _, step_id in order["cp-1", "etcd/manifest"]}
    assert {"images/pause", "images/etcd"} <= sandbox
