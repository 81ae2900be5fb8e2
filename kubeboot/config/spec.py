"""`kubeboot.io/v1alpha1 kind: Cluster`: the whole description of a cluster, frozen and strict.

Field names follow kubeadm's v1beta4 where they mean the same. Unknown fields are refused.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

API_VERSION = "kubeboot.io/v1alpha1"
DEFAULT_VERSION = "v1.37.1"


class Model(BaseModel):
    """Strict, frozen, camelCase in YAML."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, alias_generator=to_camel, populate_by_name=True
    )


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


class ApiServer(Component):
    """kube-apiserver. `bind_port` is where it listens; `cert_sans` are added to every serving certificate."""

    cert_sans: tuple[str, ...] = Field(default=(), alias="certSANs")
    bind_port: int = 6443


class Etcd(Component):
    """Stacked etcd."""

    data_dir: str = "/var/lib/etcd"
    server_cert_sans: tuple[str, ...] = Field(default=(), alias="serverCertSANs")
    peer_cert_sans: tuple[str, ...] = Field(default=(), alias="peerCertSANs")


class Networking(Model):
    """Address ranges in CIDR notation, and the cluster's DNS domain."""

    pod_subnet: str = "10.244.0.0/16"
    service_subnet: str = "10.96.0.0/12"
    dns_domain: str = "cluster.local"


class LoadBalancer(Model):
    """haproxy: `port` on control planes (all addresses) and on workers (127.0.0.1)."""

    port: int = 8443


class Artifacts(Model):
    """Where binaries and images come from: a bundle or a directory on the machine, else upstream.

    `mirrors` are asked instead of the URLs that begin with their key, in order. `locked`: nothing is believed
    that is in no lock.
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
    node: NodeOptions = NodeOptions()
