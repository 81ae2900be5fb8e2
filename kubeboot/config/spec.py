"""`kubeboot.io/v1alpha1 kind: Cluster`: the whole description of a cluster, frozen and strict.

Field names follow kubeadm's v1beta4 where they mean the same. Unknown fields are refused.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.alias_generators import to_camel

API_VERSION = "kubeboot.io/v1alpha1"
DEFAULT_VERSION = "v1.37.1"


class Model(BaseModel):
    """Strict, frozen, camelCase in YAML."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, alias_generator=to_camel, populate_by_name=True
    )


def listed(value: Any) -> Any:  # noqa: ANN401 - a mapping that is another program's
    """Tuples as lists, as JSON has them."""
    if isinstance(value, dict):
        return {key: listed(inner) for key, inner in value.items()}
    return [listed(inner) for inner in value] if isinstance(value, tuple | list) else value


Fields = Annotated[dict[str, Any], BeforeValidator(listed)]
"""A document of another program's: kubeboot looks at its first level only."""
Gates = dict[str, bool]


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


class Networking(Model):
    """Address ranges in CIDR notation, and the cluster's DNS domain."""

    pod_subnet: str = "10.244.0.0/16"
    service_subnet: str = "10.96.0.0/12"
    dns_domain: str = "cluster.local"


class VirtualIp(Model):
    """An address that one of the machines has which run haproxy on all their addresses, by VRRP (keepalived).

    With `peers`, the addresses of all these machines, they tell each other alone; else by multicast.
    """

    address: str
    router_id: Annotated[int, Field(ge=1, le=255)] | None = None
    peers: tuple[str, ...] = ()


class LoadBalancer(Model):
    """haproxy: on every machine (`local`: on all addresses of control planes, 127.0.0.1 of workers), on
    `machines` of its own that join with `--role lb`, or none, and the endpoint leads to yours (`external`).
    """

    mode: Literal["local", "machines", "external"] = "local"
    port: int = 8443
    virtual_ip: VirtualIp | None = Field(default=None, alias="virtualIP")


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


class Dns(Model):
    """CoreDNS. `upstream`: who is asked for names outside of the cluster, instead of the machine's own.

    `extra_corefile` is added to the Corefile: more server blocks.
    """

    replicas: Annotated[int, Field(ge=1, le=100)] = 2
    upstream: tuple[str, ...] = ()
    extra_corefile: str = ""


class Containerd(Model):
    """By which proxies containerd gets images. The cluster's own addresses are excepted always."""

    http_proxy: str | None = None
    https_proxy: str | None = None
    no_proxy: tuple[str, ...] = ()


class Patch(Model):
    """A change to what kubeboot writes, as kubeadm's patches. `patch` is YAML or JSON text."""

    target: Literal[
        "etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler",
        "kubeletconfiguration", "corednsdeployment",
    ]  # fmt: skip
    type: Literal["strategic", "merge", "json"] = "strategic"
    patch: str


class Patches(Model):
    """Those of `directory` come first: files named target[suffix][+type].yaml or .json."""

    directory: str | None = None
    inline: tuple[Patch, ...] = ()


class Artifacts(Model):
    """Where binaries and images come from: a bundle or a directory on the machine, else upstream.

    `mirrors` are asked instead of the URLs that begin with their key, in order. `locked`: nothing is believed
    that is in no lock. `delivery`: `up` sends each machine what it lacks, or the bundle once, or the machines
    fetch it.
    """

    bundle: str | None = None
    directory: str | None = None
    image_repository: str = "registry.k8s.io"
    mirrors: dict[str, tuple[str, ...]] = {}
    ca_file: str | None = None
    credentials_file: str | None = None
    lock_file: str | None = None
    cache_dir: str | None = None
    locked: bool = False
    delivery: Literal["push", "bundle", "fetch"] = "push"


class Registry(Model):
    """Where the images of workloads come from: `mirrors` are asked before the registry itself.

    `host` is the registry in an image's name, or `_default` for all that have no entry. `server` takes its
    place.
    """

    host: str
    server: str | None = None
    mirrors: tuple[str, ...] = ()
    ca_file: str | None = None


class Taint(Model):
    """A node taint."""

    key: str
    value: str = ""
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"]


class NodeOptions(Model):
    """What is particular to the machine that the command runs on."""

    name: str | None = None
    advertise_address: str | None = None
    labels: dict[str, str] = {}
    taints: tuple[Taint, ...] | None = None
    kubelet_extra_args: tuple[Argument, ...] = ()


class SshOptions(Model):
    """How a machine is reached; what is not said comes from ~/.ssh/config.

    `options` are ssh's own, by their names in ssh_config. `local`: it is the machine that runs kubeboot.
    """

    host: str | None = None
    user: str | None = None
    port: Annotated[int, Field(ge=1, le=65535)] | None = None
    key_file: str | None = None
    host_key: str | None = None
    jump: str | None = None
    options: dict[str, str] = {}
    local: bool = False


class HostEntry(Model):
    """A machine of the fleet. `address` is the one that the others reach it by."""

    name: str
    role: Literal["control-plane", "worker", "etcd", "lb"] = "worker"
    address: str | None = None
    ssh: SshOptions = SshOptions()
    labels: dict[str, str] = {}
    taints: tuple[Taint, ...] | None = None


class Hooks(BaseModel):
    """Playbooks (paths) that `kubeboot up` runs, once on each machine: before anything else, after all of it.

    `*_init`: on the first control plane alone, when the cluster is made. `before_reset`: by `down` too.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    before_host: str | None = None
    after_host: str | None = None
    before_init: str | None = None
    after_init: str | None = None
    before_reset: str | None = None


class Certificates(Model):
    """Key algorithm and validity (days) of everything that kubeboot signs."""

    algorithm: Literal["ECDSA-P256", "ECDSA-P384", "RSA-2048", "RSA-3072", "RSA-4096"] = "ECDSA-P256"
    validity_days: Annotated[int, Field(ge=1, le=36500)] = 365
    ca_validity_days: Annotated[int, Field(ge=1, le=36500)] = 3650


class ClusterSpec(Model):
    """What the cluster is to be."""

    cluster_name: str = "kubernetes"
    kubernetes_version: str = DEFAULT_VERSION
    control_plane_endpoint: str | None = None
    single: bool = False
    open_firewall: bool = False
    networking: Networking = Networking()
    api_server: ApiServer = ApiServer()
    controller_manager: Component = Component()
    scheduler: Component = Component()
    etcd: Etcd = Etcd()
    load_balancer: LoadBalancer = LoadBalancer()
    certificates: Certificates = Certificates()
    artifacts: Artifacts = Artifacts()
    registries: tuple[Registry, ...] = ()
    registry_credentials_file: str | None = None
    feature_gates: Gates = {}
    kubelet: Fields = {}
    kube_proxy: Fields = {}
    dns: Dns = Dns()
    audit: Audit = Audit()
    admission: Admission = Admission()
    containerd: Containerd = Containerd()
    patches: Patches = Patches()
    node: NodeOptions = NodeOptions()
    hosts: tuple[HostEntry, ...] = ()
    hooks: Hooks = Hooks()
