"""Which source a description of a cluster asks for: a bundle, a directory, else upstream."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from kubeboot.artifacts import cache, credentials, releases
from kubeboot.artifacts.api import Source
from kubeboot.artifacts.bundle import Bundle
from kubeboot.artifacts.credentials import Credentials
from kubeboot.artifacts.directory import Directory
from kubeboot.artifacts.download import Watch
from kubeboot.artifacts.known import UserLock
from kubeboot.artifacts.mirrors import Mirrors
from kubeboot.artifacts.stock import Stock
from kubeboot.artifacts.trouble import refused
from kubeboot.artifacts.upstream import Upstream
from kubeboot.artifacts.ways import Ways
from kubeboot.artifacts.web import Web
from kubeboot.config import balancing
from kubeboot.config.spec import Artifacts, ClusterSpec

SYSTEM_LOCK = Path("/etc/kubeboot/lock.yaml")


def source(spec: ClusterSpec, arch: str, *, watch: Watch | None = None, peek: bool = False) -> Source:
    """What a cluster's machines of one architecture are made of; ConfigInvalid (KB_ARTIFACT) without it.

    `peek`: a dry run asks no server and writes nothing; what is not known yet has no sum in its catalog.
    """
    wanted = spec.artifacts
    require(wanted)
    if wanted.bundle is not None and not os.path.isdir(wanted.bundle):  # noqa: PTH112 - no name is an error
        return bundle(Path(wanted.bundle), spec.kubernetes_version, arch)
    return stock(spec, arch, watch=watch, peek=peek)


def require(wanted: Artifacts) -> None:
    """What is named is there; ConfigInvalid (KB_ARTIFACT) tells what is not. No machine is looked at."""
    bundle = wanted.bundle
    if bundle is not None and not (os.path.isfile(bundle) or os.path.isdir(bundle)):  # noqa: PTH112, PTH113
        hint = "copy it to this machine, or name another with --bundle"
        raise refused(f"there is no bundle {bundle}", hint)
    if wanted.directory is not None and not os.path.isdir(wanted.directory):  # noqa: PTH112
        raise refused(f"there is no directory {wanted.directory}", "name another as artifacts.directory")


def bundle(path: Path, version: str, arch: str) -> Bundle:
    """A bundle that holds what is wanted."""
    found = Bundle(path)
    held = found.catalog()
    if (held.kubernetes_version, held.arch) != (version, arch):
        raise refused(
            f"bundle {path} holds Kubernetes {held.kubernetes_version} for {held.arch},"
            f" and {version} for {arch} is wanted",
            f"`kubeboot bundle create --kubernetes-version {version} --arch {arch}` makes the right one",
        )
    return found


def stock(spec: ClusterSpec, arch: str, *, watch: Watch | None = None, peek: bool = False) -> Stock:
    """The same from a directory, or from upstream."""
    wanted, also = spec.artifacts, balancing.optional_images(spec)
    release = releases.release(spec.kubernetes_version, arch, wanted.image_repository, also)
    root = wanted.directory or wanted.bundle
    if root is not None:
        others = releases.shipped().over(lock(wanted).read())
        return Stock(release, Directory(Path(root), others))
    return Stock(release, Upstream(ways(wanted, watch or Watch()), locked=wanted.locked, peek=peek))


def ways(wanted: Artifacts, watch: Watch) -> Ways:
    """How upstream is reached, by the configuration and the environment."""
    return Ways(
        web=Web(wanted.ca_file),
        cache=cache.Cache(cache_root(wanted)),
        lock=lock(wanted),
        shipped=releases.shipped(),
        mirrors=Mirrors(wanted.mirrors),
        credentials=credentials.read(wanted.credentials_file) if wanted.credentials_file else Credentials(),
        watch=watch,
    )


def cache_root(wanted: Artifacts) -> Path:
    """Where downloads are kept."""
    return Path(wanted.cache_dir) if wanted.cache_dir else cache.place(os.environ, os.geteuid())


def lock(wanted: Artifacts) -> UserLock:
    """The user's own lock."""
    return UserLock(Path(wanted.lock_file) if wanted.lock_file else lock_path(os.environ, os.geteuid()))


def lock_path(environ: Mapping[str, str], uid: int) -> Path:
    """Where it is when nothing else is said."""
    if uid == 0:
        return SYSTEM_LOCK
    home = environ.get("XDG_CONFIG_HOME") or str(Path(environ.get("HOME", "/nonexistent")) / ".config")
    return Path(home) / "kubeboot" / "lock.yaml"
