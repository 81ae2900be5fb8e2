"""kube-apiserver, kube-controller-manager and kube-scheduler as static pods, and what they wait for."""

from __future__ import annotations

from kubeboot.artifacts.api import Catalog
from kubeboot.config import effective
from kubeboot.config.node import NodeSettings
from kubeboot.config.spec import ClusterSpec
from kubeboot.engine.step import Impact, Ref, Step
from kubeboot.pki import endpoint
from kubeboot.steps import api_server_files, api_server_ready, basic, etcd, static_pod
from kubeboot.steps import component_flags as flags
from kubeboot.steps.etcd import external as external_etcd
from kubeboot.steps.pod_manifest import EnsureStaticPod
from kubeboot.steps.static_pod import PKI, StaticPod, Volume

READY = "control-plane/ready"
RIGHTS = "control-plane/rights"
_ENDPOINT = "kubeadm.kubernetes.io/kube-apiserver.advertise-address.endpoint"
_TRUST = (
    ("ca-certs", "/etc/ssl/certs"),
    ("etc-ca-certificates", "/etc/ca-certificates"),
    ("etc-pki-ca-trust", "/etc/pki/ca-trust"),
    ("etc-pki-tls-certs", "/etc/pki/tls/certs"),
    ("usr-local-share-ca-certificates", "/usr/local/share/ca-certificates"),
    ("usr-share-ca-certificates", "/usr/share/ca-certificates"),
)
"""Where distributions keep the public authorities, for webhooks and OIDC."""


def steps(spec: ClusterSpec, node: NodeSettings, catalog: Catalog) -> tuple[Step, ...]:
    """The API server's manifest goes before the kubelet; the others wait for it, so that none crash-loops."""
    pods = (
        apiserver(spec, node, catalog.image("kube-apiserver").name),
        controller_manager(spec, catalog.image("kube-controller-manager").name),
        scheduler(spec, catalog.image("kube-scheduler").name),
    )
    first, *others = (static_pod.patched(pod, spec) for pod in pods)
    files = api_server_files.steps(spec, node)
    return (
        *files,
        _manifest(node, first, Impact.API_GAP, "pki/", *(step.id for step in files)),
        *_waits(spec, node),
        *(
            _manifest(node, pod, Impact.RESTART, RIGHTS, f"kubeconfig/{pod.name.removeprefix('kube-')}")
            for pod in others
        ),
    )


def _manifest(node: NodeSettings, pod: StaticPod, impact: Impact, *after: Ref) -> Step:
    return EnsureStaticPod(
        id=f"control-plane/{pod.name}",
        title=f"Write {pod.name}'s static pod",
        on=node.name,
        after=frozenset(after),
        follows=frozenset(r for r in after if r.startswith("kubeconfig/") or r in api_server_files.READ),
        impact=impact,
        pod=pod,
        timeout_scale=node.timeout_scale,
    )


def _waits(spec: ClusterSpec, node: NodeSettings) -> tuple[Step, ...]:
    started = frozenset({"control-plane/kube-apiserver", "kubelet/service"}) | etcd.manifest(spec)
    return (
        basic.Await(
            id=RIGHTS,
            title="Wait for the API server to know rights",
            on=node.name,
            after=started,
            condition=api_server_ready.ApiServerHasRights(node.name),
            cost=3.0,
        ),
        basic.Await(
            id=READY,
            title="Wait for the API server",
            on=node.name,
            after=started,
            condition=api_server_ready.ApiServerReady(node.name),
            cost=4.0,
        ),
    )


def apiserver(spec: ClusterSpec, node: NodeSettings, image: str) -> StaticPod:
    """kube-apiserver, which talks to the etcd beside it, or to the one that runs elsewhere."""
    port, name = spec.api_server.bind_port, "kube-apiserver"
    component = effective.api_server(spec)
    pod = StaticPod(
        name,
        image,
        static_pod.command(name, flags.apiserver(spec, node), component.extra_args),
        port,
        probes=static_pod.probes("/livez", "/readyz", "/livez"),
        volumes=(*_trust(), _PKI_VOLUME, *external_etcd.volumes(spec)),
        requests=(("cpu", "250m"),),
        inputs=(
            external_etcd.reached(spec, node).ca_file,
            f"{PKI}/sa.key",
            f"{PKI}/sa.pub",
            *(value for _, value in effective.encryption_flags(spec)),
        ),
        probe_host=node.address,
        annotations=((_ENDPOINT, endpoint.join(node.address, port)),),
        capabilities=("NET_BIND_SERVICE",),
    )
    return static_pod.extended(pod, component)


def controller_manager(spec: ClusterSpec, image: str) -> StaticPod:
    """kube-controller-manager, which signs certificates and tokens."""
    name, component = "kube-controller-manager", effective.controller_manager(spec)
    pod = StaticPod(
        name,
        image,
        static_pod.command(name, flags.controller_manager(spec), component.extra_args),
        port=10257,
        probes=static_pod.probes("/healthz", None, "/healthz"),
        volumes=(*_trust(), _PKI_VOLUME, _kubeconfig_volume("controller-manager")),
        requests=(("cpu", "200m"),),
        inputs=(f"{flags.KUBERNETES}/controller-manager.conf", f"{PKI}/ca.crt", f"{PKI}/sa.key"),
    )
    return static_pod.extended(pod, component)


def scheduler(spec: ClusterSpec, image: str) -> StaticPod:
    """kube-scheduler."""
    name, component = "kube-scheduler", effective.scheduler(spec)
    pod = StaticPod(
        name,
        image,
        static_pod.command(name, flags.scheduler(), component.extra_args),
        port=10259,
        probes=static_pod.probes("/livez", "/readyz", "/livez"),
        volumes=(_kubeconfig_volume("scheduler"),),
        requests=(("cpu", "100m"),),
        inputs=(f"{flags.KUBERNETES}/scheduler.conf",),
    )
    return static_pod.extended(pod, component)


_PKI_VOLUME = Volume("k8s-certs", PKI, PKI)


def _kubeconfig_volume(name: str) -> Volume:
    path = f"{flags.KUBERNETES}/{name}.conf"
    return Volume("kubeconfig", path, path, kind="FileOrCreate")


def _trust() -> tuple[Volume, ...]:
    return tuple(Volume(name, path, path, optional=True) for name, path in _TRUST)
