"""Where each kind of object lives in the API: a table of what kubeboot uses, discovery for the rest."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any
from urllib.parse import quote


@dataclasses.dataclass(frozen=True)
class Resource:
    """The collection of a kind."""

    api_version: str
    plural: str
    namespaced: bool

    @property
    def root(self) -> str:
        """`/api/v1` or `/apis/<group>/<version>`."""
        return root(self.api_version)

    def path(self, namespace: str | None = None, name: str | None = None) -> str:
        """A collection's path, or an object's; without a namespace that of every namespace."""
        where = f"/namespaces/{quote(namespace, safe='')}" if self.namespaced and namespace else ""
        return f"{self.root}{where}/{self.plural}" + (f"/{quote(name, safe='')}" if name else "")


def root(api_version: str) -> str:
    """The path that lists the resources of an API version."""
    return f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"


_RBAC = "rbac.authorization.k8s.io/v1"
_ROWS = (
    ("v1", "ConfigMap", "configmaps", True),
    ("v1", "Endpoints", "endpoints", True),
    ("v1", "Event", "events", True),
    ("v1", "Namespace", "namespaces", False),
    ("v1", "Node", "nodes", False),
    ("v1", "Pod", "pods", True),
    ("v1", "Secret", "secrets", True),
    ("v1", "Service", "services", True),
    ("v1", "ServiceAccount", "serviceaccounts", True),
    ("apps/v1", "DaemonSet", "daemonsets", True),
    ("apps/v1", "Deployment", "deployments", True),
    ("certificates.k8s.io/v1", "CertificateSigningRequest", "certificatesigningrequests", False),
    ("coordination.k8s.io/v1", "Lease", "leases", True),
    ("discovery.k8s.io/v1", "EndpointSlice", "endpointslices", True),
    ("networking.k8s.io/v1", "IPAddress", "ipaddresses", False),
    ("policy/v1", "PodDisruptionBudget", "poddisruptionbudgets", True),
    (_RBAC, "ClusterRole", "clusterroles", False),
    (_RBAC, "ClusterRoleBinding", "clusterrolebindings", False),
    (_RBAC, "Role", "roles", True),
    (_RBAC, "RoleBinding", "rolebindings", True),
    ("scheduling.k8s.io/v1", "PriorityClass", "priorityclasses", False),
    ("storage.k8s.io/v1", "VolumeAttachment", "volumeattachments", False),
)
KNOWN: Mapping[tuple[str, str], Resource] = MappingProxyType(
    {(version, kind): Resource(version, plural, spaced) for version, kind, plural, spaced in _ROWS}
)


@dataclasses.dataclass(frozen=True)
class Part:
    """What is created below an object of another kind, by the same name."""

    of: tuple[str, str]
    name: str


PARTS: Mapping[tuple[str, str], Part] = MappingProxyType(
    {("authentication.k8s.io/v1", "TokenRequest"): Part(("v1", "ServiceAccount"), "token")}
)


class Kinds:
    """The resources of one API server; `listed` gets the rows of an API version from its path."""

    def __init__(self, listed: Callable[[str], Sequence[Mapping[str, Any]]]) -> None:
        self._listed = listed
        self._found: dict[tuple[str, str], Resource] = dict(KNOWN)
        self._lock = threading.Lock()

    def find(self, api_version: str, kind: str) -> Resource | None:
        """Where a kind lives; None while the server knows no such kind, which a new CRD may change."""
        with self._lock:
            known = self._found.get((api_version, kind))
        if known is not None:
            return known
        for row in self._listed(root(api_version)):
            if row["kind"] == kind and "/" not in row["name"]:
                found = Resource(api_version, str(row["name"]), bool(row["namespaced"]))
                with self._lock:
                    self._found[api_version, kind] = found
                return found
        return None
