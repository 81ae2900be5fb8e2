"""The cluster's images, in containerd before the kubelet asks for them."""

from __future__ import annotations

from kubeboot.artifacts.api import Catalog, Image, Source
from kubeboot.config.node import NodeSettings, Role
from kubeboot.engine.step import Slot, Step
from kubeboot.steps import artifacts, basic, runtime

WORKER = ("pause", "kube-proxy", "flannel", "haproxy", "coredns")
CONTROL_PLANE = (*WORKER, "etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")
BYTES_PER_SECOND = 50e6
IMPORT = Slot("host", "image-import", room=2)
"""All at once they share the disk, and the API server's comes last with the others; two keep it busy."""
EXTRA = ("httpd",)
"""Imported where the source has it, and left to the kubelet's collection: nothing of the cluster's."""


def wanted(role: Role, catalog: Catalog) -> tuple[Image, ...]:
    """What a machine of this role runs; KeyError for an image that the source must have and has not."""
    needed = WORKER if role == "worker" else CONTROL_PLANE
    extra = (image for image in catalog.images if image.component in EXTRA)
    return (*(catalog.image(component) for component in needed), *extra)


def steps(node: NodeSettings, catalog: Catalog, source: Source) -> tuple[Step, ...]:
    """One step an image: what follows each of them decides which comes first."""
    return tuple(
        basic.EnsureImage(
            id=f"images/{image.component}",
            title=f"Import {image.name}",
            on=node.name,
            after=frozenset({runtime.SERVICE, artifacts.VERIFIED}),
            holds=frozenset({IMPORT}),
            cost=0.1 + image.size / BYTES_PER_SECOND,
            image=image,
            source=source,
            pinned=image.component not in EXTRA,
        )
        for image in wanted(node.role, catalog)
    )
