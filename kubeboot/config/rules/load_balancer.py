"""Rules for the balancer before the API servers, and for its virtual address."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Iterator

from kubeboot.config import names
from kubeboot.config.problems import Path, Problem
from kubeboot.config.spec import ClusterSpec, VirtualIp
from kubeboot.pki import endpoint

_SECTION: Path = ("loadBalancer",)
_VIRTUAL: Path = (*_SECTION, "virtualIP")
_ENDPOINT: Path = ("controlPlaneEndpoint",)


def _endpoint_needed(spec: ClusterSpec) -> Iterator[Problem]:
    mode, found = spec.load_balancer.mode, spec.load_balancer.virtual_ip
    if mode != "local" and spec.control_plane_endpoint is None and (mode == "external" or found is None):
        yield Problem(
            _ENDPOINT,
            f"is needed with loadBalancer.mode `{mode}`: no machine has a balancer of its own",
            "give the name or address that leads to the balancer",
            or_at=((*_SECTION, "mode"),),
        )


def _virtual(spec: ClusterSpec) -> Iterator[Problem]:
    found = spec.load_balancer.virtual_ip
    if found is None:
        return
    if spec.load_balancer.mode == "external":
        message = "is for machines with haproxy, and with loadBalancer.mode `external` there are none"
        yield Problem(_VIRTUAL, message, "keep one of them", or_at=((*_SECTION, "mode"),))
    path = (*_VIRTUAL, "address")
    if wrong := _unusable(found.address):
        yield Problem(path, f"`{found.address}` {wrong}", "give a free IPv4 address of the machines' network")
        return
    yield from _in_a_range(spec, path, found.address)
    host = endpoint.host_of(spec.control_plane_endpoint or "")
    if names.ip(host) is not None and host != found.address:
        message = f"`{host}` is not the virtual address {found.address}"
        yield Problem(_ENDPOINT, message, "give a name, or leave it out", or_at=(path,))


def _in_a_range(spec: ClusterSpec, path: Path, address: str) -> Iterator[Problem]:
    networking = spec.networking
    for field, text in (("podSubnet", networking.pod_subnet), ("serviceSubnet", networking.service_subnet)):
        network, wrong, _ = names.cidr(text)
        if network is not None and wrong is None and ipaddress.ip_address(address) in network:
            message = f"`{address}` lies in networking.{field}, {network}"
            yield Problem(path, message, "move one of them", or_at=(("networking", field),))


def _peers(spec: ClusterSpec) -> Iterator[Problem]:
    found = spec.load_balancer.virtual_ip or VirtualIp(address="")
    for n, text in enumerate(found.peers):
        path = (*_VIRTUAL, "peers", n)
        if wrong := _unusable(text):
            yield Problem(path, f"`{text}` {wrong}", "give the machines' own addresses")
        elif text == found.address:
            yield Problem(path, f"`{text}` is the virtual address itself", "give the machines' own addresses")
        elif text in found.peers[:n]:
            yield Problem(path, f"`{text}` is given twice", "keep one of them")


def _unusable(text: str) -> str | None:
    address = names.ip(text)
    if address is None:
        return "is not an address"
    if address.version == 6:
        return "is IPv6, which is not supported"
    if address.is_loopback or address.is_unspecified or address.is_multicast or address.is_link_local:
        return "means something else on every machine"
    return None


BALANCING_RULES: tuple[Callable[[ClusterSpec], Iterable[Problem]], ...] = (
    _endpoint_needed,
    _virtual,
    _peers,
)
