"""What a description says of the control plane's components."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from kubeboot.config.model import Fields, Gates, Model


class Argument(Model):
    """One extra command-line argument of a component; a name may appear more than once."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$")]
    value: str


class Variable(Model):
    """One environment variable of a component."""

    name: str
    value: str


class HostPathMount(Model):
    """A directory or file of the machine that a component's container sees."""

    name: str
    host_path: str
    mount_path: str
    read_only: bool = True
    path_type: str = ""


class Component(Model):
    """What can be said of every control-plane component."""

    extra_args: tuple[Argument, ...] = ()
    extra_envs: tuple[Variable, ...] = ()
    extra_volumes: tuple[HostPathMount, ...] = ()
    feature_gates: Gates = {}


class ApiServer(Component):
    """kube-apiserver."""

    cert_sans: tuple[str, ...] = Field(default=(), alias="certSANs")
    bind_port: int = 6443
    encrypt_secrets: bool = False


class ExternalEtcd(Model):
    """An etcd that runs elsewhere: its members' client URLs, and the files by which API servers get in.

    `http_endpoints` are those of its HTTP requests where etcd has separate ones. The files have the same
    paths on all control planes.
    """

    endpoints: tuple[str, ...]
    http_endpoints: tuple[str, ...] = ()
    ca_file: str = "/etc/kubernetes/pki/etcd/ca.crt"
    cert_file: str = "/etc/kubernetes/pki/apiserver-etcd-client.crt"
    key_file: str = "/etc/kubernetes/pki/apiserver-etcd-client.key"


class Etcd(Component):
    """etcd: beside each API server, or `external`, and then the other fields are not for this cluster."""

    data_dir: str = "/var/lib/etcd"
    server_cert_sans: tuple[str, ...] = Field(default=(), alias="serverCertSANs")
    peer_cert_sans: tuple[str, ...] = Field(default=(), alias="peerCertSANs")
    external: ExternalEtcd | None = None


class AuditLog(Model):
    """Where the API server writes what it audits (`-`: its standard output), and when a file is ended."""

    path: str = "/var/log/kubernetes/audit/audit.log"
    format: Literal["json", "legacy"] = "json"
    max_age_days: Annotated[int, Field(ge=0)] = 30
    max_backups: Annotated[int, Field(ge=0)] = 10
    max_size_megabytes: Annotated[int, Field(ge=1)] = 100


class Audit(Model):
    """An audit policy (`audit.k8s.io/v1`), written here or in a file, and its log."""

    policy: Fields = {}
    policy_file: str | None = None
    log: AuditLog = AuditLog()


class Admission(Model):
    """An AdmissionConfiguration (`apiserver.config.k8s.io/v1`), written here or in a file."""

    config: Fields = {}
    config_file: str | None = None
