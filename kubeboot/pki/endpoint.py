"""Addresses as certificates and URLs write them."""

from __future__ import annotations

import ipaddress


def is_ip(host: str) -> bool:
    """Whether it is an address rather than a name."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def host_of(endpoint: str) -> str:
    """The host of "name:8443", "10.0.0.1", "[fd00::1]:8443" or "fd00::1"."""
    if endpoint.startswith("["):
        return endpoint[1:].partition("]")[0]
    if is_ip(endpoint):
        return endpoint
    return endpoint.rpartition(":")[0] if ":" in endpoint else endpoint


def split(text: str, port: int) -> tuple[str, int]:
    """Host and port of an endpoint; `port` where it names none."""
    host = host_of(text)
    rest = text.removeprefix(f"[{host}]").removeprefix(host)
    return host, int(rest[1:]) if rest.startswith(":") else port


def join(host: str, port: int) -> str:
    """Host and port in one string; an IPv6 address gets its brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def is_place(text: str) -> bool:
    """Whether it is an address and a port, as `join` writes them."""
    host, _, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    number = int(port) if port.isdecimal() and len(port) <= 5 else 0
    return is_ip(host) and 0 < number < 65536 and text == join(host, number)


def url(host: str, port: int) -> str:
    """An https URL."""
    return f"https://{join(host, port)}"


def first_addresses(subnets: str) -> tuple[str, ...]:
    """The first usable address of each subnet in a comma-separated list: the Service `kubernetes`."""
    networks = [ipaddress.ip_network(subnet.strip(), strict=False) for subnet in subnets.split(",")]
    return tuple(str(network.network_address + 1) for network in networks)
