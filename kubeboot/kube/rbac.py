"""Who may do what in a cluster, as kubeadm sets it up, and what kubeboot's own ConfigMap needs besides."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from kubeboot.kube.api import Object

API = "rbac.authorization.k8s.io"
VERSION = f"{API}/v1"
SYSTEM = "kube-system"
PUBLIC = "kube-public"

TOKENS = ("Group", "system:bootstrappers:kubeadm:default-node-token")
"""Whoever joins."""
NODES = ("Group", "system:nodes")

BALANCER = "kubeboot-load-balancer"
BALANCER_USER = f"system:serviceaccount:{SYSTEM}:{BALANCER}"
"""Machines with nothing but haproxy."""

Subject = tuple[str, str]
Rule = Mapping[str, list[str]]

_CSR = "system:certificates.k8s.io:certificatesigningrequests"

_GRANTS: tuple[tuple[str, str, Subject], ...] = (
    ("kubeadm:cluster-admins", "cluster-admin", ("Group", "kubeadm:cluster-admins")),
    ("kubeadm:kubelet-bootstrap", "system:node-bootstrapper", TOKENS),
    ("kubeadm:get-nodes", "kubeadm:get-nodes", TOKENS),
    ("kubeboot:list-nodes", "kubeboot:list-nodes", TOKENS),
    ("kubeadm:node-autoapprove-bootstrap", f"{_CSR}:nodeclient", TOKENS),
    ("kubeadm:node-autoapprove-certificate-rotation", f"{_CSR}:selfnodeclient", NODES),
    (
        "kubeadm:apiserver-kubelet-client",
        "system:kubelet-api-admin",
        ("User", "kube-apiserver-kubelet-client"),
    ),
)
"""ClusterRoleBindings: name, ClusterRole, subject."""


def _get(resource: str, name: str, group: str = "") -> Rule:
    return {"apiGroups": [group], "resourceNames": [name], "resources": [resource], "verbs": ["get"]}


def _watch(*names: str) -> Rule:
    """ConfigMaps, as a kubelet reads those of its pods."""
    verbs = ["get", "list", "watch"]
    return {"apiGroups": [""], "resourceNames": [*names], "resources": ["configmaps"], "verbs": verbs}


_MOUNTED = ("coredns", "kube-proxy", "kube-root-ca.crt", "kubeboot-local-lb")
"""ConfigMaps of the pods on every machine, and on those that others joined."""

_LOCAL: tuple[tuple[str, str, Rule, tuple[Subject, ...]], ...] = (
    (
        PUBLIC,
        "kubeadm:bootstrap-signer-clusterinfo",
        _get("configmaps", "cluster-info"),
        (("User", "system:anonymous"),),
    ),
    (SYSTEM, "kubeadm:nodes-kubeadm-config", _get("configmaps", "kubeadm-config"), (TOKENS, NODES)),
    (SYSTEM, "kubeadm:kubelet-config", _get("configmaps", "kubelet-config"), (NODES, TOKENS)),
    (SYSTEM, "kubeboot:cluster-config", _get("configmaps", "kubeboot-config"), (TOKENS, NODES)),
    # what pods on every machine mount: the API server may learn of a node's pod later than the kubelet, and a
    # kubelet that is refused asks again a second and a half later
    (SYSTEM, "kubeboot:node-pods", _watch(*_MOUNTED), (NODES,)),
    (
        "default",
        "kubeboot:api-servers",
        _get("endpointslices", "kubernetes", "discovery.k8s.io"),
        (TOKENS, NODES),
    ),
)
"""Roles with a RoleBinding of the same name: namespace, name, the rule, who may."""

_CLUSTER_ROLES: Mapping[str, Rule] = MappingProxyType(
    {
        "kubeadm:get-nodes": {"apiGroups": [""], "resources": ["nodes"], "verbs": ["get"]},
        # a machine that joins must not be a clone of one that is there
        "kubeboot:list-nodes": {"apiGroups": [""], "resources": ["nodes"], "verbs": ["list"]},
    }
)


def objects() -> tuple[Object, ...]:
    """All of it. The first is what makes admin.conf's owner an administrator."""
    return (
        *(_binding("ClusterRoleBinding", name, "ClusterRole", role, (who,)) for name, role, who in _GRANTS),
        *(_role("ClusterRole", name, rule) for name, rule in _CLUSTER_ROLES.items()),
        *(_role("Role", name, rule, space) for space, name, rule, _ in _LOCAL),
        *(_binding("RoleBinding", name, "Role", name, who, space) for space, name, _, who in _LOCAL),
    )


def balancers() -> tuple[Object, ...]:
    """What machines with nothing but haproxy may do: read the endpoints, and ask for their own next token.

    Whoever joins may ask for the first one.
    """
    user = ("User", BALANCER_USER)
    endpoints, tokens = "kubeboot:balancer-endpoints", "kubeboot:balancer-tokens"
    asks: Rule = {**_get("serviceaccounts/token", BALANCER), "verbs": ["create"]}
    account = {"apiVersion": "v1", "kind": "ServiceAccount"}
    return (
        {
            **account,
            "metadata": {"name": BALANCER, "namespace": SYSTEM},
            "automountServiceAccountToken": False,
        },
        _role("Role", endpoints, _get("endpointslices", "kubernetes", "discovery.k8s.io"), "default"),
        _binding("RoleBinding", endpoints, "Role", endpoints, (user,), "default"),
        _role("Role", tokens, asks, SYSTEM),
        _binding("RoleBinding", tokens, "Role", tokens, (TOKENS, user), SYSTEM),
    )


def balancer_token(seconds: int) -> Object:
    """The request for a token; the server may shorten its life."""
    return {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "metadata": {"name": BALANCER, "namespace": SYSTEM},
        "spec": {"expirationSeconds": seconds},
    }


def reader(name: str, resource: str, of: str, who: tuple[Subject, ...]) -> tuple[Object, Object]:
    """A Role of kube-system that allows to get one object, and its binding."""
    binding = _binding("RoleBinding", name, "Role", name, who, SYSTEM)
    return _role("Role", name, _get(resource, of), SYSTEM), binding


def _role(kind: str, name: str, rule: Rule, namespace: str | None = None) -> Object:
    return {**_head(kind, name, namespace), "rules": [dict(rule)]}


def _binding(
    kind: str, name: str, role_kind: str, role: str, who: Iterable[Subject], namespace: str | None = None
) -> Object:
    return {
        **_head(kind, name, namespace),
        "roleRef": {"apiGroup": API, "kind": role_kind, "name": role},
        "subjects": [{"apiGroup": API, "kind": subject, "name": called} for subject, called in who],
    }


def _head(kind: str, name: str, namespace: str | None) -> dict[str, Any]:
    where = {"namespace": namespace} if namespace else {}
    return {"apiVersion": VERSION, "kind": kind, "metadata": {"name": name, **where}}
