"""Every field of kubeadm's v1beta4 documents, and what kubeboot makes of it; kubeadm.py acts on it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from kubeboot.config.problems import Path


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
    """Handled by the function of this name in kubeadm.py."""

    function: str


Action = Move | Note | Refuse | Call
Table = Mapping[str, Action]

_OWN_IMAGES = "kubeboot takes this image from its lock file or bundle"
_WAITS = "kubeboot has its own time limits; --timeout-scale stretches them"
_RUNTIME = "kubeboot installs containerd and pulls images itself"


def _component(source: str, target: str) -> dict[str, Action]:
    return {
        f"{source}.extraArgs": Move((target, "extraArgs")),
        f"{source}.extraVolumes": Call("volumes"),
        f"{source}.extraEnvs": Call("variables"),
    }


def _node(prefix: str = "nodeRegistration") -> dict[str, Action]:
    containerd = ("unix:///run/containerd/containerd.sock", "unix:///var/run/containerd/containerd.sock")
    return {
        f"{prefix}.name": Move(("node", "name")),
        f"{prefix}.taints": Move(("node", "taints")),
        f"{prefix}.criSocket": Note("kubeboot brings its own containerd", same=containerd),
        f"{prefix}.kubeletExtraArgs": Call("kubelet_arguments"),
        f"{prefix}.ignorePreflightErrors": Call("ignored"),
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
    "bootstrapTokens": Call("tokens"),
    "dryRun": Call("dry_run"),
    "localAPIEndpoint.advertiseAddress": Move(("node", "advertiseAddress")),
    "localAPIEndpoint.bindPort": Move(("apiServer", "bindPort")),
    "certificateKey": Call("certificate_key"),
    "skipPhases": Call("phases"),
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
    "certificateValidityPeriod": Call("validity"),
    "caCertificateValidityPeriod": Call("ca_validity"),
    "apiServer.certSANs": Move(("apiServer", "certSANs")),
    "dns.disabled": Call("without_dns"),
    "dns.imageRepository": Note(_OWN_IMAGES),
    "dns.imageTag": Note(_OWN_IMAGES),
    "proxy.disabled": Call("without_proxy"),
    "etcd.local.dataDir": Move(("etcd", "dataDir")),
    "etcd.local.imageRepository": Note(_OWN_IMAGES),
    "etcd.local.imageTag": Note(_OWN_IMAGES),
    "etcd.local.serverCertSANs": Move(("etcd", "serverCertSANs")),
    "etcd.local.peerCertSANs": Move(("etcd", "peerCertSANs")),
    "etcd.local.extraArgs": Move(("etcd", "extraArgs")),
    "etcd.local.extraEnvs": Call("variables"),
    **{
        f"etcd.external.{field}": Move(("etcd", "external", field))
        for field in ("endpoints", "httpEndpoints", "caFile", "certFile", "keyFile")
    },
    **_component("apiServer", "apiServer"),
    **_component("controllerManager", "controllerManager"),
    **_component("scheduler", "scheduler"),
}

JOIN: Table = {
    "dryRun": Call("dry_run"),
    "caCertPath": Refuse(
        "kubeboot keeps the CA in /etc/kubernetes/pki", same=("/etc/kubernetes/pki/ca.crt",)
    ),
    "discovery.bootstrapToken.token": Call("join_token"),
    "discovery.bootstrapToken.apiServerEndpoint": Call("join_endpoint"),
    "discovery.bootstrapToken.caCertHashes": Call("join_pins"),
    "discovery.bootstrapToken.unsafeSkipCAVerification": Refuse(
        "kubeboot never joins a cluster whose CA it cannot verify; give caCertHashes", same=(False,)
    ),
    "discovery.file": Refuse("discovery by file is not supported; give bootstrapToken"),
    "discovery.tlsBootstrapToken": Call("join_token"),
    "discovery.timeout": Note(_WAITS),
    "controlPlane": Call("control_plane"),
    "skipPhases": Call("phases"),
    "patches.directory": Move(("patches", "directory")),
    **_node(),
    **_TIMEOUTS,
}

CONTROL_PLANE: Table = {
    "controlPlane.localAPIEndpoint.advertiseAddress": Move(("node", "advertiseAddress")),
    "controlPlane.localAPIEndpoint.bindPort": Note(
        "every API server has the port that the cluster has", (6443,)
    ),
    "controlPlane.certificateKey": Call("certificate_key"),
}
"""Below JoinConfiguration's controlPlane, whose being there says that it is to be one."""

KUBELET: Table = {"clusterDomain": Move(("networking", "dnsDomain"))}
PROXY: Table = {
    "mode": Note("kube-proxy runs in nftables mode", same=("nftables",)),
    "clusterCIDR": Move(("networking", "podSubnet")),
}
OPEN: Mapping[str, str] = {"KubeletConfiguration": "kubelet", "KubeProxyConfiguration": "kubeProxy"}
"""Kinds whose every other field goes into a section as it is; what is empty there means the default."""
