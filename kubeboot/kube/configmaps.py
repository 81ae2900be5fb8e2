"""What a cluster says of itself: kubeadm's ConfigMaps, where its tools look for them, and kubeboot's own."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

from kubeboot import render
from kubeboot.config import effective, tuning
from kubeboot.config.components import Component
from kubeboot.config.spec import API_VERSION, Artifacts, ClusterSpec
from kubeboot.kube.api import Object
from kubeboot.kube.rbac import PUBLIC, SYSTEM
from kubeboot.pki import kubeconfig

KUBEADM = "kubeadm-config"
KUBELET = "kubelet-config"
KUBEBOOT = "kubeboot-config"
INFO = "cluster-info"

KUBEADM_KEY = "ClusterConfiguration"
KUBELET_KEY = "kubelet"
KUBEBOOT_KEY = "cluster.yaml"
INFO_KEY = "kubeconfig"

_HASH = "kubeadm.kubernetes.io/component-config.hash"
_LOCAL_TO_A_MACHINE: Mapping[str, Any] = {
    "node": True,
    "hosts": True,
    "hooks": True,
    "artifacts": set(Artifacts.model_fields) - {"image_repository"},
}
_NONE: tuple[object, ...] = ((), [], {}, None, "")


def kubeadm_config(spec: ClusterSpec, control_plane: str) -> Object:
    """kubeadm's own record, with the add-ons disabled that are not kubeadm's here."""
    data = {KUBEADM_KEY: render.dump(cluster_configuration(spec, control_plane))}
    return _config_map(KUBEADM, SYSTEM, data)


def cluster_configuration(spec: ClusterSpec, control_plane: str) -> dict[str, Any]:
    """kubeadm.k8s.io/v1beta4 ClusterConfiguration. `control_plane` is the endpoint as "host:port"."""
    days, server = spec.certificates, effective.api_server(spec)
    controllers = effective.controller_manager(spec)
    return {
        "apiServer": _filled({**_component(server), "certSANs": list(server.cert_sans)}),
        "apiVersion": "kubeadm.k8s.io/v1beta4",
        "caCertificateValidityPeriod": f"{days.ca_validity_days * 24}h0m0s",
        "certificateValidityPeriod": f"{days.validity_days * 24}h0m0s",
        "certificatesDir": "/etc/kubernetes/pki",
        "clusterName": spec.cluster_name,
        "controlPlaneEndpoint": control_plane,
        "controllerManager": _filled(_component(controllers, tuning.CONTROLLER_MANAGER)),
        "dns": {"disabled": True},
        "encryptionAlgorithm": days.algorithm,
        "etcd": _etcd(spec),
        "imageRepository": spec.artifacts.image_repository,
        "kind": "ClusterConfiguration",
        "kubernetesVersion": spec.kubernetes_version,
        "networking": spec.networking.model_dump(by_alias=True),
        "proxy": {"disabled": True},
        "scheduler": _filled(_component(effective.scheduler(spec))),
    }


def kubelet_config(config: Mapping[str, Any]) -> Object:
    """The kubelets' shared settings; the annotation tells kubeadm that no user has edited them."""
    data = {KUBELET_KEY: render.dump(config)}
    digest = hashlib.sha256(data[KUBELET_KEY].encode()).hexdigest()
    return _config_map(KUBELET, SYSTEM, data, {_HASH: f"sha256:{digest}"})


def cluster_info(authority: bytes, control_plane: str) -> Object:
    """Where the cluster is and which authority it has, for everybody; the controller manager signs it."""
    config = kubeconfig.Kubeconfig(cluster="", server=f"https://{control_plane}", authority=authority)
    return _config_map(INFO, PUBLIC, {INFO_KEY: kubeconfig.encode(config).decode()})


def kubeboot_config(spec: ClusterSpec, control_plane: str) -> Object:
    """The spec less what is one machine's own: what a joining machine goes by. There is no secret in it."""
    return _config_map(KUBEBOOT, SYSTEM, {KUBEBOOT_KEY: render.dump(document(spec, control_plane))})


def document(spec: ClusterSpec, control_plane: str) -> dict[str, Any]:
    """The spec as a `kubeboot.io` document that can be loaded again."""
    named = spec.model_copy(update={"control_plane_endpoint": control_plane})
    said = named.model_dump(mode="json", by_alias=True, exclude=_LOCAL_TO_A_MACHINE, exclude_none=True)
    return {"apiVersion": API_VERSION, "kind": "Cluster", **said}


def _component(component: Component, ours: Iterable[tuple[str, str]] = ()) -> dict[str, Any]:
    given = [argument.model_dump() for argument in component.extra_args]
    named = {argument["name"] for argument in given}
    tuned = [{"name": name, "value": value} for name, value in ours if name not in named]
    return {
        "extraArgs": tuned + given,
        "extraEnvs": [variable.model_dump() for variable in component.extra_envs],
        "extraVolumes": [_filled(mount.model_dump(by_alias=True)) for mount in component.extra_volumes],
    }


def _etcd(spec: ClusterSpec) -> dict[str, Any]:
    if spec.etcd.external is not None:
        return {"external": _filled(spec.etcd.external.model_dump(mode="json", by_alias=True))}
    return {"local": _filled(_local_etcd(spec))}


def _local_etcd(spec: ClusterSpec) -> dict[str, Any]:
    made = _component(effective.etcd(spec))
    return {
        "dataDir": spec.etcd.data_dir,
        "extraArgs": made["extraArgs"],
        "extraEnvs": made["extraEnvs"],
        "serverCertSANs": list(spec.etcd.server_cert_sans),
        "peerCertSANs": list(spec.etcd.peer_cert_sans),
    }


def _filled(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value not in _NONE}


def _config_map(
    name: str, namespace: str, data: Mapping[str, str], annotations: Mapping[str, str] | None = None
) -> Object:
    noted = {"annotations": dict(annotations)} if annotations else {}
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": namespace, **noted},
        "data": dict(data),
    }
