"""What can be wrong with a cluster that lives, seen from one of its machines: each check yields findings."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from kubeboot import errors
from kubeboot.config import balancing, versions
from kubeboot.config.spec import ClusterSpec
from kubeboot.engine.step import View
from kubeboot.engine.values import Values
from kubeboot.fleet.status import Status
from kubeboot.host.api import HostView
from kubeboot.kube.api import ApiRefused, ApiView, Object
from kubeboot.kube.etcd import CLIENT_PORT
from kubeboot.kube.http import Endpoint, Session
from kubeboot.pki import endpoint, table
from kubeboot.steps import dns, load_balancer
from kubeboot.steps.etcd import METRICS_PORT, loopback
from kubeboot.steps.preflight import Finding

SOON, TOO_SOON = 30, 7
"""Days."""
UNITS = ("containerd.service", "kubelet.service")
PRESSURES = ("MemoryPressure", "DiskPressure", "PIDPressure", "NetworkUnavailable")
QUOTA = 2 << 30
FULL, TOO_FULL = 0.7, 0.9
RESTARTS = 10
_VTEP = "flannel.alpha.coreos.com/backend-data"
_SERVER = re.compile(r"^\s*server (\S+) (\S+)", re.MULTILINE)
_ETCD = f"{table.DIRECTORY}/etcd"
_ELSEWHERE = (
    "etcd's authority signs a new one: `kubeboot etcd export FILE` on an etcd machine, then "
    "`kubeboot init --external-etcd FILE` on the control planes"
)


@dataclasses.dataclass(frozen=True)
class Patient:
    """A machine and its cluster. `at_home`: the API answered when it was first asked."""

    name: str
    address: str
    spec: ClusterSpec
    see: HostView
    api: ApiView
    status: Status
    control_plane: bool = True

    @property
    def balancer(self) -> bool:
        """Whether it has haproxy."""
        return balancing.runs_haproxy(self.spec, "control_plane" if self.control_plane else "worker")

    @property
    def at_home(self) -> bool:
        return self.status.problem is None

    def known(self, kind: str, namespace: str | None = None, labels: str | None = None) -> Sequence[Object]:
        """Objects, as far as the API answers and lets this machine read them."""
        try:
            return self.api.list("v1", kind, namespace, labels) if self.at_home else ()
        except ApiRefused:
            return ()


def units(patient: Patient) -> Iterable[Finding]:
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
    external = patient.spec.etcd.external
    for one in patient.status.certificates:
        if one.days_left <= SOON:
            when = f"expires in {one.days_left} days" if one.days_left >= 0 else "has expired"
            yield Finding(
                f"Certificate-{one.path.strip('/').replace('/', '-')}",
                f"{one.path} {when}",
                _ELSEWHERE
                if external and one.path == external.cert_file
                else "kubeboot init on a control plane (join on a worker) renews what is about to expire",
                "error" if one.days_left <= TOO_SOON else "warning",
            )


def api(patient: Patient) -> Iterable[Finding]:
    if patient.status.problem is not None:
        yield Finding(
            "API",
            f"the API cannot be asked: {patient.status.problem}",
            "see /var/log/pods/kube-system_kube-apiserver-* on the control planes",
        )


def nodes(patient: Patient) -> Iterable[Finding]:
    for node in _nodes(patient):
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


def flannel(patient: Patient) -> Iterable[Finding]:
    """For each other machine: a route, its VTEP among the neighbours, and an answer from a pod on it."""
    others = [n for n in _nodes(patient) if n["metadata"]["name"] != patient.name and _range(n)]
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
        mac = json.loads(node["metadata"].get("annotations", {}).get(_VTEP) or "{}").get("VtepMAC", "")
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


def _nodes(patient: Patient) -> Sequence[Object]:
    """All of them, or this machine's own where its certificate reads no other."""
    found = patient.known("Node")
    own = patient.api.get("v1", "Node", patient.name) if patient.at_home and not found else None
    return found or ((own,) if own else ())


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


def balancer(patient: Patient) -> Iterable[Finding]:
    if not patient.balancer:
        return ()
    port = load_balancer.health_port(patient.spec)
    return haproxy(patient.see, loopback(patient.address), port)


def virtual_address(patient: Patient) -> Iterable[Finding]:
    """Somebody has it, and leads to an API server; here or on another machine."""
    address, port = balancing.virtual_address(patient.spec), patient.spec.load_balancer.port
    if not address:
        return
    authority = patient.see.read(f"{table.DIRECTORY}/ca.crt") or b""
    where = endpoint.url(address, port)
    problem = _ready(Endpoint(where, authority, tls_server_name=table.SERVER_NAME))
    if problem:
        yield Finding(
            "VirtualIP",
            f"no API server answers at the virtual address {address}: {problem}",
            "see /var/log/pods/kube-system_keepalived-* on the machines that have it; is IP protocol 112 "
            "open between them?",
        )


def haproxy(see: HostView, address: str, port: int) -> Iterable[Finding]:
    """haproxy itself, and each API server that it sends to, asked as it asks them."""
    try:
        see.dial(address, port, 1.0).close()
    except OSError as error:
        yield Finding(
            "LoadBalancer",
            f"haproxy does not answer at port {port}: {error}",
            "see /var/log/pods/kube-system_haproxy-*; kubectl -n kube-system get pods",
        )
    config = (see.read(load_balancer.CONFIG) or b"").decode(errors="replace")
    authority = see.read(f"{table.DIRECTORY}/ca.crt") or b""
    for name, address in _SERVER.findall(config):
        problem = _ready(Endpoint(f"https://{address}", authority, tls_server_name=table.SERVER_NAME))
        if problem:
            yield Finding(
                f"Backend-{name}",
                f"the API server {name} at {address} is out of haproxy's rotation: {problem}",
                f"see /var/log/pods/kube-system_kube-apiserver-* on {name}; is TCP {address} open?",
            )


def _ready(where: Endpoint) -> str | None:
    session = Session(where)
    try:
        answer = session.request("GET", "/readyz", timeout=2.0)
    except errors.KubebootError as error:
        return error.message
    finally:
        session.close()
    return None if answer.status == 200 else f"/readyz answers {answer.status}"


def etcd(patient: Patient) -> Iterable[Finding]:
    """This machine's member: alarms, size, leader, and that all members are voters.

    Of an etcd elsewhere preflight looks at all members.
    """
    if not patient.control_plane or patient.spec.etcd.external is not None:
        return
    try:
        yield from _etcd(_member(patient))
    except errors.KubebootError as error:
        yield Finding(
            "Etcd",
            f"this machine's etcd does not answer: {error.message}",
            f"see /var/log/pods/kube-system_etcd-*; curl http://{loopback(patient.address)}:{METRICS_PORT}/readyz",
        )


def _etcd(ask: Callable[[str, Mapping[str, Any]], Mapping[str, Any]]) -> Iterable[Finding]:
    status = ask("/v3/maintenance/status", {})
    if str(status.get("leader", "0")) == "0":
        yield Finding(
            "EtcdLeader",
            "etcd has no leader: most members do not answer",
            "kubeboot etcd status shows who is missing; if most are gone for good, kubeboot etcd recover",
        )
    size, quota = int(status.get("dbSize", 0)), int(status.get("dbSizeQuota", 0)) or QUOTA
    if size > FULL * quota:
        yield Finding(
            "EtcdSize",
            f"etcd's data take {size >> 20} MiB of {quota >> 20}",
            "etcdctl compact and defrag, on one member after the other",
            "error" if size > TOO_FULL * quota else "warning",
        )
    for alarm in ask("/v3/maintenance/alarm", {"action": "GET"}).get("alarms", ()):
        yield Finding(
            f"EtcdAlarm-{alarm.get('alarm', 'UNKNOWN')}",
            f"etcd raises the alarm {alarm.get('alarm')}",
            "etcdctl compact, defrag, then etcdctl alarm disarm",
        )
    for member in ask("/v3/cluster/member/list", {}).get("members", ()):
        if member.get("isLearner") or not member.get("name"):
            name = member.get("name") or ", ".join(member.get("peerURLs", ()))
            yield Finding(
                "EtcdLearner",
                f"etcd's member {name} does not vote: a join that did not end",
                "run that join again, or kubeboot node remove it",
                "warning",
            )


def _member(patient: Patient) -> Callable[[str, Mapping[str, Any]], Mapping[str, Any]]:
    read = patient.see.read
    who = f"{_ETCD}/healthcheck-client"
    authority, certificate, key = (
        read(path) or b"" for path in (f"{_ETCD}/ca.crt", f"{who}.crt", f"{who}.key")
    )
    if not key:
        raise errors.KubebootError(f"there is no {who}.key on this machine")
    where = endpoint.url(loopback(patient.address), CLIENT_PORT)
    session = Session(Endpoint(where, authority, certificate, key, tls_server_name="localhost"))

    def ask(path: str, data: Mapping[str, Any]) -> Mapping[str, Any]:
        answer = session.request(
            "POST", path, json.dumps(data).encode(), {"Content-Type": "application/json"}, 5.0
        )
        found = json.loads(answer.body) if answer.status == 200 else None
        if not isinstance(found, dict):
            raise errors.KubebootError(f"it answers {answer.status} to {path}")
        return found

    return ask


CHECKS: tuple[Callable[[Patient], Iterable[Finding]], ...] = (
    units, certificates, api, etcd, nodes, pods, balancer, virtual_address, names, flannel, overlay, across,
    skew,
)  # fmt: skip
