"""`kubeboot.io/v1alpha1 kind: Cluster`: the whole description of a cluster, frozen and strict.

Field names follow kubeadm's v1beta4 where they mean the same. Unknown fields are refused.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from kubeboot.config.components import Admission, ApiServer, Audit, Component, Etcd
from kubeboot.config.machines import Hooks, HostEntry, NodeOptions
from kubeboot.config.model import Fields, Gates, Model

API_VERSION = "kubeboot.io/v1alpha1"
DEFAULT_VERSION = "v1.37.1"


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
