"""`kubeboot init`: a machine becomes the first control plane of a new cluster."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from types import MappingProxyType

from kubeboot import render
from kubeboot.artifacts.api import Source
from kubeboot.config import balancing
from kubeboot.config.node import NodeSettings
from kubeboot.config.spec import ClusterSpec
from kubeboot.engine.plan import Plan
from kubeboot.engine.step import Step
from kubeboot.plan import machine
from kubeboot.plan.machine import ids
from kubeboot.steps import (
    certificates,
    cluster,
    control_plane,
    dns,
    encryption,
    etcd,
    first_pods,
    foreign_nodes,
    kubeconfigs,
    kubelet,
    load_balancer,
    network,
    node_api,
    proxy,
    virtual_ip,
)
from kubeboot.steps import node as marks
from kubeboot.steps.etcd import external as external_etcd
from kubeboot.steps.kubelet import settings as kubelet_config

MANIFESTS = frozenset({"control-plane/kube-apiserver"})
"""What is there before the kubelet starts: one that finds no manifests looks again only 20 s later, and waits
longer and longer for an API server that is not there."""
IN_KUBE_SYSTEM = ("control-plane/ready", "cluster/namespace-kube-system")
"""An API server says that it is ready before it has made its namespaces."""


def _behind_api(steps: tuple[Step, ...]) -> Iterator[Step]:
    """A static pod that is there before the API gets its mirror pod at the kubelet's next resync only."""
    for step in steps:
        late = frozenset({control_plane.READY} if step.id == load_balancer.MANIFEST else ())
        yield dataclasses.replace(step, after=step.after | late)


SCHEDULER = "control-plane/kube-scheduler"
NOT_BEFORE: Mapping[str, frozenset[str]] = {
    "node/ready": frozenset(
        {SCHEDULER, "control-plane/kube-controller-manager", "@cluster:network/daemonset-kube-flannel-ds"}
    ),
    "proxy/ready": frozenset({SCHEDULER}),
    "network/ready": frozenset({SCHEDULER}),
    "dns/answers": frozenset({SCHEDULER}),
}
"""What must have been done for a wait to end. Where it failed, for want of an image say, nobody waits."""


def _not_in_vain(steps: tuple[Step, ...]) -> Iterator[Step]:
    for step in steps:
        yield dataclasses.replace(step, after=step.after | NOT_BEFORE.get(step.id, frozenset()))


def control_plane_endpoint(spec: ClusterSpec, node: NodeSettings) -> str:
    """What the user gave or the virtual address; else this machine's haproxy."""
    return balancing.control_plane_endpoint(spec, node.address)


def plan(
    spec: ClusterSpec,
    node: NodeSettings,
    source: Source,
    token: tuple[Step, ...],
    given: Mapping[str, bytes] = MappingProxyType({}),
) -> Plan:
    """Everything from an empty machine to a DNS answer. `token` are the steps of steps.tokens.

    `given`: the files by which an etcd elsewhere is reached, if they are to be installed.
    """
    catalog = source.catalog()
    where = control_plane_endpoint(spec, node)
    shared = kubelet_config.kubelet_config(spec)
    pod_network = node_api.steps(spec, node)
    backends = ((node.name, node.address, spec.api_server.bind_port),)
    before = ids(pod_network) | MANIFESTS | etcd.manifest(spec)
    host: tuple[Step, ...] = (
        *machine.steps(spec, node, source),
        *certificates.init_steps(spec, node),
        *encryption.steps(spec, node),
        *external_etcd.steps(spec, node, given),
        *kubeconfigs.init_steps(spec, node, balancing.administrators(spec, node.address)),
        *etcd.steps(spec, node, catalog),
        *control_plane.steps(spec, node, catalog),
        *_behind_api(load_balancer.steps(spec, node, backends, catalog)),
        *virtual_ip.steps(spec, node, catalog),
        *pod_network,
        *kubelet.steps(spec, node, catalog, source, render.dump(shared), before),
        *dns.steps(spec, node, catalog, after=IN_KUBE_SYSTEM),
        *proxy.steps(spec, catalog, after=IN_KUBE_SYSTEM),
        *network.steps(spec, node, catalog),
        *foreign_nodes.steps(spec, node, catalog, after=IN_KUBE_SYSTEM),
        *first_pods.steps(spec, node),
        *cluster.steps(spec, where, shared),
        *marks.steps(spec, node),
        *token,
    )
    title = (
        f"{spec.cluster_name}: first control plane {node.name} ({node.address}), {spec.kubernetes_version}"
    )
    return Plan("init", title, machine.in_order(_not_in_vain(host)), {node.name: node.role})
