"""The kubelet's settings: the shared KubeletConfiguration, this machine's part of it, and its flags."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kubeboot.config import effective
from kubeboot.config.node import NodeSettings
from kubeboot.config.spec import ClusterSpec
from kubeboot.steps import dns

RUNTIME_ENDPOINT = "unix:///run/containerd/containerd.sock"
LOCAL_LB = ("kubeboot.io/local-lb", "static")
"""Says that this node has its own haproxy; a DaemonSet covers nodes without it."""

RESYNC = "10s"
"""etcd runs before the API can show it: its mirror pod is made at a resync, by default a minute later."""

RESTART = "10s"
"""How long at most a crashed container waits on a control plane. Without etcd's quorum API servers end again
and again: by default they would wait up to five minutes when it is back."""

_KIND = {"apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration"}
_ZERO = "0s"
_DEFAULTED = (
    "cpuManagerReconcilePeriod",
    "evictionPressureTransitionPeriod",
    "fileCheckFrequency",
    "httpCheckFrequency",
    "imageMaximumGCAge",
    "imageMinimumGCAge",
    "nodeStatusReportFrequency",
    "nodeStatusUpdateFrequency",
    "runtimeRequestTimeout",
    "shutdownGracePeriod",
    "shutdownGracePeriodCriticalPods",
    "streamingConnectionIdleTimeout",
    "syncFrequency",
    "volumeStatsAggPeriod",
)
"""Durations that kubeadm writes as zero, which leaves them to the kubelet."""
_OWN_NAMESPACES = ("kubelet.kubernetes.io", "node.kubernetes.io")
_OWN_LABELS = frozenset(
    f"{namespace}/{name}"
    for namespace, names in {
        "kubernetes.io": ("hostname", "os", "arch"),
        "beta.kubernetes.io": ("os", "arch", "instance-type"),
        "topology.kubernetes.io": ("zone", "region"),
        "failure-domain.beta.kubernetes.io": ("zone", "region"),
    }.items()
    for name in names
)


def kubelet_config(spec: ClusterSpec) -> dict[str, Any]:
    """The KubeletConfiguration that all nodes share: as kubeadm writes it, and what the user changes."""
    return effective.kubelet(spec, _ours(spec))


def _ours(spec: ClusterSpec) -> dict[str, Any]:
    ours = {
        **dict.fromkeys(_DEFAULTED, _ZERO),
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"cacheTTL": _ZERO, "enabled": True},
            "x509": {"clientCAFile": "/etc/kubernetes/pki/ca.crt"},
        },
        "authorization": {
            "mode": "Webhook",
            "webhook": {"cacheAuthorizedTTL": _ZERO, "cacheUnauthorizedTTL": _ZERO},
        },
        "cgroupDriver": "systemd",
        "clusterDNS": [dns.service_address(spec)],
        "clusterDomain": spec.networking.dns_domain,
        "containerRuntimeEndpoint": "",
        "crashLoopBackOff": {},
        "healthzBindAddress": "127.0.0.1",
        "healthzPort": 10248,
        "logging": {
            "flushFrequency": 0,
            "options": {"json": {"infoBufferSize": "0"}, "text": {"infoBufferSize": "0"}},
            "verbosity": 0,
        },
        # kube-proxy and flannel use nftables: iptables chains would be for nobody, and stay after a reset
        "makeIPTablesUtilChains": False,
        # one registry that hangs must not hold up the pulls of every other pod
        "maxParallelImagePulls": 3,
        "memorySwap": {},
        "readOnlyPort": 0,
        "rotateCertificates": True,
        "serializeImagePulls": False,
        "staticPodPath": "/etc/kubernetes/manifests",
    }
    return {**_KIND, **dict(sorted(ours.items()))}


def node_config(node: NodeSettings, shared: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """What only this machine's kubelet has: it is merged over the shared config, less what that decides."""
    named = shared or {}
    taints = [{"key": k, **({"value": v} if v else {}), "effect": e} for k, v, e in node.taints]
    return {
        **_KIND,
        "containerRuntimeEndpoint": RUNTIME_ENDPOINT,
        **({} if "resolvConf" in named else {"resolvConf": node.resolv_conf}),
        **({} if node.cgroup_v2 or "failCgroupV1" in named else {"failCgroupV1": False}),
        **(_for_static_pods(named) if node.role == "control_plane" else {}),
        **({"registerWithTaints": taints} if taints else {}),
    }


def _for_static_pods(named: Mapping[str, Any]) -> dict[str, Any]:
    """A control plane's pods come back soon. What the shared config says of it stays."""
    capped = named.get("crashLoopBackOff") or "KubeletCrashLoopBackOffMax" in named.get("featureGates", {})
    return {
        **({} if "syncFrequency" in named else {"syncFrequency": RESYNC}),
        **({} if capped else {"crashLoopBackOff": {"maxContainerRestartPeriod": RESTART}}),
    }


def flags(node: NodeSettings) -> str:
    """kubeadm-flags.env. The name is always given: a machine that is renamed stays the node that it was."""
    labels = ",".join(f"{key}={value}" for key, value in own_labels(node))
    given = {"hostname-override": node.name, "node-ip": node.address}
    given |= {"node-labels": labels} if labels else {}
    line = " ".join(f"--{name}={value}" for name, value in (*given.items(), *node.kubelet_arguments))
    return f'KUBELET_KUBEADM_ARGS="{line}"\n'


def own_labels(node: NodeSettings) -> tuple[tuple[str, str], ...]:
    """The labels that the kubelet registers its node with; the others are set through the API."""
    return (*local(node), *(label for label in node.labels if registrable(label[0])))


def local(node: NodeSettings) -> tuple[tuple[str, str], ...]:
    """The label of a node with its own haproxy."""
    return (LOCAL_LB,) if node.local_balancer else ()


def registrable(key: str) -> bool:
    """Whether a kubelet may give its node this label: any other of Kubernetes' own stops it."""
    namespace = key.partition("/")[0] if "/" in key else ""
    if not _below(namespace, ("kubernetes.io", "k8s.io")):
        return True
    return key in _OWN_LABELS or _below(namespace, _OWN_NAMESPACES)


def _below(namespace: str, domains: tuple[str, ...]) -> bool:
    return any(namespace == domain or namespace.endswith(f".{domain}") for domain in domains)
