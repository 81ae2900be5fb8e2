"""Address ranges: those of pods and services against what this machine and the cluster use already."""

from __future__ import annotations

import ipaddress
import itertools
from collections.abc import Callable, Iterable

from kubeboot.pki import endpoint
from kubeboot.steps import service_route
from kubeboot.steps.preflight.model import Finding, Scene

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

OURS = ("cni0", "flannel.1", "flannel-v6.1", "lo")
NODE_BITS = {4: 24, 6: 64}
"""kube-controller-manager gives each node one of these."""
FEW = 4
HALVES = 1
"""Bits of the two routes by which a VPN replaces the default route, and leaves more special ones alone."""


def overlap(scene: Scene) -> Iterable[Finding]:
    """Pods, services and this machine's networks must not overlap."""
    own = [
        (nic.name, ipaddress.ip_interface(address).network)
        for nic in scene.facts.nics
        if nic.name not in OURS
        for address in nic.addresses
    ]
    for (what, net), (name, other) in itertools.product(_ranges(scene), own):
        if net.overlaps(other):
            yield Finding(
                "CIDROverlap",
                f"the range for {what}, {net}, overlaps with {name}'s network {other}",
                _fix(what),
            )


def routes(scene: Scene) -> Iterable[Finding]:
    """Networks behind this machine's gateways; /proc/net/route has addresses in the machine's byte order."""
    connected = {ipaddress.ip_interface(a).network for nic in scene.facts.nics for a in nic.addresses}
    connected |= {ipaddress.ip_network(r) for r in service_route.ranges(scene.spec, scene.node)}
    for device, other in _routes(scene):
        for what, net in _ranges(scene):
            if other not in connected and other.prefixlen > HALVES and net.overlaps(other):
                yield Finding(
                    "RouteOverlap",
                    f"the range for {what}, {net}, overlaps with the route to {other} by {device}",
                    f"{_fix(what)}; or ip route delete {other}",
                )


def _routes(scene: Scene) -> Iterable[tuple[str, Network]]:
    for line in scene.text("/proc/net/route").splitlines()[1:]:
        words = line.split()
        if len(words) > 7 and words[0] not in OURS:
            yield words[0], ipaddress.ip_network(f"{_address(words[1])}/{_address(words[7])}", strict=False)
    for line in scene.text("/proc/net/ipv6_route").splitlines():
        words = line.split()
        if len(words) > 9 and words[9] not in OURS:
            yield words[9], ipaddress.IPv6Network((bytes.fromhex(words[0]), int(words[1], 16)), strict=False)


def _address(word: str) -> ipaddress.IPv4Address:
    return ipaddress.IPv4Address(bytes.fromhex(word)[::-1])


def resolvers(scene: Scene) -> Iterable[Finding]:
    for server, (what, net) in itertools.product(scene.facts.nameservers, _ranges(scene)):
        if _inside(server, net):
            yield Finding(
                "ResolverOverlap",
                f"the name server {server} is in the range for {what}, {net}: pods could not reach it",
                _fix(what),
            )


def node_address(scene: Scene) -> Iterable[Finding]:
    for what, net in _ranges(scene):
        for host, port in scene.cluster.control_planes if scene.cluster else ():
            if _inside(host, net):
                yield Finding(
                    "PeerOverlap",
                    f"the control plane {endpoint.join(host, port)} is in the range for {what}, {net}",
                    "choose ranges that do not overlap the machines' own when you create the cluster",
                )


def capacity(scene: Scene) -> Iterable[Finding]:
    room = [_nodes(net) for what, net in _ranges(scene) if what == "pods"]
    taken = len({peer.name for peer in scene.cluster.peers} - {scene.node.name}) if scene.cluster else 0
    if room and scene.cluster is not None and taken >= min(room):
        yield Finding(
            "CIDRFull",
            f"the range for pods, {scene.spec.networking.pod_subnet}, is enough for {min(room)} nodes, "
            f"and there are {taken}",
            "remove nodes that are gone: kubectl delete node NAME",
        )
    elif room and min(room) < max(FEW, 2 * scene.planned) and not scene.spec.single:
        to_come = f", and there are to be {scene.planned}" if scene.planned > 1 else ""
        yield Finding(
            "CIDRCapacity",
            f"the range for pods, {scene.spec.networking.pod_subnet}, is enough for {min(room)} nodes"
            f"{to_come}",
            "choose a larger one with --pod-network-cidr, such as 10.244.0.0/16",
            "warning" if min(room) >= scene.planned else "error",
        )


def _nodes(net: Network) -> int:
    bits = NODE_BITS[net.version] - net.prefixlen
    return 2 ** min(bits, 62) if bits >= 0 else 0


def _ranges(scene: Scene) -> list[tuple[str, Network]]:
    networking = scene.spec.networking
    given = (("pods", networking.pod_subnet), ("services", networking.service_subnet))
    return [(what, ipaddress.ip_network(part.strip())) for what, text in given for part in text.split(",")]


def _inside(address: str, net: Network) -> bool:
    try:
        return ipaddress.ip_address(address.split("%")[0]) in net
    except ValueError:
        return False


def _fix(what: str) -> str:
    return f"choose another with --{'pod-network' if what == 'pods' else 'service'}-cidr"


CHECKS: tuple[Callable[[Scene], Iterable[Finding]], ...] = (
    overlap,
    routes,
    resolvers,
    node_address,
    capacity,
)
