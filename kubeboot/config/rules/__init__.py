"""What one field cannot know by itself: syntax of names and ranges, and how fields fit each other.

Each rule is a pure function from the spec to its problems; RULES is the whole list.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Iterator

from kubeboot.config import balancing, names, versions
from kubeboot.config.problems import Path, Problem
from kubeboot.config.rules.arguments import ARGUMENT_RULES
from kubeboot.config.rules.artifacts import ARTIFACT_RULES
from kubeboot.config.rules.components import COMPONENT_RULES
from kubeboot.config.rules.etcd import ETCD_RULES
from kubeboot.config.rules.extras import EXTRA_RULES
from kubeboot.config.rules.load_balancer import BALANCING_RULES
from kubeboot.config.rules.machine import NODE_RULES
from kubeboot.config.rules.parts import PART_RULES
from kubeboot.config.spec import ClusterSpec

MIN_ADDRESSES = 10
MAX_SERVICE_BITS = 20
NODE_PREFIX = 24
MAX_NODE_BITS = 16

RESERVED_PORTS = {
    2379: "etcd",
    2380: "etcd's peers",
    2381: "etcd's metrics",
    10248: "the kubelet's health check",
    10249: "kube-proxy's metrics",
    10250: "the kubelet",
    10256: "kube-proxy's health check",
    10257: "kube-controller-manager",
    10259: "kube-scheduler",
}

_POD: Path = ("networking", "podSubnet")
_SERVICE: Path = ("networking", "serviceSubnet")


def check(spec: ClusterSpec) -> list[Problem]:
    """Everything that is wrong with a spec whose fields have the right types."""
    return [problem for rule in _all() for problem in rule(spec)]


def _all() -> tuple[Rule, ...]:
    more = (*PART_RULES, *ARTIFACT_RULES, *NODE_RULES, *COMPONENT_RULES, *EXTRA_RULES, *ARGUMENT_RULES)
    return (*RULES, *more, *ETCD_RULES, *BALANCING_RULES)


def _cluster_name(spec: ClusterSpec) -> Iterator[Problem]:
    if wrong := names.subdomain(spec.cluster_name):
        yield Problem(("clusterName",), f"`{spec.cluster_name}` {wrong}")


def _version(spec: ClusterSpec) -> Iterator[Problem]:
    text = spec.kubernetes_version
    version = versions.parse(text)
    newest = versions.RELEASES[versions.NEWEST].version
    if version is None:
        yield Problem(("kubernetesVersion",), f"`{text}` is not a version", f"write it like {newest}")
    elif not versions.is_supported(version):
        yield Problem(
            ("kubernetesVersion",),
            f"`{text}` is not supported by this kubeboot, which knows {versions.supported()}",
            f"newest: {newest}",
        )


def _ranges(spec: ClusterSpec) -> Iterator[Problem]:
    for path, text in ((_POD, spec.networking.pod_subnet), (_SERVICE, spec.networking.service_subnet)):
        network, wrong, fix = names.cidr(text)
        if wrong:
            yield Problem(path, f"`{text}` {wrong}", fix)
        elif network is not None and network.version == 6:
            yield Problem(path, f"`{text}` is IPv6, which is not supported", "give an IPv4 range")
        elif network is not None and network.num_addresses < MIN_ADDRESSES:
            yield Problem(path, f"`{text}` has fewer than {MIN_ADDRESSES} addresses", "give a larger range")


def _network(text: str) -> ipaddress.IPv4Network | None:
    network, wrong, _ = names.cidr(text)
    return network if wrong is None and isinstance(network, ipaddress.IPv4Network) else None


def _range_sizes(spec: ClusterSpec) -> Iterator[Problem]:
    pods, services = _network(spec.networking.pod_subnet), _network(spec.networking.service_subnet)
    if services is not None and 32 - services.prefixlen > MAX_SERVICE_BITS:
        least = 32 - MAX_SERVICE_BITS
        yield Problem(
            _SERVICE, f"`{services}` is too large for the API server", f"use /{least} or a longer prefix"
        )
    if pods is not None and pods.num_addresses >= MIN_ADDRESSES:
        if pods.prefixlen > NODE_PREFIX:
            yield Problem(_POD, f"`{pods}` is smaller than the /{NODE_PREFIX} of one node", "use /16")
        elif NODE_PREFIX - pods.prefixlen > MAX_NODE_BITS:
            yield Problem(
                _POD, f"`{pods}` is too large", f"use /{NODE_PREFIX - MAX_NODE_BITS} or a longer prefix"
            )


def _range_overlap(spec: ClusterSpec) -> Iterator[Problem]:
    pods, services = _network(spec.networking.pod_subnet), _network(spec.networking.service_subnet)
    if pods is not None and services is not None and pods.overlaps(services):
        message = f"pods' {pods} and services' {services} overlap"
        yield Problem(_POD, message, "give two ranges that share no address", or_at=(_SERVICE,))


def _range_meaning(spec: ClusterSpec) -> Iterator[Problem]:
    for path, text in ((_POD, spec.networking.pod_subnet), (_SERVICE, spec.networking.service_subnet)):
        network = _network(text)
        for kind, reserved in _UNUSABLE:
            if network is not None and network.overlaps(reserved):
                yield Problem(path, f"`{network}` holds {kind} addresses, {reserved}", "use a private range")


_UNUSABLE = (
    ("loopback", ipaddress.IPv4Network("127.0.0.0/8")),
    ("link-local", ipaddress.IPv4Network("169.254.0.0/16")),
    ("multicast", ipaddress.IPv4Network("224.0.0.0/4")),
    ("this-network", ipaddress.IPv4Network("0.0.0.0/8")),
)


def _dns_domain(spec: ClusterSpec) -> Iterator[Problem]:
    domain = spec.networking.dns_domain
    path = ("networking", "dnsDomain")
    if wrong := names.subdomain(domain):
        fix = (
            f"write it as {domain.strip('.').lower()}"
            if names.subdomain(domain.strip(".").lower()) is None
            else None
        )
        yield Problem(path, f"`{domain}` {wrong}", fix)
    elif len(domain) > 180:
        yield Problem(path, "is too long for the names of services in it", "use at most 180 characters")


def _endpoint(spec: ClusterSpec) -> Iterator[Problem]:
    path = ("controlPlaneEndpoint",)
    if spec.control_plane_endpoint is None:
        return
    try:
        host, _ = names.split_endpoint(spec.control_plane_endpoint)
    except ValueError as wrong:
        fix = None if "write" in str(wrong) else "write it like k8s.example.org:8443"
        yield Problem(path, f"`{spec.control_plane_endpoint}` {wrong}", fix)
        return
    address = names.ip(host)
    if address is not None and (address.is_loopback or address.is_unspecified or address.is_multicast):
        yield Problem(
            path,
            f"`{host}` cannot be reached from other machines",
            "give a DNS name or an address they can reach",
        )
    for range_path, text in ((_POD, spec.networking.pod_subnet), (_SERVICE, spec.networking.service_subnet)):
        network = _network(text)
        if network is not None and address is not None and address in network:
            message = f"`{host}` lies in networking.{range_path[-1]}, {network}"
            yield Problem(path, message, "move one of them", or_at=(range_path,))


def _ports(spec: ClusterSpec) -> Iterator[Problem]:
    api, balancer = spec.api_server.bind_port, spec.load_balancer.port
    for path, number in ((("apiServer", "bindPort"), api), (("loadBalancer", "port"), balancer)):
        if wrong := names.port(number):
            yield Problem(path, f"{number} {wrong}")
        elif number in RESERVED_PORTS:
            yield Problem(path, f"port {number} belongs to {RESERVED_PORTS[number]}", "choose another")
    if api == balancer and balancing.runs_haproxy(spec, "control_plane"):
        message = f"the API server and haproxy cannot both have port {api}"
        yield Problem(("loadBalancer", "port"), message, "choose another", or_at=(("apiServer", "bindPort"),))


def _validity(spec: ClusterSpec) -> Iterator[Problem]:
    leaf, authority = spec.certificates.validity_days, spec.certificates.ca_validity_days
    if leaf > authority:
        path, other = ("certificates", "validityDays"), ("certificates", "caValidityDays")
        message = f"certificates of {leaf} days outlive the CA that signs them, {authority} days"
        yield Problem(path, message, "make certificates.caValidityDays at least as long", or_at=(other,))


Rule = Callable[[ClusterSpec], Iterable[Problem]]
RULES: tuple[Rule, ...] = (
    _cluster_name,
    _version,
    _ranges,
    _range_sizes,
    _range_overlap,
    _range_meaning,
    _dns_domain,
    _endpoint,
    _ports,
    _validity,
)
