"""Where the API is reached: what follows from the description about the balancer before the API servers."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping

from kubeboot.config.node import Role
from kubeboot.config.spec import ClusterSpec
from kubeboot.pki import endpoint

_ON: Mapping[str, frozenset[Role]] = {
    "local": frozenset({"control_plane", "worker"}),
    "machines": frozenset({"load_balancer"}),
    "external": frozenset(),
}


def runs_haproxy(spec: ClusterSpec, role: Role) -> bool:
    """Whether machines of this role have haproxy."""
    return role in _ON[spec.load_balancer.mode]


def runs_keepalived(spec: ClusterSpec, role: Role) -> bool:
    """Whether machines of this role may have the virtual address: haproxy must listen on it."""
    return spec.load_balancer.virtual_ip is not None and role != "worker" and runs_haproxy(spec, role)


def optional_images(spec: ClusterSpec) -> frozenset[str]:
    """What only some clusters are made of, and this one is."""
    return frozenset({"keepalived"} if spec.load_balancer.virtual_ip else ())


def default_port(spec: ClusterSpec) -> int:
    """The endpoint's where it names none: haproxy's, or the API servers' own before the user's balancer."""
    external = spec.load_balancer.mode == "external"
    return spec.api_server.bind_port if external else spec.load_balancer.port


def control_plane_endpoint(spec: ClusterSpec, address: str) -> str:
    """What the user gave, else the virtual address, else haproxy on the machine with this address."""
    host, port = endpoint.split(
        spec.control_plane_endpoint or virtual_address(spec) or address, default_port(spec)
    )
    return endpoint.join(host, port)


def administrators(spec: ClusterSpec, address: str) -> str:
    """What admin.conf on the control plane with this address names, before any balancer too."""
    if spec.load_balancer.mode == "machines":
        return endpoint.join(address, spec.api_server.bind_port)
    return control_plane_endpoint(spec, address)


def virtual_address(spec: ClusterSpec) -> str:
    """The address that moves; empty where there is none."""
    return spec.load_balancer.virtual_ip.address if spec.load_balancer.virtual_ip else ""


def router_id(spec: ClusterSpec) -> int:
    """The VRRP group's number: what is given, else one that differs for all addresses of a small network."""
    found = spec.load_balancer.virtual_ip
    if found is None or found.router_id is not None:
        return found.router_id or 0 if found else 0
    return int(ipaddress.ip_address(found.address)) % 255 + 1


def worker_server(spec: ClusterSpec) -> str:
    """By which URL a machine without an API server reaches one: its own haproxy, or the endpoint."""
    if runs_haproxy(spec, "worker"):
        return endpoint.url("127.0.0.1", spec.load_balancer.port)
    return f"https://{control_plane_endpoint(spec, '127.0.0.1')}"


def control_plane_servers(spec: ClusterSpec, own: str) -> tuple[str, ...]:
    """By which URLs a control plane's kubelet may go: that of its `own` API server, and its haproxy's.

    haproxy prefers that server too, and leads to another one while it is not ready.
    """
    haproxy = endpoint.url("127.0.0.1", spec.load_balancer.port)
    return (own, haproxy) if runs_haproxy(spec, "control_plane") else (own,)
