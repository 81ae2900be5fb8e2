"""What every machine of a cluster needs, whatever its role."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from kubeboot.artifacts.api import Source
from kubeboot.config.node import NodeSettings
from kubeboot.config.spec import ClusterSpec
from kubeboot.engine.step import CLUSTER, Step
from kubeboot.steps import artifacts, images, kernel, registries, runtime, service_route, trees

IMAGES = {
    "etcd/manifest": "images/etcd",
    "control-plane/kube-apiserver": "images/kube-apiserver",
    "control-plane/kube-controller-manager": "images/kube-controller-manager",
    "control-plane/kube-scheduler": "images/kube-scheduler",
    "load-balancer/manifest": "images/haproxy",
    "proxy/daemonset-kube-proxy": "images/kube-proxy",
    "network/daemonset-kube-flannel-ds": "images/flannel",
    "dns/deployment-coredns": "images/coredns",
}
"""What a pod is made of: without it the kubelet would go to a registry, and back off."""


def steps(spec: ClusterSpec, node: NodeSettings, source: Source, cpus: int) -> tuple[Step, ...]:
    """Directories, verified artifacts, kernel settings, containerd, images."""
    catalog = source.catalog()
    return (
        *trees.steps(node.name),
        *artifacts.steps(node, catalog, source),
        *kernel.steps(spec, node, cpus),
        *service_route.steps(spec, node),
        *runtime.steps(node, catalog, source),
        *registries.steps(spec, node),
        *images.steps(node, catalog, source),
    )


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
