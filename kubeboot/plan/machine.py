"""What every machine of a cluster needs, whatever its role."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence

from kubeboot.artifacts.api import Catalog, Source
from kubeboot.config.node import NodeSettings
from kubeboot.config.spec import ClusterSpec
from kubeboot.engine.step import CLUSTER, Ref, Step
from kubeboot.steps import (
    artifacts,
    firewall,
    images,
    kernel,
    load_balancer,
    node_api,
    registries,
    runtime,
    service_route,
    trees,
    virtual_ip,
)
from kubeboot.steps.haproxy import Backend

IMAGES = {
    "etcd/manifest": "images/etcd",
    "control-plane/kube-apiserver": "images/kube-apiserver",
    "control-plane/kube-controller-manager": "images/kube-controller-manager",
    "control-plane/kube-scheduler": "images/kube-scheduler",
    "load-balancer/manifest": "images/haproxy",
    "virtual-ip/manifest": "images/keepalived",
    "proxy/daemonset-kube-proxy": "images/kube-proxy",
    "network/daemonset-kube-flannel-ds": "images/flannel",
    "dns/deployment-coredns": "images/coredns",
}
"""What a pod is made of: without it the kubelet would go to a registry, and back off."""


def steps(spec: ClusterSpec, node: NodeSettings, source: Source) -> tuple[Step, ...]:
    """Directories, verified artifacts, kernel settings, containerd, images."""
    catalog = source.catalog()
    return (
        *trees.steps(node.name),
        *artifacts.steps(node, catalog, source),
        *kernel.steps(spec, node),
        *service_route.steps(spec, node),
        *firewall.steps(spec, node),
        *runtime.steps(node, catalog, source),
        *registries.steps(spec, node),
        *images.steps(spec, node, catalog, source),
    )


def ids(steps: Iterable[Step]) -> frozenset[Ref]:
    """What to name in order to come after these."""
    return frozenset(step.id for step in steps)


def balanced(
    spec: ClusterSpec, node: NodeSettings, backends: Sequence[Backend], catalog: Catalog
) -> tuple[tuple[Step, ...], frozenset[Ref]]:
    """How a machine that joins reaches the API, and what of it must be there before its kubelet starts."""
    haproxy = load_balancer.steps(spec, node, backends, catalog)
    pod_network = node_api.steps(spec, node)
    first = ids(pod_network) | (ids(haproxy) & {load_balancer.MANIFEST})
    return (*haproxy, *virtual_ip.steps(spec, node, catalog), *pod_network), first


def in_order(steps: Iterable[Step]) -> tuple[Step, ...]:
    """Nothing before the directories that reset will empty are journalled; no pod before its image."""
    made = tuple(steps)
    known = {step.id for step in made}
    return tuple(dataclasses.replace(step, after=step.after | _before(step, known)) for step in made)


def _before(step: Step, known: set[str]) -> frozenset[str]:
    image = IMAGES.get(step.id, "")
    trees_first = step.on != CLUSTER and not step.id.startswith("trees/")
    sandbox = "images/pause" if image else ""
    return frozenset({"trees/"} if trees_first else ()) | frozenset({image, sandbox} & known)
