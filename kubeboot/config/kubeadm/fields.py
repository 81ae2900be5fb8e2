"""Every field of kubeadm's v1beta4 documents, and what kubeboot makes of it; kubeadm.py acts on it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping

from kubeboot.config.kubeadm import take
from kubeboot.config.kubeadm.work import Work
from kubeboot.config.problems import Path

Take = Callable[[Work, Path, object], None]


@dataclasses.dataclass(frozen=True)
class Move:
    """The value means the same here; it goes to this path of the description."""

    to: Path


@dataclasses.dataclass(frozen=True)
class Note:
    """The value has no effect here, which is warned of unless it is one of `same`: what happens anyway."""

    why: str
    same: tuple[object, ...] = ()


@dataclasses.dataclass(frozen=True)
class Refuse:
    """Going on without it would make another cluster than the one that was asked for."""

    why: str
    same: tuple[object, ...] = ()


@dataclasses.dataclass(frozen=True)
class Call:
    """The function deals with the value."""

    function: Take


@dataclasses.dataclass(frozen=True)
class Enter:
    """That the section is there means something; its fields have rows of their own."""

    function: Take


Action = Move | Note | Refuse | Call | Enter
Table = Mapping[str, Action]

_OWN_IMAGES = "kubeboot takes this image from its lock file or bundle"
_WAITS = "kubeboot has its own time limits; --timeout-scale stretches them"
_RUNTIME = "kubeboot installs containerd and pulls images itself"


def _component(source: str, target: str) -> dict[str, Action]:
    return {
        f"{source}.extraArgs": Move((target, "extraArgs")),
        f"{source}.extraVolumes": Call(take.volumes),
        f"{source}.extraEnvs": Call(take.variables),
    }


def _node(prefix: str = "nodeRegistration") -> dict[str, Action]:
    containerd = ("unix:///run/containerd/containerd.sock", "unix:///var/run/containerd/containerd.sock")
    return {
        f"{prefix}.name": Move(("node", "name")),
        f"{prefix}.taints": Move(("node", "taints")),
        f"{prefix}.criSocket": Note("kubeboot brings its own containerd", same=containerd),
        f"{prefix}.kubeletExtraArgs": Call(take.kubelet_arguments),
        f"{prefix}.ignorePreflightErrors": Call(take.ignored),
        f"{prefix}.imagePullPolicy": Note(_RUNTIME, same=("IfNotPresent",)),
        f"{prefix}.imagePullSerial": Note(_RUNTIME),
    }


_TIMEOUTS = {
    f"timeouts.{name}": Note(_WAITS)
    for name in (
        "controlPlaneComponentHealthCheck", "kubeletHealthCheck", "kubernetesAPICall", "etcdAPICall",
        "tlsBootstrap", "discovery", "upgradeManifests",
    )
}  # fmt: skip

INIT: Table = {
    "bootstrapTokens": Call(take.bootstrap_tokens),
    "dryRun": Call(take.dry_run),
    "localAPIEndpoint.advertiseAddress": Move(("node", "advertiseAddress")),
    "localAPIEndpoint.bindPort": Move(("apiServer", "bindPort")),
    "certificateKey": Call(take.certificate_key),
    "skipPhases": Call(take.skipped_phases),
    "patches.directory": Move(("patches", "directory")),
    **_node(),
    **_TIMEOUTS,
}

CLUSTER: Table = {
    "networking.serviceSubnet": Move(("networking", "serviceSubnet")),
    "networking.podSubnet": Move(("networking", "podSubnet")),
    "networking.dnsDomain": Move(("networking", "dnsDomain")),
    "kubernetesVersion": Move(("kubernetesVersion",)),
    "controlPlaneEndpoint": Move(("controlPlaneEndpoint",)),
    "clusterName": Move(("clusterName",)),
    "imageRepository": Move(("artifacts", "imageRepository")),
    "certificatesDir": Refuse(
        "kubeboot keeps certificates in /etc/kubernetes/pki", same=("/etc/kubernetes/pki",)
    ),
    "featureGates": Note("these are kubeadm's own feature gates"),
    "encryptionAlgorithm": Move(("certificates", "algorithm")),
    "certificateValidityPeriod": Call(take.validity),
    "caCertificateValidityPeriod": Call(take.ca_validity),
    "apiServer.certSANs": Move(("apiServer", "certSANs")),
    "dns.disabled": Call(take.without_dns),
    "dns.imageRepository": Note(_OWN_IMAGES),
    "dns.imageTag": Note(_OWN_IMAGES),
    "proxy.disabled": Call(take.without_proxy),
    "etcd.local.dataDir": Move(("etcd", "dataDir")),
    "etcd.local.imageRepository": Note(_OWN_IMAGES),
    "etcd.local.imageTag": Note(_OWN_IMAGES),
    "etcd.local.serverCertSANs": Move(("etcd", "serverCertSANs")),
    "etcd.local.peerCertSANs": Move(("etcd", "peerCertSANs")),
    "etcd.local.extraArgs": Move(("etcd", "extraArgs")),
    "etcd.local.extraEnvs": Call(take.variables),
    **{
        f"etcd.external.{field}": Move(("etcd", "external", field))
        for field in ("endpoints", "httpEndpoints", "caFile", "certFile", "keyFile")
    },
    **_component("apiServer", "apiServer"),
    **_component("controllerManager", "controllerManager"),
    **_component("scheduler", "scheduler"),
}

JOIN: Table = {
    "dryRun": Call(take.dry_run),
    "caCertPath": Refuse(
        "kubeboot keeps the CA in /etc/kubernetes/pki", same=("/etc/kubernetes/pki/ca.crt",)
    ),
    "discovery.bootstrapToken.token": Call(take.join_token),
    "discovery.bootstrapToken.apiServerEndpoint": Call(take.join_endpoint),
    "discovery.bootstrapToken.caCertHashes": Call(take.join_pins),
    "discovery.bootstrapToken.unsafeSkipCAVerification": Refuse(
        "kubeboot never joins a cluster whose CA it cannot verify; give caCertHashes", same=(False,)
    ),
    "discovery.file": Refuse("discovery by file is not supported; give bootstrapToken"),
    "discovery.tlsBootstrapToken": Call(take.join_token),
    "discovery.timeout": Note(_WAITS),
    "controlPlane": Enter(take.control_plane),
    "controlPlane.localAPIEndpoint.advertiseAddress": Move(("node", "advertiseAddress")),
    "controlPlane.localAPIEndpoint.bindPort": Note(
        "every API server has the port that the cluster has", (6443,)
    ),
    "controlPlane.certificateKey": Call(take.certificate_key),
    "skipPhases": Call(take.skipped_phases),
    "patches.directory": Move(("patches", "directory")),
    **_node(),
    **_TIMEOUTS,
}

KUBELET: Table = {"clusterDomain": Move(("networking", "dnsDomain"))}
PROXY: Table = {
    "mode": Note("kube-proxy runs in nftables mode", same=("nftables",)),
    "clusterCIDR": Move(("networking", "podSubnet")),
}
OPEN: Mapping[str, str] = {"KubeletConfiguration": "kubelet", "KubeProxyConfiguration": "kubeProxy"}
"""Kinds whose every other field goes into a section as it is; what is empty there means the default."""
