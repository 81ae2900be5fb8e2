"""Ports, addresses, links."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable, Mapping

from kubeboot.config import balancing
from kubeboot.host.model import Listener
from kubeboot.steps import firewall
from kubeboot.steps.preflight import configured
from kubeboot.steps.preflight.model import Finding, Scene

PORTS = {
    "control_plane": {
        6443: "kube-apiserver", 2379: "etcd", 2380: "etcd", 2381: "etcd", 10250: "kubelet",
        10248: "kubelet", 10257: "kube-controller", 10259: "kube-scheduler", 8443: "haproxy", 8444: "haproxy",
        10249: "kube-proxy", 10256: "kube-proxy",
    },
    "worker": {
        10250: "kubelet", 10248: "kubelet", 8443: "haproxy", 8444: "haproxy",
        10249: "kube-proxy", 10256: "kube-proxy",
    },
    "etcd": {2379: "etcd", 2380: "etcd", 2381: "etcd", 10248: "kubelet"},
    "load_balancer": {10248: "kubelet", 8443: "haproxy", 8444: "haproxy"},
}  # fmt: skip
MIN_MTU = 1280
NAT = ("10.0.2.0/24", "192.168.121.0/24", "192.168.122.0/24")
NM = "NetworkManager.service"
NM_DIRS = ("/etc/NetworkManager/conf.d", "/run/NetworkManager/conf.d", "/usr/lib/NetworkManager/conf.d")
CLOUD_SETUP = frozenset({"nm-cloud-setup.timer", "nm-cloud-setup.service"})


def ports(scene: Scene) -> Iterable[Finding]:
    """A port that is held by the process that will hold it anyway, on a machine of ours, is no finding."""
    held = {listener.port: listener for listener in scene.see.listeners() if listener.protocol == "tcp"}
    for port, owner in needed(scene).items():
        holder = held.get(_configured(scene, port))
        if holder is not None and not (scene.touched and holder.process.startswith(owner[:15])):
            yield _port_finding(holder, owner)


def needed(scene: Scene) -> Mapping[int, str]:
    """Whose each port is on this machine."""
    runs = {"etcd": scene.runs_etcd, "haproxy": balancing.runs_haproxy(scene.spec, scene.node.role)}
    return {port: owner for port, owner in PORTS[scene.node.role].items() if runs.get(owner, True)}


def _configured(scene: Scene, port: int) -> int:
    balancer = scene.spec.load_balancer.port
    moved = {6443: scene.spec.api_server.bind_port, 8443: balancer, 8444: balancer + 1}
    return moved.get(port, port)


def _port_finding(holder: Listener, owner: str) -> Finding:
    return Finding(
        f"Port-{holder.port}",
        f"port {holder.port} is needed for {owner} and held by {holder.process or 'another process'}"
        f"{f' (pid {holder.pid})' if holder.pid else ''} on {holder.address}",
        f"systemctl status {holder.pid} names its unit: systemctl disable --now UNIT; or kill {holder.pid}"
        if holder.pid
        else f"stop what ss -ltnp sport = :{holder.port} names",
    )


def vxlan_port(scene: Scene) -> Iterable[Finding]:
    held = [x for x in scene.see.listeners() if x.protocol == "udp" and x.port == firewall.VXLAN]
    if held and (held[0].pid or not scene.touched):
        yield Finding(
            f"Port-{firewall.VXLAN}",
            f"UDP {firewall.VXLAN} is needed for flannel "
            f"and held by {held[0].process or 'another VXLAN link'}",
            "ip -d link show type vxlan; ip link delete the one left over from another network",
        )


def nm(scene: Scene) -> Iterable[Finding]:
    """NetworkManager takes over links that it does not know, and takes their addresses away."""
    active = scene.see.active_units()
    if NM in active and not _unmanaged(scene):
        yield Finding(
            "NetworkManager",
            "NetworkManager would manage the pods' links (cni0, flannel.1, veth*)",
            f"printf '[keyfile]\\nunmanaged-devices=interface-name:cni*;interface-name:flannel*;"
            f"interface-name:veth*\\n' > {NM_DIRS[0]}/kubeboot.conf; systemctl reload NetworkManager",
            "warning",
        )
    if (active | configured.enabled(scene)) & CLOUD_SETUP:
        yield Finding(
            "NMCloudSetup",
            "nm-cloud-setup runs, or starts at the next boot: it deletes the pods' routes every few minutes",
            "systemctl disable --now nm-cloud-setup.timer nm-cloud-setup.service; reboot",
        )


def _unmanaged(scene: Scene) -> bool:
    files = (f"{folder}/{name}" for folder in NM_DIRS for name in scene.see.listdir(folder))
    texts = [scene.text("/etc/NetworkManager/NetworkManager.conf"), *map(scene.text, files)]
    said = re.compile(r"^\s*unmanaged-devices.*(cni|flannel)", re.MULTILINE)
    return any(map(said.search, texts))


def address(scene: Scene) -> Iterable[Finding]:
    if not scene.node.interface:
        yield Finding(
            "NodeAddress",
            f"no interface of this machine has the address {scene.node.address}",
            "give one that `ip address` lists with --apiserver-advertise-address",
        )
    ip = ipaddress.ip_address(scene.node.address)
    if ip.is_loopback or ip.is_link_local or ip.is_unspecified or ip.is_multicast:
        yield Finding(
            "NodeAddressScope",
            f"{ip} means something else on every machine, so no other machine can reach this one by it",
            "give the address by which other machines reach this one: --apiserver-advertise-address",
        )
    elif any(ip in ipaddress.ip_network(net) for net in NAT) and len(_real(scene)) > 1:
        yield Finding(
            "NodeAddressNAT",
            f"{ip} looks like the hypervisor's NAT, which every machine sees as its own",
            f"give another with --apiserver-advertise-address: {', '.join(_real(scene))}",
            "warning",
        )


def _real(scene: Scene) -> list[str]:
    return [
        a.split("/")[0] for nic in scene.facts.nics for a in nic.addresses if nic.name.startswith(("e", "w"))
    ]


def links(scene: Scene) -> Iterable[Finding]:
    found = {link.name: link for link in scene.see.links()}
    own, loopback = found.get(scene.node.interface), found.get("lo")
    if loopback is not None and not (loopback.up and any(a.startswith("127.") for a in loopback.addresses)):
        yield Finding("LoopbackDown", "lo is down, and the control plane talks over it", "ip link set lo up")
    if own is not None and not own.up:
        yield Finding(
            "LinkDown", f"{own.name}, which has {scene.node.address}, is down", f"ip link set {own.name} up"
        )
    if own is not None and 0 < own.mtu < MIN_MTU:
        yield Finding(
            "MTU",
            f"{own.name} has an MTU of {own.mtu}; pods get 50 bytes less, and IPv6 wants {MIN_MTU}",
            f"ip link set {own.name} mtu 1500 (and where it is configured)",
            "warning",
        )


def ipv6(scene: Scene) -> Iterable[Finding]:
    wanted = (
        ":" in f"{scene.node.address}{scene.spec.networking.pod_subnet}{scene.spec.networking.service_subnet}"
    )
    if wanted and scene.see.sysctl("net.ipv6.conf.all.disable_ipv6") in (None, "1"):
        yield Finding(
            "IPv6Disabled",
            "the cluster uses IPv6, which is switched off in this kernel",
            "sysctl -w net.ipv6.conf.all.disable_ipv6=0, and boot without ipv6.disable=1",
        )


CHECKS: tuple[Callable[[Scene], Iterable[Finding]], ...] = (
    ports, vxlan_port, nm, address, links, ipv6,
)  # fmt: skip
