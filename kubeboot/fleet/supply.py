"""Binaries and images for a whole fleet: one source for each architecture, opened and fetched once."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType

from kubeboot.artifacts.api import Binary, Catalog, Image, Source
from kubeboot.artifacts.bundle import Bundle
from kubeboot.artifacts.stock import Stock
from kubeboot.config.spec import ClusterSpec
from kubeboot.engine.events import Emit
from kubeboot.fleet import here
from kubeboot.fleet.reach import Reached
from kubeboot.host.sending import Download, OnMachine, Slice
from kubeboot.steps import sent

NO_CATALOGS: Mapping[str, Catalog] = MappingProxyType({})


@dataclasses.dataclass(frozen=True)
class Near:
    """A bundle that the machine has too: it takes its files from there, and their sums are checked there."""

    bundle: Bundle
    path: str

    def catalog(self) -> Catalog:
        return self.bundle.catalog()

    def binary(self, binary: Binary) -> Iterable[bytes]:
        return self._held(binary, lambda: self.bundle.binary(binary))

    def image(self, image: Image) -> Iterable[bytes]:
        return self._held(image, lambda: self.bundle.image(image))

    def _held(self, wanted: Binary | Image, stream: Callable[[], Iterable[bytes]]) -> OnMachine:
        places = self.bundle.places(wanted)
        parts = (place if isinstance(place, bytes) else Slice(self.path, *place) for place in places)
        return OnMachine(tuple(parts), stream)

    def identity(self) -> str:
        return self.bundle.identity()

    def verify(self) -> None:
        self.bundle.verify()


@dataclasses.dataclass(frozen=True)
class Remembered:
    """What the machines were made of before, as the cluster keeps it; bytes come from what is behind it."""

    known: Catalog
    behind: Callable[[], Source]

    def catalog(self) -> Catalog:
        return self.known

    def binary(self, binary: Binary) -> Iterable[bytes]:
        return self.behind().binary(binary)

    def image(self, image: Image) -> Iterable[bytes]:
        return self.behind().image(image)

    def identity(self) -> str:
        return self.behind().identity()

    def verify(self) -> None:
        """Each file is checked against its sum on its way."""


@dataclasses.dataclass(frozen=True)
class Far:
    """What the machine fetches itself; what it cannot, because a token must be shown, is sent."""

    stock: Stock

    def catalog(self) -> Catalog:
        return self.stock.catalog()

    def binary(self, binary: Binary) -> Iterable[bytes]:
        return self._there(binary, lambda: self.stock.binary(binary))

    def image(self, image: Image) -> Iterable[bytes]:
        return self._there(image, lambda: self.stock.image(image))

    def _there(self, wanted: Binary | Image, stream: Callable[[], Iterable[bytes]]) -> Iterable[bytes]:
        places = self.stock.places(wanted)
        parts = tuple(p if isinstance(p, bytes) else Download(p.urls, p.sha256, p.member) for p in places)
        return OnMachine(parts, stream) if parts else stream()

    def identity(self) -> str:
        return self.stock.identity()

    def verify(self) -> None:
        """Each file is checked against its sum on the machine."""


class Supply:
    """Sources of one description, for several threads. `peek`: nothing is asked of any server.

    `kept`: catalogs by architecture, for a workstation that has no bundle or directory of its own.
    """

    def __init__(
        self, spec: ClusterSpec, emit: Emit, *, peek: bool, kept: Mapping[str, Catalog] = NO_CATALOGS
    ) -> None:
        self._spec = spec
        self._emit = emit
        self._peek = peek
        own = spec.artifacts.bundle or spec.artifacts.directory
        self._kept = {} if own else kept
        self._lock = threading.Lock()
        self._known: dict[str, Source] = {}

    def source(self, arch: str) -> Source:
        """For machines of an architecture; downloads are complete before the first machine wants them."""
        with self._lock:
            if arch not in self._known:
                self._known[arch] = self._found(arch)
            return self._known[arch]

    def catalogs(self) -> dict[str, Catalog]:
        """What was asked for so far, by architecture."""
        with self._lock:
            return {arch: source.catalog() for arch, source in self._known.items()}

    def sent(self, arch: str) -> Bundle | None:
        """The bundle that each machine is sent as a whole."""
        whole = self._spec.artifacts.delivery == "bundle"
        source = self.source(arch) if whole else None
        return source if isinstance(source, Bundle) else None

    def near(self, who: Reached) -> Source:
        """The same, and from the bundle on the machine itself where it has it, or by its own downloads."""
        source, path = self.source(who.facts.arch), who.machine.bundle or self._spec.artifacts.bundle
        if self._spec.artifacts.delivery == "fetch" and isinstance(source, Stock):
            return Far(source)
        if self._spec.artifacts.delivery == "bundle" and isinstance(source, Bundle):
            return Near(source, sent.path(source))
        if self._peek or path is None or not isinstance(source, Bundle):
            return source
        found = who.host.stat(path)
        same = found is not None and found.size == source.path.stat().st_size
        return Near(source, path) if same else source

    def _found(self, arch: str) -> Source:
        known = self._kept.get(arch)
        if known is not None and known.kubernetes_version == self._spec.kubernetes_version:
            return Remembered(known, lambda: self._opened(arch))
        return self._opened(arch)

    def _opened(self, arch: str) -> Source:
        found = here.source(self._spec, arch, self._emit, dry=self._peek)
        fetched = self._spec.artifacts.delivery == "fetch"
        if not (self._peek or fetched or isinstance(found, Bundle)):
            found.verify()
        return found
