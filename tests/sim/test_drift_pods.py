"""Files of static pods that somebody changed: what may have read them is started anew, as a dry run says."""

from __future__ import annotations

import dataclasses

import pytest

from kubeboot.config import effective
from kubeboot.config.components import Audit
from kubeboot.config.node import NodeSettings
from kubeboot.config.spec import ClusterSpec, LoadBalancer, VirtualIp
from kubeboot.engine.plan import Plan
from kubeboot.engine.step import Step
from kubeboot.steps import api_server_files, control_plane, virtual_ip
from kubeboot.steps.pod_manifest import EnsureStaticPod
from kubeboot.steps.static_pod import MANIFESTS
from tests.fakes.source import FakeSource
from tests.fakes.world import World
from tests.sim.drift_support import announced, look, rerun

POLICY = Audit(policy={"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "rules": [{"level": "Metadata"}]})
NODE = NodeSettings("cp-1", "192.0.2.11", "control_plane", interface="eth0")


def files_and_pod(kind: str, policy: Audit = POLICY, router: int = 7) -> Plan:
    """A file that a static pod reads at its start, and the pod."""
    if kind == "keepalived":
        virtual = VirtualIp(address="192.0.2.100", router_id=router)
        spec = ClusterSpec(load_balancer=LoadBalancer(virtual_ip=virtual))
        found = virtual_ip.steps(spec, NODE, FakeSource().catalog())[:2]
    else:
        spec = ClusterSpec(audit=policy)
        found = (*api_server_files.steps(spec, NODE), api_server(spec))
    known = {step.id for step in found}
    return Plan("init", "", tuple(dataclasses.replace(s, after=s.after & known) for s in found), {})


def api_server(spec: ClusterSpec) -> Step:
    made = control_plane.steps(spec, NODE, FakeSource().catalog())
    [step] = [s for s in made if s.id == "control-plane/kube-apiserver"]
    assert isinstance(step, EnsureStaticPod)
    return dataclasses.replace(step, pod=dataclasses.replace(step.pod, inputs=(effective.AUDIT_POLICY,)))


FILES = {"keepalived": virtual_ip.CONFIG, "kube-apiserver": effective.AUDIT_POLICY}


@pytest.mark.parametrize("kind", FILES)
@pytest.mark.parametrize("kill", ["", "between"])
def test_a_pod_that_may_have_read_what_somebody_wrote_is_started_anew(kind: str, kill: str) -> None:
    world, plan = World("cp-1"), files_and_pod(kind)
    host = world.host
    config, manifest = FILES[kind], f"{MANIFESTS}/{kind}.yaml"
    rerun(world, plan)
    assert look(world, plan) == {}
    good, seen = host.read(config), [host.read(manifest)]
    for text in (b"# by hand\n", b"# once more\n"):
        host.write(config, text)
        said = look(world, plan)
        assert announced(said) == {plan.steps[-1].id}
        if kill:
            host.fail_at(config)
            with pytest.raises(AssertionError):
                rerun(world, plan)
            host.faults.clear()
        done = rerun(world, plan)
        assert set(done) >= {plan.steps[-1].id} and host.read(config) == good
        assert host.read(manifest) not in seen, "another manifest than ever: the kubelet cannot miss it"
        seen.append(host.read(manifest))
        assert look(world, plan) == {}


@pytest.mark.parametrize("kind", FILES)
def test_another_description_is_announced_with_the_restart_that_it_brings(kind: str) -> None:
    world = World("cp-1")
    rerun(world, files_and_pod(kind))
    other = files_and_pod(kind, Audit(policy={**POLICY.policy, "omitStages": ["RequestReceived"]}), 8)
    assert announced(look(world, other)) == {other.steps[-1].id}
    before = world.host.read(f"{MANIFESTS}/{kind}.yaml")
    rerun(world, other)
    assert world.host.read(f"{MANIFESTS}/{kind}.yaml") != before and look(world, other) == {}
