"""Rules for an etcd that runs elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from urllib.parse import urlsplit

from kubeboot.config import names
from kubeboot.config.components import Etcd
from kubeboot.config.problems import Path, Problem
from kubeboot.config.spec import ClusterSpec

_AT: Path = ("etcd", "external")
_FILES = (("caFile", "ca_file"), ("certFile", "cert_file"), ("keyFile", "key_file"))
_SHARED = "/etc/kubernetes/pki/"
_TAKEN = tuple(
    f"{_SHARED}{name}"
    for name in ("ca.crt", "ca.key", "front-proxy-ca.crt", "front-proxy-ca.key", "sa.pub", "sa.key")
)


def _endpoints(spec: ClusterSpec) -> Iterator[Problem]:
    external = spec.etcd.external
    if external is None:
        return
    if not external.endpoints:
        yield Problem((*_AT, "endpoints"), "names no member of etcd", "write one like https://10.0.0.6:2379")
    for field, urls in (("endpoints", external.endpoints), ("httpEndpoints", external.http_endpoints)):
        for n, text in enumerate(urls):
            if wrong := _url(text):
                yield Problem((*_AT, field, n), f"`{text}` {wrong}", "write it like https://10.0.0.6:2379")
            elif text in urls[:n]:
                yield Problem((*_AT, field, n), f"`{text}` is given twice", "keep one of them")


def _url(text: str) -> str | None:
    try:
        parts = urlsplit(text)
        host, port = names.split_endpoint(parts.netloc)
    except ValueError as wrong:
        return f"is not a URL: {wrong}"
    if parts.scheme != "https":
        return "is not an https URL: whoever reaches etcd without certificates owns the cluster"
    if parts.path.strip("/") or parts.query or parts.fragment:
        return "has more than a host and a port"
    address = names.ip(host)
    unusable = address is not None and (address.is_unspecified or address.is_multicast)
    return "cannot be reached from other machines" if unusable else None if port else "has no port"


def _files(spec: ClusterSpec) -> Iterator[Problem]:
    external = spec.etcd.external
    if external is None:
        return
    for field, attribute in _FILES:
        path = getattr(external, attribute)
        if wrong := names.absolute(path):
            yield Problem((*_AT, field), f"`{path}` {wrong}")
        elif path in _TAKEN:
            yield Problem((*_AT, field), f"`{path}` is the cluster's own", "etcd has an authority of its own")


def _nothing_else(spec: ClusterSpec) -> Iterator[Problem]:
    """What is said of an etcd that kubeboot would run has no effect on one that it does not run."""
    if spec.etcd.external is None:
        return
    plain = Etcd(external=spec.etcd.external)
    for name, field in Etcd.model_fields.items():
        if getattr(spec.etcd, name) != getattr(plain, name):
            path = ("etcd", field.alias or name)
            message = "is for an etcd of this cluster's own, and there is etcd.external"
            yield Problem(path, message, "keep one of them", or_at=(_AT,))


ETCD_RULES: tuple[Callable[[ClusterSpec], Iterable[Problem]], ...] = (_endpoints, _files, _nothing_else)
