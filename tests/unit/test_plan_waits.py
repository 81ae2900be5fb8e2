"""Nobody waits for minutes for what cannot come: a wait is after every step that it hangs on."""

from __future__ import annotations

import pytest

from kubeboot.config.node import NodeSettings
from kubeboot.config.spec import ClusterSpec
from kubeboot.engine import plan as plans
from kubeboot.engine.plan import Node, Plan
from kubeboot.plan import init
from tests.fakes.source import FakeSource

NODE = NodeSettings("cp-1", "192.0.2.11", "control_plane")


def above(plan: Plan, step: str) -> set[str]:
    """The steps without whose success this one is not come to."""
    needs = plans.requirements(plan)
    found: set[Node] = set()
    ahead = [node for node in needs if node[1] == step]
    while ahead:
        new = needs[ahead.pop()] - found
        found |= new
        ahead += new
    return {name for _, name in found}


@pytest.mark.parametrize(
    ("wait", "without"),
    [
        ("node/ready", {"images/coredns", "images/haproxy", "images/httpd", "images/kube-proxy"}),
        ("network/ready", {"images/coredns", "images/haproxy", "images/httpd", "images/kube-proxy"}),
        ("proxy/ready", {"images/coredns", "images/flannel", "images/haproxy", "images/httpd"}),
        ("dns/answers", {"images/haproxy", "images/httpd"}),
    ],
)
def test_a_wait_is_after_the_images_that_it_hangs_on(wait: str, without: set[str]) -> None:
    plan = init.plan(ClusterSpec(), NODE, FakeSource(), ())
    images = {step.id for step in plan.steps if step.id.startswith("images/")}
    assert images - above(plan, wait) == without


def test_a_connection_lost_in_an_import_is_made_again_at_once() -> None:
    """The waits are skipped with what they wait for, so that the run ends, and `up` goes on from there."""
    plan = init.plan(ClusterSpec(), NODE, FakeSource(), ())
    long = [step.id for step in plan.steps if step.settle is not None and step.settle.deadline > 60]
    hang = {"images/etcd", "images/kube-apiserver", "images/pause"}
    assert all(hang <= above(plan, step) for step in long if step != "etcd/ready"), long
