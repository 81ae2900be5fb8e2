"""How the cluster is, seen from one of its machines: nodes, components, versions, certificates."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Iterable, Mapping
from typing import Any

from kubeboot.host.api import HostView
from kubeboot.kube.api import ApiRefused, ApiView, Object
from kubeboot.pki import inspect, pem, table

NAMESPACES = ("kube-system", "kube-flannel")
_CONTROL_PLANE = "node-role.kubernetes.io/control-plane"
KUBELET_CONF = "/etc/kubernetes/kubelet.conf"
_KUBELET = "/var/lib/kubelet/pki/kubelet-client-current.pem"


@dataclasses.dataclass(frozen=True)
class NodeStatus:
    """A Node as the API knows it."""

    name: str
    role: str
    ready: bool
    version: str
    address: str
    runtime: str


@dataclasses.dataclass(frozen=True)
class PodStatus:
    """A pod of the cluster's own."""

    namespace: str
    name: str
    node: str
    ready: bool
    restarts: int
    detail: str = ""


@dataclasses.dataclass(frozen=True)
class CertificateStatus:
    """A certificate on this machine. `days_left` None: it is damaged."""

    path: str
    days_left: int | None
    authority: bool = False


@dataclasses.dataclass(frozen=True)
class Status:
    """Everything at once. `problem` is why the API could not be asked, if it could not."""

    nodes: tuple[NodeStatus, ...] = ()
    pods: tuple[PodStatus, ...] = ()
    certificates: tuple[CertificateStatus, ...] = ()
    problem: str | None = None

    @property
    def healthy(self) -> bool:
        """Every node and pod ready, no certificate damaged or about to expire."""
        parts: Iterable[bool] = (
            *(node.ready for node in self.nodes),
            *(pod.ready for pod in self.pods),
            *((certificate.days_left or 0) > 7 for certificate in self.certificates),
        )
        return self.problem is None and all(parts)


def look(host: HostView, api: ApiView, at: datetime.datetime) -> Status:
    """Ask this machine and the API; an API that does not answer is part of the answer.

    On a worker, which has a kubelet's certificate alone, of the Nodes its own is told.
    """
    certificates = tuple(_certificates(host, at))
    problem = api.ready()
    if problem is not None:
        return Status(certificates=certificates, problem=problem)
    try:
        nodes = tuple(_node(found) for found in api.list("v1", "Node"))
        pods = tuple(_pod(found) for namespace in NAMESPACES for found in api.list("v1", "Pod", namespace))
    except ApiRefused:
        own = api.get("v1", "Node", inspect.node(host.read(_KUBELET) or b"") or host.name)
        return Status((_node(own),) if own else (), (), certificates)
    return Status(nodes, pods, certificates)


def _node(found: Object) -> NodeStatus:
    status: Mapping[str, Any] = found.get("status", {})
    info = status.get("nodeInfo", {})
    addresses = {a["type"]: a["address"] for a in status.get("addresses", ())}
    return NodeStatus(
        name=found["metadata"]["name"],
        role="control-plane" if _CONTROL_PLANE in found["metadata"].get("labels", {}) else "worker",
        ready=_condition(status, "Ready"),
        version=info.get("kubeletVersion", ""),
        address=addresses.get("InternalIP", ""),
        runtime=info.get("containerRuntimeVersion", ""),
    )


def _pod(found: Object) -> PodStatus:
    status: Mapping[str, Any] = found.get("status", {})
    containers = status.get("containerStatuses", ())
    waiting = (c.get("state", {}).get("waiting", {}).get("reason") for c in containers)
    return PodStatus(
        namespace=found["metadata"]["namespace"],
        name=found["metadata"]["name"],
        node=found.get("spec", {}).get("nodeName", ""),
        ready=_condition(status, "Ready"),
        restarts=sum(c.get("restartCount", 0) for c in containers),
        detail=next((reason for reason in waiting if reason), status.get("phase", "")),
    )


def _condition(status: Mapping[str, Any], kind: str) -> bool:
    return any(c["type"] == kind and c["status"] == "True" for c in status.get("conditions", ()))


def _certificates(host: HostView, at: datetime.datetime) -> Iterable[CertificateStatus]:
    for path in _paths(host):
        data = host.read(path)
        if data is not None:
            yield _certificate(path, data, at)


def _certificate(path: str, data: bytes, at: datetime.datetime) -> CertificateStatus:
    try:
        found = pem.certificates(data)[0]
    except ValueError:
        return CertificateStatus(path, None, path.endswith("ca.crt"))
    return CertificateStatus(path, inspect.days_left(data, at), inspect.is_authority(found))


def _paths(host: HostView) -> tuple[str, ...]:
    directories = (table.DIRECTORY, f"{table.DIRECTORY}/etcd")
    found = (f"{d}/{name}" for d in directories for name in host.listdir(d) if name.endswith(".crt"))
    return (*sorted(found), _KUBELET)
