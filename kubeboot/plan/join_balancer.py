"""`kubeboot join --role lb`: a machine becomes a balancer before the API servers, and no Node."""

from __future__ import annotations

from kubeboot.artifacts.api import Source
from kubeboot.config.node import NodeSettings
from kubeboot.config.spec import ClusterSpec
from kubeboot.engine.plan import Plan
from kubeboot.engine.step import Step
from kubeboot.kube.facts import ClusterFacts
from kubeboot.plan import join, machine
from kubeboot.steps import artifacts, balancer_access, basic, certificates, load_balancer, virtual_ip
from kubeboot.steps.kubelet import standalone
from kubeboot.steps.load_balancer import MANIFEST

SERVES = "load-balancer/serves"


def plan(spec: ClusterSpec, node: NodeSettings, source: Source, cluster: ClusterFacts) -> Plan:
    """Everything from an empty machine to an API server's answer through it."""
    catalog = source.catalog()
    steps: tuple[Step, ...] = (
        *machine.steps(spec, node, source),
        *certificates.worker_steps(node, cluster.authority),
        *balancer_access.steps(spec, node, cluster.authority),
        *load_balancer.steps(spec, node, join.backends(cluster), catalog),
        *virtual_ip.steps(spec, node, catalog),
        artifacts.binary("kubelet/kubectl", node, catalog, source, "kubectl"),
        *standalone.steps(node, catalog, source, after=frozenset({MANIFEST, "images/"})),
        basic.Await(
            id=SERVES,
            title="Wait for an API server's answer through haproxy",
            on=node.name,
            after=frozenset({"kubelet/service"}),
            condition=load_balancer.Serves("127.0.0.1", spec.load_balancer.port),
            cost=3.0,
        ),
    )
    title = f"{spec.cluster_name}: balancer {node.name} ({node.address}), {spec.kubernetes_version}"
    return Plan("join", title, machine.in_order(steps), {node.name: node.role})
