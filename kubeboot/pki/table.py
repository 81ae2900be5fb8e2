"""Every authority, certificate and client identity of a cluster, as data, laid out as kubeadm does."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Callable

from kubeboot.pki import endpoint

DIRECTORY = "/etc/kubernetes/pki"
KUBECONFIGS = "/etc/kubernetes"
SERVER_NAME = "kubernetes"
"""A name that every apiserver certificate has, by which clients verify whichever apiserver answers."""


class Usage(enum.StrEnum):
    """Extended key usages."""

    SERVER = "server auth"
    CLIENT = "client auth"


CLIENT = (Usage.CLIENT,)
SERVER = (Usage.SERVER,)
BOTH = (Usage.SERVER, Usage.CLIENT)


@dataclasses.dataclass(frozen=True)
class Profile:
    """What a certificate says: its subject, what it may be used for, and the names that it answers to."""

    common_name: str
    organizations: tuple[str, ...] = ()
    usages: tuple[Usage, ...] = CLIENT
    names: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Site:
    """All that the names in certificates depend on."""

    node: str
    address: str
    service_subnet: str
    dns_domain: str
    control_plane_endpoint: str | None = None
    cert_sans: tuple[str, ...] = ()
    etcd_server_sans: tuple[str, ...] = ()
    etcd_peer_sans: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Authority:
    """A self-signed authority; `file` is relative to the pki directory, without suffix."""

    name: str
    file: str
    common_name: str


def _no_names(site: Site) -> tuple[str, ...]:
    return ()


def _apiserver_names(site: Site) -> tuple[str, ...]:
    service = ("kubernetes", "kubernetes.default", "kubernetes.default.svc")
    full = f"kubernetes.default.svc.{site.dns_domain}"
    local = (site.node, "localhost", "127.0.0.1", "::1", site.address)
    given = (endpoint.host_of(site.control_plane_endpoint),) if site.control_plane_endpoint else ()
    return (*service, full, *local, *endpoint.first_addresses(site.service_subnet), *given, *site.cert_sans)


def _etcd_names(site: Site) -> tuple[str, ...]:
    return (site.node, "localhost", "127.0.0.1", "::1", site.address)


def _etcd_server_names(site: Site) -> tuple[str, ...]:
    return (*_etcd_names(site), *site.etcd_server_sans)


def _etcd_peer_names(site: Site) -> tuple[str, ...]:
    return (*_etcd_names(site), *site.etcd_peer_sans)


@dataclasses.dataclass(frozen=True)
class Certificate:
    """A leaf; `{node}` in the common name is the node's name."""

    name: str
    file: str
    signer: str
    common_name: str
    usages: tuple[Usage, ...]
    names: Callable[[Site], tuple[str, ...]] = _no_names

    def profile(self, site: Site) -> Profile:
        """What this certificate says on that machine; every name once, in the rule's order."""
        names = tuple(dict.fromkeys(self.names(site)))
        return Profile(self.common_name.format(node=site.node), usages=self.usages, names=names)


@dataclasses.dataclass(frozen=True)
class Identity:
    """A client with its certificate in a kubeconfig; `local` ones talk to their own machine's apiserver."""

    name: str
    common_name: str
    organizations: tuple[str, ...] = ()
    local: bool = False

    @property
    def path(self) -> str:
        """The kubeconfig's path."""
        return f"{KUBECONFIGS}/{self.name}.conf"

    @property
    def profile(self) -> Profile:
        """What the certificate in it says."""
        return Profile(self.common_name, self.organizations, CLIENT)


AUTHORITIES = (
    Authority("ca", "ca", "kubernetes"),
    Authority("front-proxy-ca", "front-proxy-ca", "front-proxy-ca"),
    Authority("etcd-ca", "etcd/ca", "etcd-ca"),
)

# etcd wants client auth in its serving certificate too: it dials itself with it (etcd-io/etcd#9785).
CERTIFICATES = (
    Certificate("apiserver", "apiserver", "ca", "kube-apiserver", SERVER, _apiserver_names),
    Certificate(
        "apiserver-kubelet-client", "apiserver-kubelet-client", "ca", "kube-apiserver-kubelet-client", CLIENT
    ),
    Certificate("front-proxy-client", "front-proxy-client", "front-proxy-ca", "front-proxy-client", CLIENT),
    Certificate("etcd-server", "etcd/server", "etcd-ca", "{node}", BOTH, _etcd_server_names),
    Certificate("etcd-peer", "etcd/peer", "etcd-ca", "{node}", BOTH, _etcd_peer_names),
    Certificate(
        "etcd-healthcheck-client",
        "etcd/healthcheck-client",
        "etcd-ca",
        "kube-etcd-healthcheck-client",
        CLIENT,
    ),
    Certificate(
        "apiserver-etcd-client", "apiserver-etcd-client", "etcd-ca", "kube-apiserver-etcd-client", CLIENT
    ),
)

IDENTITIES = (
    Identity("admin", "kubernetes-admin", ("kubeadm:cluster-admins",)),
    Identity("super-admin", "kubernetes-super-admin", ("system:masters",)),
    Identity("controller-manager", "system:kube-controller-manager", local=True),
    Identity("scheduler", "system:kube-scheduler", local=True),
)


NODE = "system:node:"
"""What Node authorization knows a kubelet's name by; the Node's own follows."""


def kubelet_profile(node: str) -> Profile:
    """Who a kubelet is to the API: the name and group that Node authorization goes by."""
    return Profile(f"{NODE}{node}", ("system:nodes",), CLIENT)
