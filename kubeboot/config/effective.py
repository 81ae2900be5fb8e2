"""What follows from the description: flags, volumes and settings that nobody wrote as such."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from kubeboot.config import merging
from kubeboot.config.components import ApiServer, Argument, Component, Etcd, HostPathMount
from kubeboot.config.spec import ClusterSpec

AUDIT_POLICY = "/etc/kubernetes/audit/policy.yaml"
ADMISSION_CONFIG = "/etc/kubernetes/admission/config.yaml"
ENCRYPTION = "/etc/kubernetes/pki/encryption.yaml"
"""The EncryptionConfiguration, in a directory that API servers see; every control plane has the same."""
STDOUT = "-"
ETCD_GATES = {"InitialCorruptCheck": True}
"""What kubeadm gives etcd."""

Flags = tuple[tuple[str, str], ...]


def api_server(spec: ClusterSpec) -> ApiServer:
    """The API server's section with what feature gates, audit, admission and encryption ask for."""
    given = spec.api_server
    flags = (*_gates(spec, given), *audit_flags(spec), *admission_flags(spec), *encryption_flags(spec))
    volumes = (*_audit_volumes(spec), *_admission_volumes(spec), *given.extra_volumes)
    return given.model_copy(update={"extra_args": _with(flags, given), "extra_volumes": volumes})


def controller_manager(spec: ClusterSpec) -> Component:
    """The controller-manager's section with its feature gates."""
    return _gated(spec, spec.controller_manager)


def scheduler(spec: ClusterSpec) -> Component:
    """The scheduler's section with its feature gates."""
    return _gated(spec, spec.scheduler)


def etcd(spec: ClusterSpec) -> Etcd:
    """etcd's section; its feature gates are its own, and none of Kubernetes'."""
    if not spec.etcd.feature_gates:
        return spec.etcd
    flags = (("feature-gates", gates({**ETCD_GATES, **spec.etcd.feature_gates})),)
    return spec.etcd.model_copy(update={"extra_args": _with(flags, spec.etcd)})


def gates(wanted: Mapping[str, bool]) -> str:
    """Feature gates as flags take them."""
    return ",".join(f"{name}={str(on).lower()}" for name, on in sorted(wanted.items()))


def kubelet(spec: ClusterSpec, ours: Mapping[str, Any]) -> dict[str, Any]:
    """The kubelets' shared settings: kubeboot's, the shared feature gates, the user's."""
    return _settings(spec, ours, spec.kubelet)


def kube_proxy(spec: ClusterSpec, ours: Mapping[str, Any]) -> dict[str, Any]:
    """kube-proxy's settings: kubeboot's, the shared feature gates, the user's."""
    return _settings(spec, ours, spec.kube_proxy)


def _settings(spec: ClusterSpec, ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> dict[str, Any]:
    shared = {"featureGates": dict(sorted(spec.feature_gates.items()))} if spec.feature_gates else {}
    return merging.deep(merging.deep(ours, shared), theirs)


def proxy_variables(spec: ClusterSpec, address: str) -> Flags:
    """containerd's environment; nothing where it needs no proxy. `address` is its machine's."""
    given = spec.containerd
    named = (("HTTP_PROXY", given.http_proxy), ("HTTPS_PROXY", given.https_proxy))
    proxies = tuple((name, value) for name, value in named if value)
    own = ("localhost", "127.0.0.1", address, spec.networking.pod_subnet, spec.networking.service_subnet)
    names = (".svc", f".{spec.networking.dns_domain}")
    never = ",".join(dict.fromkeys((*own, *names, *given.no_proxy)))
    return (*proxies, ("NO_PROXY", never)) if proxies else ()


def audit_flags(spec: ClusterSpec) -> Flags:
    """kube-apiserver's, when there is a policy."""
    log = spec.audit.log
    if not spec.audit.policy:
        return ()
    ends = (
        ("audit-log-maxage", str(log.max_age_days)),
        ("audit-log-maxbackup", str(log.max_backups)),
        ("audit-log-maxsize", str(log.max_size_megabytes)),
    )
    return (
        ("audit-policy-file", AUDIT_POLICY),
        ("audit-log-path", log.path),
        ("audit-log-format", log.format),
        *(ends if log.path != STDOUT else ()),
    )


def admission_flags(spec: ClusterSpec) -> Flags:
    """kube-apiserver's, when there is a configuration."""
    return (("admission-control-config-file", ADMISSION_CONFIG),) if spec.admission.config else ()


def encryption_flags(spec: ClusterSpec) -> Flags:
    """kube-apiserver's, where Secrets are encrypted in etcd."""
    return (("encryption-provider-config", ENCRYPTION),) if spec.api_server.encrypt_secrets else ()


def audit_directory(spec: ClusterSpec) -> str | None:
    """Where the log's files are; None when there are none."""
    path = spec.audit.log.path
    return path.rpartition("/")[0] if spec.audit.policy and path != STDOUT else None


def _audit_volumes(spec: ClusterSpec) -> tuple[HostPathMount, ...]:
    directory = audit_directory(spec)
    log = _mount("audit-log", directory, "DirectoryOrCreate", read_only=False) if directory else None
    policy = _mount("audit-policy", AUDIT_POLICY, "File") if spec.audit.policy else None
    return tuple(volume for volume in (policy, log) if volume is not None)


def _admission_volumes(spec: ClusterSpec) -> tuple[HostPathMount, ...]:
    return (_mount("admission-config", ADMISSION_CONFIG, "File"),) if spec.admission.config else ()


def _mount(name: str, path: str, kind: str, *, read_only: bool = True) -> HostPathMount:
    return HostPathMount(name=name, host_path=path, mount_path=path, read_only=read_only, path_type=kind)


def _gates(spec: ClusterSpec, component: Component) -> Flags:
    wanted = {**spec.feature_gates, **component.feature_gates}
    return (("feature-gates", gates(wanted)),) if wanted else ()


def _gated(spec: ClusterSpec, component: Component) -> Component:
    return component.model_copy(update={"extra_args": _with(_gates(spec, component), component)})


def _with(flags: Iterable[tuple[str, str]], component: Component) -> tuple[Argument, ...]:
    return (*(Argument(name=name, value=value) for name, value in flags), *component.extra_args)
