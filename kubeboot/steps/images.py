"""The cluster's images, in containerd before the kubelet asks for them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from kubeboot import errors
from kubeboot.artifacts.api import Catalog, Image, Source
from kubeboot.config import balancing
from kubeboot.config.node import NodeSettings, Role
from kubeboot.config.spec import ClusterSpec
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
ETCD = ("pause", "etcd")
WORKER = ("pause", "haproxy", "kube-proxy", "flannel", "coredns")
LOOK = "images/look"
EXTRA = ("httpd",)
"""Imported where the source has it, and left to the kubelet's collection: nothing of the cluster's."""

LANES = 2
"""Imports at a time. All at once, the first that is needed is ready last: 8.3 s instead of 3.7 s."""
BYTES_PER_SECOND = 100e6


BALANCER = ("pause", "haproxy")

_BY_ROLE: Mapping[Role, tuple[str, ...]] = {
    "control_plane": CONTROL_PLANE,
    "worker": WORKER,
    "load_balancer": BALANCER,
    "etcd": ETCD,
}


def wanted(spec: ClusterSpec, role: Role, catalog: Catalog) -> tuple[Image, ...]:
    """What a machine of this role runs; KeyError for an image that the source must have and has not."""
    runs = {
        "haproxy": balancing.runs_haproxy(spec, role),
        "keepalived": balancing.runs_keepalived(spec, role),
        "etcd": role == "etcd" or spec.etcd.external is None,
    }
    needed = (name for name in (*_BY_ROLE[role], "keepalived") if runs.get(name, True))
    if runs["keepalived"] and "keepalived" not in {image.component for image in catalog.images}:
        raise errors.ConfigInvalid(
            "the source of binaries and images has no image of keepalived",
            hint="`kubeboot bundle create --config FILE`, with loadBalancer.virtualIP in FILE, includes it",
            reason="KB_ARTIFACT",
        )
    extra = (i for i in catalog.images if i.component in EXTRA and role in ("control_plane", "worker"))
    return (*(catalog.image(component) for component in needed), *extra)


def steps(spec: ClusterSpec, node: NodeSettings, catalog: Catalog, source: Source) -> tuple[Step, ...]:
    """One look, and one step an image: what follows each of them decides which comes first in its lane."""
    found = wanted(spec, node.role, catalog)
    lane = lanes(found)
    look = basic.LookForImages(
        id=LOOK, title="Look up which images are there", on=node.name, after=frozenset({runtime.SERVICE})
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
