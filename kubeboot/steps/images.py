"""The cluster's images, in containerd before the kubelet asks for them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from kubeboot.artifacts.api import Catalog, Image, Source
from kubeboot.config.node import NodeSettings, Role
from kubeboot.engine.step import Slot, Step
from kubeboot.steps import artifacts, basic, runtime

CONTROL_PLANE = (
    "pause",
    "etcd",
    "kube-apiserver",
    "haproxy",
    "kube-controller-manager",
    "kube-scheduler",
    "kube-proxy",
    "flannel",
    "coredns",
)
WORKER = ("pause", "haproxy", "kube-proxy", "flannel", "coredns")
LOOK = "images/look"
EXTRA = ("httpd",)
"""Imported where the source has it, and left to the kubelet's collection: nothing of the cluster's."""

LANES = 2
"""Imports at a time. All at once, the first that is needed is ready last: 8.3 s instead of 3.7 s."""
BYTES_PER_SECOND = 100e6


def wanted(role: Role, catalog: Catalog) -> tuple[Image, ...]:
    """What a machine of this role runs; KeyError for an image that the source must have and has not."""
    needed = WORKER if role == "worker" else CONTROL_PLANE
    extra = (image for image in catalog.images if image.component in EXTRA)
    return (*(catalog.image(component) for component in needed), *extra)


def steps(node: NodeSettings, catalog: Catalog, source: Source) -> tuple[Step, ...]:
    """One look, and one step an image: what follows each of them decides which comes first in its lane."""
    found = wanted(node.role, catalog)
    lane = lanes(found)
    look = basic.LookForImages(
        id=LOOK, title="Look which images are there", on=node.name, after=frozenset({runtime.SERVICE})
    )
    made = tuple(
        basic.EnsureImage(
            id=f"images/{image.component}",
            title=f"Import {image.name}",
            on=node.name,
            after=frozenset({LOOK, artifacts.VERIFIED}),
            holds=frozenset({lane[image.component]}),
            cost=_seconds(image),
            image=image,
            source=source,
            pinned=image.component not in EXTRA,
        )
        for image in found
    )
    return (look, *made)


def lanes(found: Iterable[Image]) -> Mapping[str, Slot]:
    """Each component's lane: one after the other into the emptier one."""
    load = dict.fromkeys((Slot("host", f"import-{number}") for number in range(1, LANES + 1)), 0.0)
    lane: dict[str, Slot] = {}
    for image in found:
        lane[image.component] = emptiest = min(load, key=lambda slot: load[slot])
        load[emptiest] += _seconds(image)
    return lane


def _seconds(image: Image) -> float:
    return 0.1 + image.size / BYTES_PER_SECOND
