"""Rules for other programs' settings: what kubeboot must own in them, and what none of them has."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from kubeboot.config import component_fields, document, merging, names
from kubeboot.config.problems import Path, Problem, meant
from kubeboot.config.spec import ClusterSpec

_GATE = re.compile(r"^[A-Za-z][A-Za-z0-9]*\Z")
_TYPES: Mapping[str, tuple[tuple[type, ...], str]] = {
    "flag": ((bool,), "true or false"),
    "whole": ((int,), "a whole number"),
    "number": ((int, float), "a number"),
    "text": ((str,), "text"),
    "list": ((list,), "a list"),
    "mapping": ((dict,), "a mapping"),
}
_KUBELET_HEAD = {"apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration"}
_PROXY_HEAD = {"apiVersion": "kubeproxy.config.k8s.io/v1alpha1", "kind": "KubeProxyConfiguration"}

Owned = Mapping[str, tuple[str, tuple[object, ...]]]
"""Field: why it is kubeboot's, and the values that it has anyway."""

_ONE_MACHINE = "these settings are shared by all machines"
_NO_CONTROL_GROUP = "kubeboot sets up containerd and the kubelet for systemd"


def dns_address(spec: ClusterSpec) -> str | None:
    """Where the cluster's DNS is; None when the service subnet is none."""
    network, wrong, _ = names.cidr(spec.networking.service_subnet)
    is_usable = wrong is None and isinstance(network, ipaddress.IPv4Network) and network.num_addresses > 10
    return str(network[10]) if is_usable and network is not None else None


def owned_by_kubelet(spec: ClusterSpec) -> Owned:
    """What a user cannot change in KubeletConfiguration, and why."""
    return {
        "staticPodPath": ("kubeboot uses /etc/kubernetes/manifests", ("/etc/kubernetes/manifests",)),
        "staticPodURL": ("kubeboot uses /etc/kubernetes/manifests", ("",)),
        "staticPodURLHeader": ("kubeboot uses /etc/kubernetes/manifests", ({},)),
        "clusterDNS": ("it follows from networking.serviceSubnet", ([dns_address(spec)],)),
        "clusterDomain": ("write it as networking.dnsDomain", (spec.networking.dns_domain,)),
        "cgroupDriver": (_NO_CONTROL_GROUP, ("systemd",)),
        "containerRuntimeEndpoint": (
            "kubeboot brings its own containerd",
            ("", "unix:///run/containerd/containerd.sock", "unix:///var/run/containerd/containerd.sock"),
        ),
        "imageServiceEndpoint": ("kubeboot brings its own containerd", ("",)),
        "rotateCertificates": ("kubelet certificates are always rotated", (True,)),
        "registerWithTaints": (f"write them as node.taints: {_ONE_MACHINE}", ([],)),
        "registerNode": ("a node that does not register is not a node", (True,)),
        "providerID": (f"{_ONE_MACHINE}; write it in node.kubeletExtraArgs", ("",)),
        "podCIDR": ("it is for kubelets without a cluster", ("",)),
        "enableServer": ("logs, exec and port-forward need it", (True,)),
        "healthzPort": ("kubeboot looks there", (10248,)),
        "port": ("it is 10250 on every machine", (10250, 0)),
        "authentication.x509.clientCAFile": (
            "the kubelet recognises the API server by this authority", ("/etc/kubernetes/pki/ca.crt",),
        ),
    }  # fmt: skip


def owned_by_proxy(spec: ClusterSpec) -> Owned:
    """What a user cannot change in KubeProxyConfiguration, and why."""
    kubeconfig = "/var/lib/kube-proxy/kubeconfig.conf"
    sysctl = "kube-proxy has no privileges to set it; set the sysctl on the machines"
    zero = ("0s", 0)
    return {
        "mode": ("kube-proxy runs in nftables mode, without privileges", ("nftables",)),
        "clusterCIDR": ("write it as networking.podSubnet", (spec.networking.pod_subnet,)),
        "clientConnection.kubeconfig": ("kube-proxy has its own ServiceAccount", (kubeconfig,)),
        "hostnameOverride": (f"{_ONE_MACHINE}, and every kube-proxy knows its node's name", ("",)),
        "conntrack.maxPerCore": (sysctl, zero),
        "conntrack.min": (sysctl, zero),
        "conntrack.tcpCloseWaitTimeout": (sysctl, zero),
        "conntrack.tcpEstablishedTimeout": (sysctl, zero),
        "healthzBindAddress": ("probes ask there", ("0.0.0.0:10256",)),
        "windowsRunAsService": ("the machines run Linux", (False,)),
    }


def _kubelet(spec: ClusterSpec) -> Iterator[Problem]:
    yield from _settings(
        "kubelet", spec.kubelet, component_fields.KUBELET, _KUBELET_HEAD, owned_by_kubelet(spec)
    )


def _kube_proxy(spec: ClusterSpec) -> Iterator[Problem]:
    yield from _settings(
        "kubeProxy", spec.kube_proxy, component_fields.PROXY, _PROXY_HEAD, owned_by_proxy(spec)
    )


def _settings(
    section: str,
    given: Mapping[str, Any],
    known: Mapping[str, str],
    head: Mapping[str, str],
    owned: Owned,
) -> Iterator[Problem]:
    yield from odd((section,), given)
    for name, value in given.items():
        path: Path = (section, name)
        if name in head:
            if value != head[name]:
                yield Problem(path, f"must be {head[name]}", "or leave it out")
        elif name not in known:
            fix = meant(name, known) or f"{head['kind']} has no such field"
            yield Problem(path, "unknown field", fix)
        else:
            yield from _typed(path, known[name], value)
    for field, (why, same) in owned.items():
        if (value := merging.at(given, field)) is not None and value not in same:
            yield Problem((section, *field.split(".")), f"cannot be changed: {why}", "remove the line")
    if isinstance(wanted := given.get("featureGates"), dict):
        yield from _gate_names((section, "featureGates"), wanted)


def _typed(path: Path, kind: str, value: object) -> Iterator[Problem]:
    types, words = _TYPES[kind]
    if isinstance(value, document.Misread | None):
        return
    if not isinstance(value, types) or (bool not in types and isinstance(value, bool)):
        yield Problem(path, f"must be {words}")


def odd(path: Path, value: object) -> Iterator[Problem]:
    """What no program can mean: nothing at all, or what YAML takes for a date."""
    if value is None:
        yield Problem(path, "must have a value, and is empty", "give a value, or remove the line")
    elif isinstance(value, document.Misread) and value is not document.BROKEN:
        yield Problem(path, f"is {value.kind} in YAML", "quote it")
    for key, inner in _inner(value):
        yield from odd((*path, key), inner)


def _inner(value: object) -> Iterable[tuple[str | int, object]]:
    if isinstance(value, dict):
        return value.items()
    return enumerate(value) if isinstance(value, list) else ()


def _gates(spec: ClusterSpec) -> Iterator[Problem]:
    components = (
        ("apiServer", spec.api_server),
        ("controllerManager", spec.controller_manager),
        ("scheduler", spec.scheduler),
        ("etcd", spec.etcd),
    )
    yield from _gate_names(("featureGates",), spec.feature_gates)
    for section, component in components:
        path: Path = (section, "featureGates")
        yield from _gate_names(path, component.feature_gates)
        shared = spec.feature_gates if section != "etcd" else {}
        if (component.feature_gates or shared) and _names(component.extra_args, "feature-gates"):
            where = path if component.feature_gates else ("featureGates",)
            yield Problem(
                where, f"{section}.extraArgs has `feature-gates` too", "keep featureGates",
                or_at=((section, "extraArgs"),),
            )  # fmt: skip


def _names(arguments: Iterable[Any], *flags: str) -> list[str]:
    return [argument.name for argument in arguments if argument.name in flags]


def _gate_names(path: Path, wanted: Mapping[str, object]) -> Iterator[Problem]:
    for name, value in wanted.items():
        if not _GATE.match(name):
            yield Problem(
                (*path, name), f"`{name}` is not a feature gate's name", "write it like UserNamespaces"
            )
        elif not isinstance(value, bool) and value is not None and not isinstance(value, document.Misread):
            yield Problem((*path, name), "must be true or false")


COMPONENT_RULES: tuple[Callable[[ClusterSpec], Iterable[Problem]], ...] = (_kubelet, _kube_proxy, _gates)
