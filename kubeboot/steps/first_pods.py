"""The first machine's pods, before flannel runs: what flannel will write, written as soon as it is known.

A bridge and addresses are all that pods on one machine need, and the first machine has no other to reach.
flannel would say the same a second later: it looks once a second whether its own cache is filled. Its pod has
to be Ready all the same before init is done. Pods do not start before kube-proxy does: CoreDNS would ask for
the API where nobody answers yet, and ask again only one, then two seconds later.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import posixpath
from collections.abc import Sequence
from typing import Any

from kubeboot import render
from kubeboot.config.node import NodeSettings
from kubeboot.config.spec import ClusterSpec
from kubeboot.engine.step import Check, Drift, Later, Ok, Step, Target, View
from kubeboot.engine.undo import Undo
from kubeboot.engine.values import Values
from kubeboot.kube.api import ApiUnavailable
from kubeboot.steps import basic, conditions, paths

SUBNET = "/run/flannel/subnet.env"
CONFIG = "/run/flannel/10-flannel.conflist"
LINK = "/etc/cni/net.d/10-flannel.conflist"
VXLAN = 50
"""Bytes of a packet that flannel's VXLAN needs for itself."""
FALLBACK_MTU = 1500


@dataclasses.dataclass(frozen=True, kw_only=True)
class OpenPodNetwork(Step):
    """flannel's subnet file and CNI config are there. Whatever flannel has written is right."""

    node: str
    interface: str
    network: str

    def check(self, see: View, vals: Values) -> Check:
        if see.host.stat(SUBNET) is not None and see.host.stat(LINK) is not None:
            return Ok()
        if self._range(see) is None:
            return Later(f"{self.node}'s range of pod addresses")
        return Drift(f"create {SUBNET} and {LINK}", "create")

    def undo(self, see: View) -> Sequence[Undo]:
        return tuple(undo for path in (SUBNET, CONFIG, LINK) for undo in paths.undo(see, path))

    def apply(self, do: Target, vals: Values) -> None:
        """The link last, and by a rename: it is what containerd waits for."""
        found = self._range(do.see)
        if found is None:
            return
        if do.host.stat(SUBNET) is None:
            do.host.write(SUBNET, subnet(self.network, found, self._mtu(do.see)).encode(), 0o644)
        do.host.write(CONFIG, render.template("flannel/cni-conf.json").encode(), 0o644)
        do.host.symlink(LINK, CONFIG)

    def _range(self, see: View) -> str | None:
        try:
            node: dict[str, Any] = dict(see.api.get("v1", "Node", self.node) or {})
        except ApiUnavailable:
            return None
        found = node.get("spec", {}).get("podCIDR")
        return str(found) if found else None

    def _mtu(self, see: View) -> int:
        said = see.host.read(f"/sys/class/net/{posixpath.basename(self.interface)}/mtu") or b""
        return (int(said) if said.strip().isdigit() else FALLBACK_MTU) - VXLAN


def subnet(network: str, pod_range: str, mtu: int) -> str:
    """The file as flannel writes it."""
    own = ipaddress.ip_network(pod_range)
    lines = (
        f"FLANNEL_NETWORK={network}",
        f"FLANNEL_SUBNET={own[1]}/{own.prefixlen}",
        f"FLANNEL_MTU={mtu}",
        "FLANNEL_IPMASQ=true",
    )
    return "".join(f"{line}\n" for line in lines)


def steps(spec: ClusterSpec, node: NodeSettings) -> tuple[Step, ...]:
    """For IPv4 alone, and where the interface is known; else flannel's own word is waited for."""
    ready = basic.Await(
        id="network/ready",
        title=f"Wait for flannel on {node.name}",
        on=node.name,
        after=frozenset({"@cluster:network/daemonset-kube-flannel-ds"}),
        condition=conditions.PodReadyOn(node.name, "kube-flannel", "app=flannel"),
        cost=3.0,
    )
    proxy = basic.Await(
        id="proxy/ready",
        title=f"Wait for kube-proxy on {node.name}",
        on=node.name,
        after=frozenset({"@cluster:proxy/daemonset-kube-proxy"}),
        condition=conditions.PodReadyOn(node.name, "kube-system", "k8s-app=kube-proxy"),
        cost=2.0,
    )
    subnets = [part.strip() for part in spec.networking.pod_subnet.split(",")]
    if len(subnets) != 1 or ":" in subnets[0] or not node.interface:
        return (proxy, ready)
    opened = OpenPodNetwork(
        id="network/first-pods",
        title="Let pods start before flannel runs",
        on=node.name,
        after=frozenset({"@cluster:network/pod-cidr", "proxy/ready"}),
        node=node.name,
        interface=node.interface,
        network=str(ipaddress.ip_network(subnets[0])),
    )
    return (proxy, opened, ready)
