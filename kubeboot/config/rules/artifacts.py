"""Rules for mirrors, registries and the files that go with them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from urllib.parse import urlsplit

from kubeboot.config import names
from kubeboot.config.problems import Path, Problem
from kubeboot.config.spec import ClusterSpec

ANY_REGISTRY = "_default"
_LIKE = "write it like https://mirror.example.org/k8s"


def _files(spec: ClusterSpec) -> Iterator[Problem]:
    artifacts = spec.artifacts
    named: tuple[tuple[Path, str | None], ...] = (
        (("artifacts", "caFile"), artifacts.ca_file),
        (("artifacts", "credentialsFile"), artifacts.credentials_file),
        (("artifacts", "lockFile"), artifacts.lock_file),
        (("artifacts", "cacheDir"), artifacts.cache_dir),
        (("registryCredentialsFile",), spec.registry_credentials_file),
        *((("registries", n, "caFile"), each.ca_file) for n, each in enumerate(spec.registries)),
    )
    for path, text in named:
        if text is not None and (wrong := names.absolute(text)):
            yield Problem(path, f"`{text}` {wrong}")


def _mirrors(spec: ClusterSpec) -> Iterator[Problem]:
    for key, instead in spec.artifacts.mirrors.items():
        path = ("artifacts", "mirrors", key)
        if wrong := url(key, ("https",)):
            yield Problem(path, f"`{shown(key)}` {wrong}", "write it like https://dl.k8s.io")
        if not instead:
            yield Problem(path, "names no mirror", "give at least one, or remove the line")
        for n, text in enumerate(instead):
            if wrong := url(text):
                yield Problem((*path, n), f"`{shown(text)}` {wrong}", _LIKE)


def _delivery(spec: ClusterSpec) -> Iterator[Problem]:
    """What is in a bundle or a directory is on the workstation, and a bundle that is sent must be there."""
    path, artifacts = ("artifacts", "delivery"), spec.artifacts
    if artifacts.delivery == "fetch" and (artifacts.bundle or artifacts.directory):
        yield Problem(path, "is `fetch`, and there is a bundle or directory", "keep one of them")
    if artifacts.delivery == "bundle" and not artifacts.bundle:
        yield Problem(path, "is `bundle`, and there is none", "name it: artifacts.bundle, or --bundle")


def _registries(spec: ClusterSpec) -> Iterator[Problem]:
    for n, registry in enumerate(spec.registries):
        path: Path = ("registries", n)
        if registry.host != ANY_REGISTRY and (wrong := _host(registry.host)):
            yield Problem((*path, "host"), f"`{shown(registry.host)}` {wrong}", "write it like docker.io")
        for field, texts in (("server", (registry.server,)), ("mirrors", registry.mirrors)):
            for m, text in enumerate(texts):
                if text is not None and (wrong := url(text)):
                    where = (*path, field) if field == "server" else (*path, field, m)
                    yield Problem(where, f"`{shown(text)}` {wrong}", _LIKE)
    for host, count in Counter(each.host for each in spec.registries).items():
        if count > 1:
            yield Problem(("registries",), f"`{shown(host)}` is listed {count} times", "keep one of them")


def _host(text: str) -> str | None:
    wrong, _ = names.repository(text)
    return wrong or ("is more than a registry's host" if "/" in text else None)


def url(text: str, schemes: tuple[str, ...] = ("https", "http")) -> str | None:
    """What is wrong with an address that something is appended to."""
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return "is not a URL"
    if parts.scheme not in schemes or not parts.hostname or port == 0:
        return f"is not a URL of {' or '.join(schemes)}"
    if parts.username is not None or parts.password is not None:
        return "holds a password; those go into a file, named by credentialsFile"
    if parts.query or parts.fragment:
        return "has more than a host and a path"
    if any(not c.isprintable() or c in " \"'\\<>" for c in text):
        return "holds a character that no URL has"
    return None


def shown(text: str) -> str:
    """A URL as it may be shown: less the password that should not be in it."""
    head, at, rest = text.rpartition("@")
    return f"{head.partition('://')[0]}://***@{rest}" if at and "://" in head else text


ARTIFACT_RULES: tuple[Callable[[ClusterSpec], Iterable[Problem]], ...] = (
    _files,
    _mirrors,
    _delivery,
    _registries,
)
