"""What can be wrong between the pods of two machines."""

from __future__ import annotations

import json
from collections.abc import Iterable

from kubeboot.fleet.doctor.patient import Patient
from kubeboot.host.api import HostView
from kubeboot.kube.api import Object
from kubeboot.steps.preflight import Finding

VTEP = "flannel.alpha.coreos.com/backend-data"
"""The annotation with a machine's VXLAN end."""


def flannel(patient: Patient) -> Iterable[Finding]:
    """For each other machine: a route, its VTEP among the neighbours, and an answer from a pod on it."""
    others = [n for n in patient.nodes() if n["metadata"]["name"] != patient.name and _range(n)]
    if not others:
        return
    if "flannel.1" not in {link.name for link in patient.see.links()}:
        yield Finding(
            "Flannel", "there is no flannel.1 on this machine", "kubectl -n kube-flannel get pods -o wide"
        )
        return
    arp, routes = _neighbours(patient.see), _routes(patient.see)
    for node in others:
        name, pod_range = node["metadata"]["name"], _range(node)
        mac = json.loads(node["metadata"].get("annotations", {}).get(VTEP) or "{}").get("VtepMAC", "")
        fix = "kubectl -n kube-flannel rollout restart ds/kube-flannel-ds"
        if ":" not in pod_range and pod_range.split("/")[0] not in routes:
            yield Finding(f"Route-{name}", f"there is no route to {name}'s pods, {pod_range}", fix)
        elif mac and mac not in arp:
            yield Finding(f"Neighbour-{name}", f"flannel.1 does not know the VXLAN end of {name}, {mac}", fix)


def across(patient: Patient) -> Iterable[Finding]:
    """CoreDNS on other machines, by its pods' addresses: a packet there and back through VXLAN."""
    found = patient.known("Pod", "kube-system", "k8s-app=kube-dns")
    for pod in found:
        node, ip = pod.get("spec", {}).get("nodeName", ""), pod.get("status", {}).get("podIP", "")
        if ip and node not in ("", patient.name):
            try:
                patient.see.dial(ip, 53, 2.0).close()
            except OSError as error:
                yield Finding(
                    f"PodUnreachable-{node}",
                    f"{pod['metadata']['name']} at {ip} on {node} does not answer: {error}",
                    "open UDP 8472 between the machines, both ways; kubeboot doctor on that machine as well",
                )


def overlay(patient: Patient) -> Iterable[Finding]:
    """Without the API: each route through flannel.1 leads to a VXLAN end that is known."""
    known = {row[0] for row in _arp(patient.see)}
    for network in sorted(_routes(patient.see) - known):
        yield Finding(
            f"Overlay-{network}",
            f"the route to {network} goes through flannel.1, which does not know the machine behind it",
            "kubectl -n kube-flannel rollout restart ds/kube-flannel-ds",
        )


def _range(node: Object) -> str:
    return str(node.get("spec", {}).get("podCIDR", ""))


def _neighbours(see: HostView) -> frozenset[str]:
    return frozenset(row[3] for row in _arp(see))


def _arp(see: HostView) -> list[list[str]]:
    rows = (line.split() for line in (see.read("/proc/net/arp") or b"").decode().splitlines()[1:])
    return [row for row in rows if len(row) > 5 and row[5] == "flannel.1"]


def _routes(see: HostView) -> frozenset[str]:
    rows = (line.split() for line in (see.read("/proc/net/route") or b"").decode().splitlines()[1:])
    return frozenset(
        ".".join(str(byte) for byte in bytes.fromhex(row[1])[::-1]) for row in rows if row[0] == "flannel.1"
    )
