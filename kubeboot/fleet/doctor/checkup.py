"""What can be wrong with a cluster that lives, seen from one of its machines: each check yields findings."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from kubeboot.config import versions
from kubeboot.engine.step import View
from kubeboot.engine.values import Values
from kubeboot.fleet.doctor import balancer as checkup_balancer
from kubeboot.fleet.doctor import encryption as checkup_encryption
from kubeboot.fleet.doctor import etcd as checkup_etcd
from kubeboot.fleet.doctor import overlay as checkup_overlay
from kubeboot.fleet.doctor import signing
from kubeboot.fleet.doctor.patient import Patient
from kubeboot.host.api import HostView
from kubeboot.pki import endpoint
from kubeboot.steps import dns
from kubeboot.steps.preflight import Finding

SOON, TOO_SOON = 30, 7
"""Days."""
UNITS = ("containerd.service", "kubelet.service")
PRESSURES = ("MemoryPressure", "DiskPressure", "PIDPressure", "NetworkUnavailable")
RESTARTS = 10
_AGAIN = "kubeboot init on a control plane (join on a worker) makes it again"
_RESTORE = "put it back from another control plane or a backup: it is the same on all of them"
_ELSEWHERE = (
    "etcd's authority signs a new one: `kubeboot etcd export FILE` on an etcd machine, then "
    "`kubeboot init --external-etcd FILE` on the control planes"
)


def units(patient: Patient) -> Iterable[Finding]:
    """What a machine of the cluster runs by itself."""
    return running(patient.see, UNITS)


def running(see: HostView, names: Iterable[str]) -> Iterable[Finding]:
    """Units that are not active."""
    for name in names:
        found = see.unit(name)
        if found.active != "active":
            yield Finding(
                f"Unit-{name.split('.')[0]}",
                f"{name} is {found.active} ({found.result})",
                f"journalctl -u {name}; systemctl restart {name}",
            )


def certificates(patient: Patient) -> Iterable[Finding]:
    """Certificates that are damaged or about to expire."""
    external = patient.spec.etcd.external
    elsewhere = external.cert_file if external else None
    for one in patient.status.certificates:
        days = one.days_left
        name = f"Certificate-{one.path.strip('/').replace('/', '-')}"
        if days is None:
            fix = _RESTORE if one.authority else _ELSEWHERE if one.path == elsewhere else _AGAIN
            yield Finding(name, f"{one.path} is damaged: it holds no certificate", fix)
        elif days <= SOON:
            when = f"expires in {days} days" if days >= 0 else "has expired"
            fix = _ELSEWHERE if one.path == elsewhere else _AGAIN
            yield Finding(name, f"{one.path} {when}", fix, "error" if days <= TOO_SOON else "warning")


def api(patient: Patient) -> Iterable[Finding]:
    """Whether the API can be asked at all."""
    if patient.status.problem is not None:
        yield Finding(
            "API",
            f"cannot reach the API: {patient.status.problem}",
            "see /var/log/pods/kube-system_kube-apiserver-* on the control planes",
        )


def nodes(patient: Patient) -> Iterable[Finding]:
    """Nodes that are not Ready, or under pressure."""
    for node in patient.nodes():
        name = node["metadata"]["name"]
        said = {c["type"]: c for c in node.get("status", {}).get("conditions", ())}
        if said.get("Ready", {}).get("status") != "True":
            why = said.get("Ready", {}).get("message", "it has not reported")
            yield Finding(
                f"NodeReady-{name}", f"{name} is not Ready: {why}", f"journalctl -u kubelet, on {name}"
            )
        for kind in PRESSURES:
            if said.get(kind, {}).get("status") == "True":
                why = said[kind].get("message", "")
                yield Finding(f"{kind}-{name}", f"{name}: {kind}: {why}", f"kubectl describe node {name}")


def pods(patient: Patient) -> Iterable[Finding]:
    """System pods that are not ready, or were restarted often."""
    for pod in patient.status.pods:
        see = (
            f"kubectl -n {pod.namespace} logs {pod.name}; kubectl -n {pod.namespace} describe pod {pod.name}"
        )
        where = f"{pod.namespace}/{pod.name} on {pod.node or 'no node'}"
        if not pod.ready:
            yield Finding(f"Pod-{pod.name}", f"{where} is not ready: {pod.detail or 'unknown'}", see)
        elif pod.restarts >= RESTARTS:
            yield Finding(
                f"Restarts-{pod.name}", f"{where} was restarted {pod.restarts} times", see, "warning"
            )


def skew(patient: Patient) -> Iterable[Finding]:
    """By the images of the API servers that run and the kubelets' own words."""
    found = patient.known("Pod", "kube-system", "component=kube-apiserver")
    images = (c["image"] for pod in found for c in pod.get("spec", {}).get("containers", ()))
    servers = [v for image in images if (v := versions.parse(image.rpartition(":")[2]))]
    fix = "kubeboot init, or join, with the bundle of the cluster's version on the machine that is behind"
    if servers and (wrong := versions.control_plane_skew(max(servers), min(servers))):
        yield Finding("VersionSkew-apiserver", wrong, fix)
    for node in patient.status.nodes:
        kubelet = versions.parse(node.version)
        wrong = versions.kubelet_skew(min(servers), kubelet) if servers and kubelet else None
        if wrong:
            yield Finding(f"VersionSkew-{node.name}", f"{node.name}: {wrong}", fix)


def names(patient: Patient) -> Iterable[Finding]:
    """Whether the cluster's name server answers."""
    spec = patient.spec.networking
    server = dns.service_address(patient.spec)
    expected = endpoint.first_addresses(spec.service_subnet)[0]
    asked = dns.DnsAnswers(server, f"kubernetes.default.svc.{spec.dns_domain}", expected)
    see = View(patient.see, patient.api)
    problem = asked.look(see, Values())
    if problem is not None:
        pods = patient.known("Pod", "kube-system", "k8s-app=kube-dns")
        said = "".join(f"; {dns.describe(pod)}" for pod in pods)
        yield Finding(
            "DNS",
            f"the cluster's name server does not answer: {problem}{said}",
            "kubectl -n kube-system logs -l k8s-app=kube-dns; kubectl -n kube-system get pods -o wide",
        )


CHECKS: tuple[Callable[[Patient], Iterable[Finding]], ...] = (
    units, certificates, api, checkup_etcd.etcd, nodes, pods, checkup_balancer.balancer,
    checkup_balancer.virtual_address, names, checkup_overlay.flannel, checkup_overlay.overlay,
    checkup_overlay.across, skew, checkup_encryption.encryption, signing.signing,
)  # fmt: skip
