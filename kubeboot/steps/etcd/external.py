"""An etcd that runs elsewhere, as API servers reach it: endpoints, and the files by which they get in."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping

from kubeboot import render
from kubeboot.config.components import ExternalEtcd
from kubeboot.config.node import NodeSettings
from kubeboot.config.spec import ClusterSpec
from kubeboot.engine.step import Step
from kubeboot.host.api import HostView
from kubeboot.kube.etcd import CLIENT_PORT
from kubeboot.pki import endpoint, sealed
from kubeboot.steps import basic
from kubeboot.steps.etcd import loopback
from kubeboot.steps.static_pod import MANIFESTS, PKI, Volume

_SEEN_ANYWAY = (PKI, "/etc/ssl/certs", "/etc/pki/ca-trust", "/etc/pki/tls/certs")
"""What the API server's container has already."""
_BESIDE = tuple((endpoint.url(address, CLIENT_PORT),) for address in ("127.0.0.1", "::1"))


def reached(spec: ClusterSpec, node: NodeSettings) -> ExternalEtcd:
    """Where this machine's API server finds etcd, and by which files."""
    beside = ExternalEtcd(endpoints=(endpoint.url(loopback(node.address), CLIENT_PORT),))
    return spec.etcd.external or beside


def flags(etcd: ExternalEtcd) -> tuple[tuple[str, str], ...]:
    """kube-apiserver's, as kubeadm writes them."""
    return (
        ("etcd-cafile", etcd.ca_file),
        ("etcd-certfile", etcd.cert_file),
        ("etcd-keyfile", etcd.key_file),
        ("etcd-servers", ",".join(etcd.endpoints)),
    )


def volumes(spec: ClusterSpec) -> tuple[Volume, ...]:
    """The directories of its files, where the container would not see them; named as kubeadm does."""
    if spec.etcd.external is None:
        return ()
    found = sorted({posixpath.dirname(path) for path in files(spec.etcd.external).values()})
    apart = [path for path in found if not _below(path, (*_SEEN_ANYWAY, *(p for p in found if p != path)))]
    return tuple(Volume(f"etcd-certs-{n}", path, path) for n, path in enumerate(apart))


def _below(path: str, directories: tuple[str, ...]) -> bool:
    return any(f"{path}/".startswith(f"{above}/") for above in directories)


def files(etcd: ExternalEtcd) -> Mapping[str, str]:
    """Path by the name under which control planes share it."""
    return dict(zip(sealed.EXTERNAL, (etcd.ca_file, etcd.cert_file, etcd.key_file), strict=True))


def steps(spec: ClusterSpec, node: NodeSettings, given: Mapping[str, bytes]) -> tuple[Step, ...]:
    """The files that were handed over; those that the user has put there are the user's."""
    found = files(spec.etcd.external) if spec.etcd.external else {}
    return tuple(
        basic.EnsureFile(
            id=f"pki/{name.replace('.', '-')}",
            title=f"Install {path}",
            on=node.name,
            path=path,
            data=given[name],
            mode=0o600 if name.endswith(".key") else 0o644,
            secret=True,
        )
        for name, path in found.items()
        if name in given
    )


def found(see: HostView) -> ExternalEtcd | None:
    """What this machine's API server is told of an etcd elsewhere; None where it has one beside it."""
    data = see.read(f"{MANIFESTS}/kube-apiserver.yaml")
    if data is None:
        return None
    command = render.load(data)["spec"]["containers"][0]["command"]
    said = dict(str(word).removeprefix("--").partition("=")[::2] for word in command)
    servers = tuple(said.get("etcd-servers", "").split(","))
    if servers in _BESIDE:
        return None
    ca, certificate, key = (said.get(f"etcd-{name}file", "") for name in ("ca", "cert", "key"))
    return ExternalEtcd(endpoints=servers, ca_file=ca, cert_file=certificate, key_file=key)
