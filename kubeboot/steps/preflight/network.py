"""Ports, address ranges, firewalls, names."""

from __future__ import annotations

import ipaddress
import itertools
from collections.abc import Callable, Iterable

from kubeboot.host.api import Listener
from kubeboot.steps.preflight.model import Finding, Scene

PORTS = {
    "control_plane": {
        6443: "kube-apiserver", 2379: "etcd", 2380: "etcd", 2381: "etcd", 10250: "kubelet",
        10248: "kubelet", 10257: "kube-controller", 10259: "kube-scheduler", 8443: "haproxy", 8444: "haproxy",
    },
    "worker": {10250: "kubelet", 10248: "kubelet", 8443: "haproxy", 8444: "haproxy"},
}  # fmt: skip
FIREWALLS = ("firewalld.service", "ufw.service")


def ports(scene: Scene) -> Iterable[Finding]:
    """A port that is held by the process that will hold it anyway, on a machine of ours, is no finding."""
    held = {listener.port: listener for listener in scene.see.listeners() if listener.protocol == "tcp"}
    for port, owner in PORTS[scene.node.role].items():
        holder = held.get(_configured(scene, port))
        if holder is not None and not (scene.touched and holder.process.startswith(owner[:15])):
            yield _port_finding(holder, owner)


def _configured(scene: Scene, port: int) -> int:
    balancer = scene.spec.load_balancer.port
    moved = {6443: scene.spec.api_server.bind_port, 8443: balancer, 8444: balancer + 1}
    return moved.get(port, port)


def _port_finding(holder: Listener, owner: str) -> Finding:
    return Finding(
        f"Port-{holder.port}",
        f"port {holder.port} is needed for {owner} and held by {holder.process or 'another process'}"
        f"{f' (pid {holder.pid})' if holder.pid else ''} on {holder.address}",
        f"stop it: systemctl status {holder.pid}" if holder.pid else f"see ss -ltnp sport = :{holder.port}",
    )


def ranges(scene: Scene) -> Iterable[Finding]:
    """Pods, services, this machine's networks and resolvers must not overlap."""
    networks = [("pods", net) for net in _networks(scene.spec.networking.pod_subnet)]
    networks += [("services", net) for net in _networks(scene.spec.networking.service_subnet)]
    own = [
        (nic.name, ipaddress.ip_interface(address).network)
        for nic in scene.facts.nics
        if nic.name not in ("cni0", "flannel.1")
        for address in nic.addresses
    ]
    for (what, net), (name, other) in itertools.product(networks, own):
        if net.version == other.version and net.overlaps(other):
            yield Finding(
                "CIDROverlap",
                f"the range for {what}, {net}, overlaps with {name}'s network {other}",
                f"choose another with --{'pod-network' if what == 'pods' else 'service'}-cidr",
            )


def _networks(text: str) -> list[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    return [ipaddress.ip_network(part.strip()) for part in text.split(",")]


def firewalls(scene: Scene) -> Iterable[Finding]:
    for unit in FIREWALLS:
        if scene.see.unit(unit).active == "active":
            wanted = " ".join(str(port) for port in PORTS[scene.node.role])
            yield Finding(
                f"Firewall-{unit.split('.')[0]}",
                f"{unit} is active; the cluster needs TCP {wanted}, UDP 8472 and forwarding for pods",
                f"open them, or systemctl disable --now {unit}",
                "warning",
            )


def name_resolves(scene: Scene) -> Iterable[Finding]:
    if all(ns.startswith("127.") or ns == "::1" for ns in scene.facts.nameservers) and scene.node.nameservers:
        yield Finding(
            "Resolver",
            f"/etc/resolv.conf names only {', '.join(scene.facts.nameservers) or 'no name server'}, "
            "which pods cannot use: they will resolve the cluster's own names only",
            "put a name server that other machines can reach into /etc/resolv.conf",
            "warning",
        )


def address(scene: Scene) -> Iterable[Finding]:
    if not scene.node.interface:
        yield Finding(
            "NodeAddress",
            f"no interface of this machine has the address {scene.node.address}",
            "give one that `ip address` lists with --apiserver-advertise-address",
        )


CHECKS: tuple[Callable[[Scene], Iterable[Finding]], ...] = (ports, ranges, firewalls, name_resolves, address)
