"""Upstream, or whatever mirrors stand for it: asked once what its files are, then held to it."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from kubeboot.artifacts import oci, together
from kubeboot.artifacts.cache import sum_of
from kubeboot.artifacts.download import Downloader, Wanted
from kubeboot.artifacts.known import Entry, Known
from kubeboot.artifacts.pinning import Pinning, missing
from kubeboot.artifacts.registry import Registries
from kubeboot.artifacts.releases import Release
from kubeboot.artifacts.stock import manifest
from kubeboot.artifacts.trouble import refused
from kubeboot.artifacts.ways import Ways


class Upstream:
    """A depot. `locked`: nothing new is believed. `peek`: nobody is asked, and nothing is written."""

    def __init__(self, ways: Ways, *, locked: bool = False, peek: bool = False) -> None:
        self._ways = ways
        self._locked = locked
        self._peek = peek
        self._registries = Registries(ways.web, ways.mirrors, ways.credentials, ways.patience)
        self._downloads = Downloader(
            ways.cache, lambda url, headers: ways.web.open(url, headers), ways.watch, ways.patience
        )

    def close(self) -> None:
        self._ways.web.close()

    def label(self) -> str:
        return f"upstream, kept in {self._ways.cache.root}"

    def known(self, release: Release) -> Known:
        """What is in the locks; what is not is asked for now, and goes into the user's own."""
        known = self._ways.shipped.over(self._ways.lock.read())
        lacking = missing(release, known)
        if self._peek or not lacking:
            return known
        if self._locked:
            raise refused(
                f"{len(lacking)} artifacts are in no lock, and nothing new may be trusted: {lacking[0]} …",
                "`kubeboot artifacts lock` asks upstream for them; or set artifacts.locked to false",
            )
        return Pinning(self._ways, self._registries, self, self._gather).over(release, known)

    def _gather(self, files: Mapping[str, Entry]) -> None:
        self._downloads.all([self._wanted(url, entry) for url, entry in files.items()])

    def file(self, url: str, entry: Entry) -> Path:
        """A file in the cache, fetched if need be."""
        return self._downloads.fetch(self._wanted(url, entry))

    def _wanted(self, url: str, entry: Entry) -> Wanted:
        return Wanted(url, entry.sha256, self._ways.mirrors.urls(url), entry.size)

    def blob(self, name: str, blob: oci.Descriptor) -> Path:
        """A part of an image in the cache, fetched if need be."""
        if self._ways.cache.has(blob.sha256):
            return self._ways.cache.path(blob.sha256)
        if not blob.size:
            return self._ways.cache.put(self._registries.manifest(name, blob.digest).data)
        wanted = self._registries.blob(name, blob)
        return self._downloads.fetch(wanted, self._registries.open)

    def urls(self, url: str) -> tuple[str, ...]:
        """Upstream's own, or the mirrors'."""
        return self._ways.mirrors.urls(url)

    def blob_urls(self, name: str, blob: oci.Descriptor) -> tuple[str, ...]:
        """Where registries lead everybody to: good for some minutes."""
        found = (self._registries.open_to_all(url) for url in self._registries.blob(name, blob).urls)
        return tuple(itertools.islice((url for url in found if url), 1))

    def verify(self, release: Release, known: Known) -> None:
        """Everything is in the cache, and is what it must be: what is damaged there is fetched again."""
        files = [self._wanted(url, known.files[url]) for url in release.urls()]
        entries = {name: known.images[name][release.arch] for name in release.names()}
        self._drop_damaged([*(each.sha256 for each in files), *(each.sha256 for each in entries.values())])
        made = together.each(lambda name: manifest(self, name, entries[name]), list(entries))
        layers = {
            blob.digest: self._registries.blob(name, blob) for name, m in made.items() for blob in m.blobs
        }
        self._drop_damaged([each.sha256 for each in layers.values()])
        self._downloads.all(files)
        self._downloads.all(list(layers.values()), self._registries.open)
        self._measure(files)

    def _measure(self, files: Sequence[Wanted]) -> None:
        """Sizes are known from now on: they make the next run's progress true."""
        sized = {each.name: Entry(each.sha256, self._size(each)) for each in files if not each.size}
        if sized:
            self._ways.lock.add(Known(sized))

    def _size(self, wanted: Wanted) -> int:
        return self._ways.cache.path(wanted.sha256).stat().st_size

    def _drop_damaged(self, sums: Iterable[str]) -> None:
        for sha256 in sums:
            path = self._ways.cache.path(sha256)
            if path.is_file() and sum_of(path) != sha256:
                self._ways.watch.said(f"{path} is damaged, and is fetched again")
                path.unlink(missing_ok=True)
