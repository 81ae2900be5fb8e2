"""Rules for what is particular to a machine: its name, address, labels and taints."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator

from kubeboot.config import names
from kubeboot.config.problems import Problem
from kubeboot.config.spec import ClusterSpec

KUBELET_LABELS = frozenset(
    {
        "kubernetes.io/arch",
        "kubernetes.io/hostname",
        "kubernetes.io/os",
        "node.kubernetes.io/instance-type",
        "topology.kubernetes.io/region",
        "topology.kubernetes.io/zone",
    }
)
"""What a kubelet may set of the labels that belong to Kubernetes (NodeRestriction refuses the others)."""

KUBELET_PREFIXES = ("kubelet.kubernetes.io", "node.kubernetes.io")


def _name(spec: ClusterSpec) -> Iterator[Problem]:
    name = spec.node.name
    if name is None or (wrong := names.subdomain(name.lower())) is None:
        return
    yield Problem(("node", "name"), f"`{name}` {wrong}", _better(name))


def _better(name: str) -> str | None:
    better = "".join(c if (c.isascii() and c.isalnum()) or c in ".-" else "-" for c in name.lower()).strip(
        "-."
    )
    return f"`{better}` would do" if better and names.subdomain(better) is None else None


def _address(spec: ClusterSpec) -> Iterator[Problem]:
    text, path = spec.node.advertise_address, ("node", "advertiseAddress")
    if text is None:
        return
    address = names.ip(text)
    if address is None:
        yield Problem(path, f"`{text}` is not an IP address")
    elif address.version == 6:
        yield Problem(path, f"`{text}` is IPv6, and the cluster's ranges are IPv4", "give an IPv4 address")
    elif address.is_loopback or address.is_unspecified or address.is_multicast or address.is_link_local:
        yield Problem(
            path, f"`{text}` cannot be reached from other machines", "give one of this machine's addresses"
        )
    else:
        for field, text_range in _ranges(spec):
            network, wrong, _ = names.cidr(text_range)
            if network is not None and wrong is None and address in network:
                message = f"`{text}` lies in networking.{field}, {network}"
                yield Problem(path, message, "move that range", or_at=(("networking", field),))


def _ranges(spec: ClusterSpec) -> tuple[tuple[str, str], ...]:
    return ("podSubnet", spec.networking.pod_subnet), ("serviceSubnet", spec.networking.service_subnet)


def _labels(spec: ClusterSpec) -> Iterator[Problem]:
    for key, value in spec.node.labels.items():
        path = ("node", "labels", key)
        if wrong := names.label_key(key):
            yield Problem(path, f"`{key}` {wrong}")
        elif not _is_allowed(key):
            yield Problem(
                path, f"a kubelet may not set `{key}`", "set it with `kubectl label node` afterwards"
            )
        if wrong := names.label_value(value):
            yield Problem(path, f"`{value}` {wrong}")


def _is_allowed(key: str) -> bool:
    prefix, slash, _ = key.rpartition("/")
    if not slash or key in KUBELET_LABELS:
        return True
    if any(prefix == p or prefix.endswith(f".{p}") for p in KUBELET_PREFIXES):
        return True
    return not any(prefix == p or prefix.endswith(f".{p}") for p in ("kubernetes.io", "k8s.io"))


def _taints(spec: ClusterSpec) -> Iterator[Problem]:
    taints = spec.node.taints or ()
    for n, taint in enumerate(taints):
        if wrong := names.label_key(taint.key):
            yield Problem(("node", "taints", n, "key"), f"`{taint.key}` {wrong}")
        if wrong := names.label_value(taint.value):
            yield Problem(("node", "taints", n, "value"), f"`{taint.value}` {wrong}")
    for (key, effect), count in Counter((t.key, t.effect) for t in taints).items():
        if count > 1:
            yield Problem(("node", "taints"), f"`{key}:{effect}` is given {count} times", "keep one of them")


NODE_RULES: tuple[Callable[[ClusterSpec], Iterable[Problem]], ...] = (_name, _address, _labels, _taints)
