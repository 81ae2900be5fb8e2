"""What people do with artifacts: list, lock, pull, bundle, push."""

from __future__ import annotations

import contextlib
import dataclasses
import platform
from collections.abc import Iterator, Sequence
from pathlib import Path

from kubeboot.artifacts import api, directory, pack, push, sources
from kubeboot.artifacts.bundle import Bundle
from kubeboot.artifacts.download import Watch
from kubeboot.artifacts.known import Known
from kubeboot.artifacts.mirrors import Mirrors
from kubeboot.artifacts.registry import Registries
from kubeboot.artifacts.stock import Stock
from kubeboot.artifacts.trouble import refused
from kubeboot.config.spec import ClusterSpec

_HERE = {"x86_64": "amd64", "aarch64": "arm64"}


def this_arch() -> str:
    """This machine's architecture, as Go and registries name it."""
    return _HERE.get(platform.machine(), platform.machine())


@dataclasses.dataclass(frozen=True)
class Listing:
    """A catalog, and where each of its entries comes from (name → address)."""

    catalog: api.Catalog
    places: dict[str, str]


def listing(spec: ClusterSpec, arch: str) -> Listing:
    """What a cluster would be made of; nobody is asked, and nothing is written."""
    source = sources.source(spec, arch, peek=True)
    if isinstance(source, Stock):
        made = source.release.executables
        places = {each.name: each.url or f"image {each.image}" for each in made}
        return Listing(source.catalog(), places)
    return Listing(source.catalog(), {})


@dataclasses.dataclass(frozen=True)
class Locked:
    """The user's lock, and how many files and images of these releases are in it or in the package."""

    path: Path
    files: int
    images: int


def lock(spec: ClusterSpec, archs: Sequence[str], watch: Watch) -> Locked:
    """Ask upstream what everything is, and write it down."""
    files: set[str] = set()
    images: set[tuple[str, str]] = set()
    for arch in archs:
        with _upstream(spec, arch, watch) as stock:
            found: Known = stock.known
        files |= set(stock.release.urls()) & set(found.files)
        images |= {(name, arch) for name in stock.release.names() if found.image(name, arch)}
    return Locked(sources.lock(spec.artifacts).path, len(files), len(images))


def pull(spec: ClusterSpec, archs: Sequence[str], to: Path | None, watch: Watch) -> Path:
    """Have everything on this machine, in the cache and in a directory; where it is."""
    for arch in archs:
        with _upstream(spec, arch, watch) as stock:
            stock.verify()
            if to is not None:
                directory.fill(to, stock)
    return to or sources.cache_root(spec.artifacts)


def create(spec: ClusterSpec, arch: str, to: Path, watch: Watch, origin: Path | None = None) -> str:
    """A bundle of everything; its sha256. `origin`: a directory, instead of upstream."""
    with _upstream(spec, arch, watch, origin) as stock:
        stock.verify()
        watch.said(f"writing {to}")
        with pack.contents(stock) as contents:
            try:
                return pack.write(to, contents)
            except OSError as error:
                raise refused(f"{to} cannot be written: {error.strerror}") from None


@contextlib.contextmanager
def _upstream(spec: ClusterSpec, arch: str, watch: Watch, origin: Path | None = None) -> Iterator[Stock]:
    """Upstream or a directory, never a bundle: whoever makes one does not make it from another."""
    said = {"bundle": None, "directory": str(origin) if origin else None}
    wanted = spec.model_copy(update={"artifacts": spec.artifacts.model_copy(update=said)})
    with sources.stock(wanted, arch, watch=watch) as stock:
        yield stock


def verify(path: Path) -> api.Catalog:
    """A bundle whose every byte was checked."""
    found = Bundle(path)
    found.verify()
    return found.catalog()


def show(path: Path) -> api.Catalog:
    """What a bundle says that it holds."""
    return Bundle(path).catalog()


def push_bundle(spec: ClusterSpec, path: Path, prefix: str, watch: Watch) -> push.Pushed:
    """A verified bundle into a registry."""
    found = Bundle(path)
    found.verify()
    ways = sources.ways(spec.artifacts, watch)
    registries = Registries(ways.web, Mirrors(), ways.credentials, ways.patience)
    with contextlib.closing(ways.web):
        return push.Pusher(registries, prefix, watch, ways.patience).push(found)
