"""`kubeboot join --control-plane`: a machine becomes one more control plane of a cluster that is there."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping

from kubeboot.artifacts.api import Source
from kubeboot.config import balancing
from kubeboot.config.node import NodeSettings
from kubeboot.config.spec import ClusterSpec
from kubeboot.engine.plan import Plan
from kubeboot.engine.step import Ref, Step
from kubeboot.kube.facts import ClusterFacts
from kubeboot.pki import endpoint
from kubeboot.plan import join, machine
from kubeboot.steps import (
    certificates,
    control_plane,
    encryption,
    foreign_nodes,
    kubeconfigs,
    kubelet,
    shared_keys,
)
from kubeboot.steps import node as marks
from kubeboot.steps.dns import spread as dns_spread
from kubeboot.steps.etcd import external as external_etcd
from kubeboot.steps.etcd import join as etcd_join
from kubeboot.steps.haproxy import Backend
from kubeboot.steps.load_balancer import MANIFEST

BEFORE_NODE = frozenset({"images/"})
"""Pods come the moment that the Node is registered, and their images must be there by then.

That is, when the kubelet reaches an API server: by haproxy one of the others, else the one that starts here.
"""
BEFORE_ETCD = frozenset(
    {"images/etcd", "images/pause", "runtime/", "kernel/", "kubeconfig/", "kubelet/binary", "kubelet/flags",
     "kubelet/inputs", "kubelet/client-certificate"}
)  # fmt: skip
"""What can fail on this machine alone has not failed when etcd is told of it."""
WAY_BACK = frozenset({"load-balancer/servers"})
"""Where haproxy is, by them a reset finds the others again and tells etcd that a learner will not come."""


def control_plane_endpoint(spec: ClusterSpec, node: NodeSettings, cluster: ClusterFacts) -> str:
    """What this machine's administrators use: its own haproxy where the cluster has no name of its own.

    The address of another control plane would be one that can die, or is dead already.
    """
    host, port = endpoint.split(balancing.administrators(spec, node.address), balancing.default_port(spec))
    if host in cluster.silent | {address for address, _ in cluster.control_planes}:
        host = node.address
    return endpoint.join(host, port)


def backends(spec: ClusterSpec, node: NodeSettings, cluster: ClusterFacts) -> tuple[Backend, ...]:
    """Every control plane that is known, and this one, which is not in the cluster's list yet."""
    own = (node.name, node.address, spec.api_server.bind_port)
    others = (backend for backend in join.backends(cluster) if backend[1:] != own[1:])
    return (own, *others)


def plan(
    spec: ClusterSpec,
    node: NodeSettings,
    source: Source,
    cluster: ClusterFacts,
    given: Mapping[str, bytes],
) -> Plan:
    """Everything from an empty machine to a voter of etcd and an API server. `given`: what is shared."""
    catalog = source.catalog()
    where = control_plane_endpoint(spec, node, cluster)
    balancer, first = machine.balanced(spec, node, backends(spec, node, cluster), catalog)
    before_kubelet = (first - {MANIFEST}) | etcd_join.before_kubelet(spec)
    steps: tuple[Step, ...] = (
        *machine.steps(spec, node, source),
        *shared_keys.steps(node.name, given),
        *encryption.steps(spec, node, given),
        *certificates.leaves(spec, node),
        *kubeconfigs.join_steps(spec, node, where),
        *external_etcd.steps(spec, node, given),
        *etcd_join.steps(spec, node, catalog, BEFORE_ETCD | (machine.ids(balancer) & WAY_BACK)),
        *_at_last(spec, control_plane.steps(spec, node, catalog)),
        *_before_node(balancer),
        *kubelet.steps(spec, node, catalog, source, cluster.kubelet_config, before_kubelet),
        *marks.steps(spec, node),
        *foreign_nodes.server_steps(spec, node),
        dns_spread.step("node/ready"),
    )
    title = f"{spec.cluster_name}: control plane {node.name} ({node.address}), {spec.kubernetes_version}"
    return Plan("join", title, machine.in_order(steps), {node.name: node.role})


def _before_node(balancer: tuple[Step, ...]) -> Iterator[Step]:
    """haproxy after the images of the Node's first pods; the kubelet, which starts etcd, before either."""
    for step in balancer:
        images = BEFORE_NODE if step.id == MANIFEST else frozenset[Ref]()
        yield dataclasses.replace(step, after=step.after | images)


def _at_last(spec: ClusterSpec, steps: tuple[Step, ...]) -> Iterator[Step]:
    """The API server after etcd's vote, a learner answers almost nothing; it waits by itself for etcd's port.

    It finds all rights in etcd: what uses it waits until it is ready.
    """
    vote = frozenset({etcd_join.PROMOTED} if spec.etcd.external is None else ())
    for step in steps:
        if step.id == "control-plane/kube-apiserver":
            yield dataclasses.replace(step, after=step.after | BEFORE_NODE | vote)
        elif control_plane.RIGHTS in step.after:
            yield dataclasses.replace(step, after=step.after | {control_plane.READY})
        else:
            yield step
