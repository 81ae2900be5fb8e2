"""The control plane's command lines, flag by flag as kubeadm writes them."""

from __future__ import annotations

from kubeboot.config import tuning
from kubeboot.config.node import NodeSettings
from kubeboot.config.spec import ClusterSpec
from kubeboot.steps.etcd import external as external_etcd
from kubeboot.steps.static_pod import PKI

KUBERNETES = "/etc/kubernetes"

Flags = tuple[tuple[str, str], ...]


def apiserver(spec: ClusterSpec, node: NodeSettings) -> Flags:
    """kubeadm's flags; authorization-mode gives way to a user's authorization-config."""
    named = {argument.name for argument in spec.api_server.extra_args}
    modes = () if "authorization-config" in named else (("authorization-mode", "Node,RBAC"),)
    return (
        *modes,
        ("advertise-address", node.address),
        ("allow-privileged", "true"),
        ("client-ca-file", f"{PKI}/ca.crt"),
        ("enable-admission-plugins", "NodeRestriction"),
        ("enable-bootstrap-token-auth", "true"),
        *external_etcd.flags(external_etcd.reached(spec, node)),
        ("kubelet-client-certificate", f"{PKI}/apiserver-kubelet-client.crt"),
        ("kubelet-client-key", f"{PKI}/apiserver-kubelet-client.key"),
        ("kubelet-preferred-address-types", "InternalIP,ExternalIP,Hostname"),
        ("proxy-client-cert-file", f"{PKI}/front-proxy-client.crt"),
        ("proxy-client-key-file", f"{PKI}/front-proxy-client.key"),
        ("requestheader-allowed-names", "front-proxy-client"),
        ("requestheader-client-ca-file", f"{PKI}/front-proxy-ca.crt"),
        ("requestheader-extra-headers-prefix", "X-Remote-Extra-"),
        ("requestheader-group-headers", "X-Remote-Group"),
        ("requestheader-username-headers", "X-Remote-User"),
        ("secure-port", str(spec.api_server.bind_port)),
        ("service-account-issuer", f"https://kubernetes.default.svc.{spec.networking.dns_domain}"),
        ("service-account-key-file", f"{PKI}/sa.pub"),
        ("service-account-signing-key-file", f"{PKI}/sa.key"),
        ("service-cluster-ip-range", spec.networking.service_subnet),
        ("tls-cert-file", f"{PKI}/apiserver.crt"),
        ("tls-private-key-file", f"{PKI}/apiserver.key"),
    )


def controller_manager(spec: ClusterSpec) -> Flags:
    """kubeadm's flags with a pod subnet, and a start that is not throttled."""
    return (
        *_client_flags("controller-manager"),
        *tuning.CONTROLLER_MANAGER,
        ("allocate-node-cidrs", "true"),
        ("client-ca-file", f"{PKI}/ca.crt"),
        ("cluster-cidr", spec.networking.pod_subnet),
        ("cluster-name", spec.cluster_name),
        ("cluster-signing-cert-file", f"{PKI}/ca.crt"),
        ("cluster-signing-key-file", f"{PKI}/ca.key"),
        ("controllers", "*,bootstrapsigner,tokencleaner"),
        ("requestheader-client-ca-file", f"{PKI}/front-proxy-ca.crt"),
        ("root-ca-file", f"{PKI}/ca.crt"),
        ("service-account-private-key-file", f"{PKI}/sa.key"),
        ("service-cluster-ip-range", spec.networking.service_subnet),
        ("use-service-account-credentials", "true"),
    )


def scheduler() -> Flags:
    """kubeadm's flags."""
    return _client_flags("scheduler")


def _client_flags(name: str) -> Flags:
    kubeconfig = f"{KUBERNETES}/{name}.conf"
    files = ("kubeconfig", "authentication-kubeconfig", "authorization-kubeconfig")
    return (
        ("bind-address", "127.0.0.1"),
        ("leader-elect", "true"),
        *((flag, kubeconfig) for flag in files),
    )
