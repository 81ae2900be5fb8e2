"""What the spec and a machine's facts together decide about it: its name, address, resolver, quirks."""

from __future__ import annotations

import dataclasses
import ipaddress
import re

from kubeboot import errors
from kubeboot.config import balancing, effective
from kubeboot.config.node import NodeSettings, Role
from kubeboot.config.spec import ClusterSpec
from kubeboot.host.facts import Facts, Nic, is_loopback

OWN_RESOLV_CONF = "/etc/kubernetes/resolv.conf"
RESOLVED_RESOLV_CONF = "/run/systemd/resolve/resolv.conf"
CONTROL_PLANE_TAINT = ("node-role.kubernetes.io/control-plane", "", "NoSchedule")

_NAT_RANGES = {
    "10.0.2.0/24": "VirtualBox's and QEMU's user network",
    "192.168.121.0/24": "vagrant-libvirt's management network",
    "192.168.122.0/24": "libvirt's default NAT network",
}
_VIRTUAL = re.compile(r"^(lo|docker\d+|br-[0-9a-f]+|veth.*|cni\d*|flannel\..*|virbr\d+|kube-.*)$")
_NAME = re.compile(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$")


def settings(
    spec: ClusterSpec, facts: Facts, role: Role, address: str | None = None, timeout_scale: float = 1.0
) -> NodeSettings:
    """Decide everything about one machine. `address` is the one that reaches the cluster, when joining."""
    chosen = spec.node.advertise_address or _own(spec, facts, address) or _default(spec, facts)
    resolv_conf, nameservers = resolver(facts, chosen)
    return NodeSettings(
        name=node_name(spec.node.name or facts.hostname),
        address=chosen,
        role=role,
        interface=next((nic.name for nic in facts.nics if chosen in _hosts(nic)), ""),
        default_route=bool(facts.default_source),
        cpus=facts.cpus,
        resolv_conf=resolv_conf,
        nameservers=nameservers,
        cgroup_v2=facts.cgroup_v2,
        may_lower_oom_score=facts.may_lower_oom_score,
        labels=tuple(sorted(spec.node.labels.items())),
        taints=_taints(spec, role),
        local_balancer=balancing.runs_haproxy(spec, role),
        proxy_variables=effective.proxy_variables(spec, chosen),
        kubelet_arguments=tuple((a.name, a.value) for a in spec.node.kubelet_extra_args),
        timeout_scale=timeout_scale,
    )


def _own(spec: ClusterSpec, facts: Facts, address: str | None) -> str | None:
    """The address that it keeps, where it reaches the cluster by the one that moves."""
    if address is None or address != balancing.virtual_address(spec):
        return address
    here = next((_hosts(nic) for nic in facts.nics if address in _hosts(nic)), ())
    return next((host for host in here if host != address), None)


def _default(spec: ClusterSpec, facts: Facts) -> str:
    """Among the addresses that are not the cluster's own: a pod network that was left behind has such."""
    texts = f"{spec.networking.pod_subnet},{spec.networking.service_subnet}".split(",")
    own = [ipaddress.ip_network(text.strip()) for text in texts]
    nics = (nic for nic in facts.nics if not any(_within(nic, network) for network in own))
    return default_address(dataclasses.replace(facts, nics=tuple(nics)))


def _within(nic: Nic, network: ipaddress.IPv4Network | ipaddress.IPv6Network) -> bool:
    return any(ipaddress.ip_address(host) in network for host in _hosts(nic))


def node_name(wanted: str) -> str:
    """A valid Node name: lower case, RFC 1123; ConfigInvalid with a suggestion otherwise."""
    name = wanted.lower()
    if _NAME.match(name) and len(name) <= 253:
        return name
    better = re.sub(r"[^a-z0-9.]+", "-", name).strip("-.") or "node-1"
    raise errors.ConfigInvalid(
        f"{wanted!r} cannot be a node's name: only lower-case letters, digits, `-` and `.` can",
        hint=f"give one with --node-name {better}",
        reason="KB_NODE_NAME",
    )


def default_address(facts: Facts) -> str:
    """The default route's source address; without one, or with a hypervisor's NAT, the plain one."""
    nat = _nat(facts.default_source) if facts.default_source else None
    if facts.default_source and nat is None:
        return facts.default_source
    others = _candidates(facts, facts.default_nic)
    plain = [each for each in others if _nat(each[1]) is None] or others
    if len(plain) == 1:
        return plain[0][1]
    if not facts.default_source:
        raise _ambiguous("this machine has no default route", others)
    if not others:
        return facts.default_source
    raise _ambiguous(f"the default route goes out by {facts.default_source}, {nat}", others)


def _ambiguous(why: str, candidates: tuple[tuple[str, str], ...]) -> errors.PreflightFailed:
    listed = ", ".join(f"{address} ({name})" for name, address in candidates) or "none"
    first = next((a for _, a in candidates if _nat(a) is None), "ADDRESS")
    return errors.PreflightFailed(
        f"{why}: by which address do the other machines reach this one? candidates: {listed}",
        hint=f"give it with --apiserver-advertise-address {first}",
        reason="KB_NODE_ADDRESS",
    )


def _candidates(facts: Facts, without: str) -> tuple[tuple[str, str], ...]:
    real = (nic for nic in facts.nics if nic.name != without and not _VIRTUAL.match(nic.name))
    return tuple((nic.name, host) for nic in real for host in _hosts(nic)[:1])


def _hosts(nic: Nic) -> tuple[str, ...]:
    """An interface's addresses, IPv4 before IPv6."""
    found = [ipaddress.ip_interface(a).ip for a in nic.addresses]
    return tuple(str(ip) for ip in sorted(found, key=lambda ip: ip.version))


def _nat(address: str) -> str | None:
    ip = ipaddress.ip_address(address)
    return next((name for net, name in _NAT_RANGES.items() if ip in ipaddress.ip_network(net)), None)


def resolver(facts: Facts, address: str) -> tuple[str, tuple[str, ...]]:
    """The file that pods' DNS is taken from, and the name servers to write into it when it is our own.

    A loopback name server would make CoreDNS ask itself. With no other known, names outside the cluster
    are asked of the machine's own address, where nothing listens: they fail at once instead of looping.
    """
    if facts.nameservers and not any(is_loopback(n) for n in facts.nameservers):
        return "/etc/resolv.conf", ()
    if any(not is_loopback(n) for n in facts.resolved_nameservers):
        return RESOLVED_RESOLV_CONF, ()
    usable = tuple(n for n in facts.nameservers if not is_loopback(n))
    return OWN_RESOLV_CONF, usable or (address,)


def _taints(spec: ClusterSpec, role: Role) -> tuple[tuple[str, str, str], ...]:
    if spec.node.taints is not None:
        return tuple((t.key, t.value, t.effect) for t in spec.node.taints)
    return (CONTROL_PLANE_TAINT,) if role == "control_plane" and not spec.single else ()
