"""The machines of a cluster and its clock, as far as whoever asks may know of them."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from kubeboot.kube.api import ApiUnavailable, ApiView, Object
from kubeboot.kube.facts import ClusterFacts

CONTROL_PLANE = "node-role.kubernetes.io/control-plane"


class Timed(ApiView, Protocol):
    """An API server that tells the time too."""

    def clock(self) -> float | None: ...


@dataclasses.dataclass(frozen=True)
class Machine:
    """What a Node says of the machine that it is."""

    name: str
    machine_id: str = ""
    product_uuid: str = ""
    addresses: tuple[str, ...] = ()
    control_plane: bool = False


def machines(api: ApiView) -> tuple[Machine, ...]:
    """Every Node; none where one may not ask, as with a join token in a cluster of kubeadm's."""
    try:
        return tuple(_machine(node) for node in api.list("v1", "Node"))
    except ApiUnavailable:
        return ()


def heard(cluster: ClusterFacts, peers: Iterable[Machine]) -> ClusterFacts:
    """With the addresses of the control planes whose API servers are not among those that live."""
    known = {address for peer in peers if peer.control_plane for address in peer.addresses}
    silent = frozenset(known - {address for address, _ in cluster.control_planes})
    return dataclasses.replace(cluster, silent=silent)


def addresses(node: Object) -> tuple[str, ...]:
    """A Node's addresses in the cluster's network."""
    listed = (node.get("status") or {}).get("addresses") or ()
    return tuple(str(entry["address"]) for entry in listed if entry.get("type") == "InternalIP")


def _machine(node: Object) -> Machine:
    status: Mapping[str, Any] = node.get("status") or {}
    info = status.get("nodeInfo") or {}
    return Machine(
        name=node["metadata"]["name"],
        machine_id=info.get("machineID", ""),
        product_uuid=info.get("systemUUID", ""),
        addresses=addresses(node),
        control_plane=CONTROL_PLANE in (node["metadata"].get("labels") or {}),
    )


def ahead(api: Timed) -> float | None:
    """By how many seconds this machine's clock is ahead of the server's, to about one second."""
    began = time.time()
    theirs = api.clock()
    if theirs is None:
        return None
    return (began + time.time()) / 2 - (theirs + 0.5)
