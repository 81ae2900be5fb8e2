"""The balancer that is not kubeboot's, and the address that moves between machines."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Iterable

from kubeboot.config import balancing
from kubeboot.pki import endpoint
from kubeboot.steps.preflight.model import Finding, Level, Scene

WITHIN = 1.0
"""Seconds; long enough for a neighbour to say that it is there."""
_ARP = "/proc/net/arp"
_COMPLETE = 0x2


def leads(scene: Scene) -> Iterable[Finding]:
    """Whether the endpoint is found from here, where kubelets go by it. Before init it need not answer."""
    spec, role = scene.spec, scene.node.role
    if balancing.runs_haproxy(spec, "worker") or role == "load_balancer":
        return
    where = balancing.control_plane_endpoint(spec, scene.node.address)
    host, port = endpoint.split(where, balancing.default_port(spec))
    why, unknown = _dial(scene, host, port)
    level: Level = "error" if scene.cluster is not None and role == "worker" else "warning"
    if why and (unknown or scene.cluster is not None):
        yield Finding(
            "EndpointUnknown" if unknown else "EndpointUnreachable",
            f"the cluster's endpoint {where} {why}, and machines that join will use it",
            f"see `getent hosts {host}`"
            if unknown
            else f"check that the balancer at {where} runs, and that TCP is open",
            level,
        )


def _dial(scene: Scene, host: str, port: int) -> tuple[str, bool]:
    """What is wrong, and whether that is the name."""
    try:
        scene.see.dial(host, port, WITHIN).close()
    except socket.gaierror:
        return "is a name that does not resolve here", True
    except TimeoutError:
        return "does not answer", False
    except OSError as error:
        return f"cannot be reached: {(error.strerror or str(error)).lower()}", False
    return "", False


def virtual_place(scene: Scene) -> Iterable[Finding]:
    """The address must be one that this machine can have, beside its own."""
    virtual, own = _virtual(scene), scene.node.address
    if not virtual:
        return
    if virtual == own:
        yield Finding(
            "VirtualIPOwn",
            f"the virtual address {virtual} is this machine's own",
            "give loadBalancer.virtualIP.address an address that no machine has",
        )
    elif not _together(scene, virtual):
        yield Finding(
            "VirtualIPNetwork",
            f"the virtual address {virtual} is not in the network of {own} on {scene.node.interface or '?'}",
            "give loadBalancer.virtualIP.address one that is, or this machine another address with "
            "--apiserver-advertise-address",
        )
    found = scene.spec.load_balancer.virtual_ip
    if found and found.peers and own not in found.peers:
        yield Finding(
            "VirtualIPPeers",
            f"{own} is not one of loadBalancer.virtualIP.peers, {', '.join(found.peers)}: the others would "
            "not hear this machine, and two machines would hold the address",
            "name every machine before the cluster is made, or no peers where the network has multicast",
        )


def virtual_taken(scene: Scene) -> Iterable[Finding]:
    """Before there is a cluster nobody may have it: a neighbour who does answers ARP, whatever it filters."""
    virtual = _virtual(scene)
    if not virtual or scene.touched or scene.cluster is not None or not _together(scene, virtual):
        return
    why, _ = _dial(scene, virtual, scene.spec.load_balancer.port)
    mac = _neighbour(scene, virtual)
    if mac or not why:
        yield Finding(
            "VirtualIPTaken",
            f"the virtual address {virtual} is already in use{f', of {mac}' if mac else ''}",
            "give loadBalancer.virtualIP.address an address that is free",
        )


def _virtual(scene: Scene) -> str:
    here = balancing.runs_keepalived(scene.spec, scene.node.role)
    return balancing.virtual_address(scene.spec) if here else ""


def _together(scene: Scene, virtual: str) -> bool:
    nics = (nic for nic in scene.facts.nics if nic.name == scene.node.interface)
    networks = [ipaddress.ip_interface(address) for nic in nics for address in nic.addresses]
    own = [each.network for each in networks if str(each.ip) == scene.node.address]
    return any(ipaddress.ip_address(virtual) in network for network in own)


def _neighbour(scene: Scene, address: str) -> str:
    rows = (line.split() for line in scene.text(_ARP).splitlines()[1:])
    return next((row[3] for row in rows if row[0] == address and int(row[2], 16) & _COMPLETE), "")


CHECKS: tuple[Callable[[Scene], Iterable[Finding]], ...] = (leads, virtual_place, virtual_taken)
