"""`kubeboot join`: a machine becomes a worker of a cluster that is there."""

from __future__ import annotations

from kubeboot.artifacts.api import Source
from kubeboot.config.node import NodeSettings
from kubeboot.config.spec import ClusterSpec
from kubeboot.engine.plan import Plan
from kubeboot.engine.step import Step
from kubeboot.kube.facts import ClusterFacts
from kubeboot.plan import machine
from kubeboot.steps import certificates, kubelet
from kubeboot.steps import node as marks
from kubeboot.steps.haproxy import Backend
from kubeboot.steps.kubelet import kubeconfig as kubelet_conf
from kubeboot.steps.kubelet import requested

BEFORE_KUBELET = frozenset({"images/"})
"""Pods come the moment that the Node is registered: their images must be there."""


def cluster_spec(here: ClusterSpec, cluster: ClusterFacts) -> ClusterSpec:
    """What the cluster says it is, with what is particular to this machine."""
    own = {"artifacts": here.artifacts, "node": here.node}
    said = {name: getattr(here, name) for name in ("patches", "containerd", "open_firewall")}
    given = {name: value for name, value in said.items() if value != type(value)()}
    return cluster.spec.model_copy(update={**own, **given})


def backends(cluster: ClusterFacts) -> tuple[Backend, ...]:
    """The API servers that the cluster knows, named by their address."""
    return tuple((f"api-{address}", address, port) for address, port in cluster.control_planes)


def plan(spec: ClusterSpec, node: NodeSettings, source: Source, cluster: ClusterFacts) -> Plan:
    """Everything from an empty machine to a Ready node. `spec` is that of `cluster_spec`."""
    catalog = source.catalog()
    balancer, first = machine.balanced(spec, node, backends(cluster), catalog)
    steps: tuple[Step, ...] = (
        *machine.steps(spec, node, source),
        *certificates.worker_steps(node, cluster.authority),
        *requested.worker_steps(spec, node, cluster.authority),
        kubelet_conf.worker_step(spec, node, cluster.authority),
        *balancer,
        *kubelet.steps(spec, node, catalog, source, cluster.kubelet_config, BEFORE_KUBELET | first),
        *marks.worker_steps(node),
    )
    title = f"{spec.cluster_name}: worker {node.name} ({node.address}), {spec.kubernetes_version}"
    return Plan("join", title, machine.in_order(steps), {node.name: node.role})
