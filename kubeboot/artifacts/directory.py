"""A directory with everything, as `kubeboot artifacts pull --to` makes it, and as a web server can serve it.

lock.yaml                               what everything must be
dl.k8s.io/release/…/kubelet             files, by host and path of their URL
oci-layout, index.json, blobs/sha256/…  images, as an OCI image layout
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

from kubeboot import outputs
from kubeboot.artifacts import archives, cache, oci
from kubeboot.artifacts.known import Entry, Known, UserLock
from kubeboot.artifacts.mirrors import Reference
from kubeboot.artifacts.pinning import missing
from kubeboot.artifacts.releases import Picture, Release
from kubeboot.artifacts.stock import Stock, manifest, notes
from kubeboot.artifacts.trouble import refused

LOCK = "lock.yaml"
_HINT = "`kubeboot artifacts pull --to DIRECTORY` makes a complete one"


class Directory:
    """A depot that never asks anybody. `others` is known besides its own lock, and may not contradict it."""

    def __init__(self, root: Path, others: Known) -> None:
        self.root = root
        self._others = others

    def close(self) -> None:
        """Nothing stays open."""

    def label(self) -> str:
        return f"directory {self.root.absolute()}"

    def known(self, release: Release) -> Known:
        """Its lock and the others; what is inside of archives is looked up in them."""
        found = self._others.over(UserLock(self.root / LOCK).read())
        if lacking := [name for name in missing(release, found) if not _locked(name, release, found)]:
            raise refused(f"no lock knows {lacking[0]}, which directory {self.root} should hold", _HINT)
        files = {url: self._opened(url, release, found.files[url]) for url in release.urls()}
        images = {n: {release.arch: self._peeled(n, release, found)} for n in release.names()}
        return found.over(Known(files, images))

    def urls(self, url: str) -> tuple[str, ...]:
        """Nobody else has it."""
        return ()

    def blob_urls(self, name: str, blob: oci.Descriptor) -> tuple[str, ...]:
        """Nobody else has it."""
        return ()

    def _opened(self, url: str, release: Release, entry: Entry) -> Entry:
        if all(name in entry.members for name in release.members(url)):
            return entry
        return dataclasses.replace(
            entry, members=archives.sums((self._checked(url, entry),), release.members(url))
        )

    def _peeled(self, name: str, release: Release, found: Known) -> Entry:
        entry = found.images[name][release.arch]
        if all(member in entry.members for member in release.members(name)):
            return entry
        layers = tuple(self.blob(name, each) for each in reversed(manifest(self, name, entry).layers))
        return dataclasses.replace(entry, members=archives.sums(layers, release.members(name)))

    def _checked(self, url: str, entry: Entry) -> Path:
        path = self.file(url, entry)
        _read(cache.chunks(path, entry.sha256))
        return path

    def file(self, url: str, entry: Entry) -> Path:
        return self._present(self.root / place(url))

    def blob(self, name: str, blob: oci.Descriptor) -> Path:
        return self._present(self.root / oci.blob_name(blob.digest))

    def _present(self, path: Path) -> Path:
        if not path.is_file():
            raise refused(f"{path} is missing", _HINT)
        return path

    def verify(self, release: Release, known: Known) -> None:
        """Read and check every file."""
        for url in release.urls():
            self._checked(url, known.files[url])
        for name in release.names():
            for blob in manifest(self, name, known.images[name][release.arch]).blobs:
                _read(cache.chunks(self.blob(name, blob), blob.sha256))


def _locked(name: str, release: Release, found: Known) -> bool:
    return name in found.files or found.image(name, release.arch) is not None


def _read(chunks: Iterator[bytes]) -> None:
    for _ in chunks:
        pass


def place(url: str) -> str:
    """Where a file is in a directory: its URL without the scheme."""
    return url.partition("://")[2]


def fill(root: Path, stock: Stock) -> None:
    """Copy everything of a verified stock into a directory; what is right there already stays."""
    release, found = stock.release, stock.known
    try:
        for url in release.urls():
            entry = found.files[url]
            _copy(stock.depot.file(url, entry), root / place(url), entry.sha256)
        for name in release.names():
            _copy_image(root, stock, name)
        every = UserLock(root / LOCK).add(_only(release, found))
        _write(root / oci.LAYOUT_NAME, oci.LAYOUT)
        _write(root / oci.INDEX_NAME, oci.index(tuple(_entries(root, every))))
    except OSError as error:
        raise refused(f"{error.filename or root} cannot be written: {error.strerror}") from None


def _copy_image(root: Path, stock: Stock, name: str) -> None:
    made = stock.manifest(name)
    for blob in (made.descriptor({}), *made.blobs):
        source, target = stock.depot.blob(name, blob), root / oci.blob_name(blob.digest)
        _copy(source, target, blob.sha256)


def _only(release: Release, found: Known) -> Known:
    """What is known of this release alone."""
    files = {url: found.files[url] for url in release.urls()}
    return Known(files, {n: {release.arch: found.images[n][release.arch]} for n in release.names()})


def _entries(root: Path, every: Known) -> Iterator[oci.Descriptor]:
    depot = Directory(root, Known())
    for name, archs in sorted(every.images.items()):
        for entry in archs.values():
            component = Reference.parse(name).repository.rpartition("/")[2]
            yield manifest(depot, name, entry).descriptor(notes(Picture(component, name)))


def _copy(source: Path, target: Path, sha256: str) -> None:
    if target.is_file() and target.stat().st_size == source.stat().st_size and cache.sum_of(target) == sha256:
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    with outputs.replacing(target) as file:
        for chunk in cache.chunks(source, sha256):
            file.write(chunk)


def _write(path: Path, data: bytes) -> None:
    with outputs.replacing(path) as file:
        file.write(data)
