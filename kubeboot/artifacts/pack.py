"""Writes a bundle: the same contents give the same bytes, and a name never holds half a bundle."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO

from kubeboot import errors, outputs
from kubeboot.artifacts import api, bundle, oci
from kubeboot.artifacts.stock import Stock


@dataclasses.dataclass(frozen=True)
class Blob:
    """Some bytes by their digest ("sha256:…"): in memory or in a file."""

    digest: str
    size: int
    source: Path | bytes = dataclasses.field(repr=False)

    @classmethod
    def of(cls, source: Path | bytes) -> Blob:
        """Measure a file or bytes."""
        if isinstance(source, bytes):
            return cls(oci.digest(source), len(source), source)
        with source.open("rb") as file:
            return cls(
                "sha256:" + hashlib.file_digest(file, "sha256").hexdigest(), source.stat().st_size, source
            )

    def chunks(self) -> Iterator[bytes]:
        """The bytes; ConfigInvalid before the end if they are no longer those that were measured."""
        sum_ = hashlib.sha256()
        for chunk in _read(self.source):
            sum_.update(chunk)
            yield chunk
        if f"sha256:{sum_.hexdigest()}" != self.digest:
            raise errors.ConfigInvalid(f"{self.source!r} changed while it was read", reason="KB_ARTIFACT")

    def descriptor(self, media_type: str, annotations: Mapping[str, str] | None = None) -> oci.Descriptor:
        return oci.Descriptor(media_type, self.digest, self.size, annotations or {})


@dataclasses.dataclass(frozen=True)
class Image:
    """An image to pack: what it is for, its full reference, its config and its layers.

    The layers are uncompressed ones, unless the image brings the `manifest` that says what they are.
    """

    component: str
    name: str
    config: Blob
    layers: tuple[Blob, ...]
    manifest: Blob | None = None
    media_type: str = oci.MANIFEST


@dataclasses.dataclass(frozen=True)
class Binary:
    """An executable to pack, and where it is installed."""

    name: str
    version: str
    path: str
    content: Blob
    mode: int = 0o755


@dataclasses.dataclass(frozen=True)
class Contents:
    """Everything that goes into a bundle."""

    kubernetes_version: str
    arch: str
    images: tuple[Image, ...]
    binaries: tuple[Binary, ...]


@contextlib.contextmanager
def contents(stock: Stock) -> Iterator[Contents]:
    """What a verified stock has, to be packed while the context lasts."""
    catalog = stock.catalog()
    with tempfile.TemporaryDirectory(prefix="kubeboot-") as directory:
        binaries = tuple(_unpacked(stock, each, Path(directory)) for each in catalog.binaries)
        images = tuple(_taken(stock, each) for each in catalog.images)
        yield Contents(catalog.kubernetes_version, catalog.arch, images, binaries)


def _unpacked(stock: Stock, binary: api.Binary, directory: Path) -> Binary:
    path = directory / binary.name
    with path.open("wb") as file:
        for chunk in stock.binary(binary):
            file.write(chunk)
    return Binary(binary.name, binary.version, binary.path, Blob.of(path))


def _taken(stock: Stock, image: api.Image) -> Image:
    manifest = stock.manifest(image.name)
    config, *layers = (
        Blob(each.digest, each.size, stock.depot.blob(image.name, each))
        for each in (manifest.config, *manifest.layers)
    )
    data = Blob.of(manifest.data)
    return Image(image.component, image.name, config, tuple(layers), data, manifest.media_type)


def write(path: Path, contents: Contents) -> str:
    """Write a bundle, replacing what `path` held only when the new one is complete; its sha256 in hex."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with outputs.replacing(path) as file:
        return _write_members(file, contents)


def _write_members(file: IO[bytes], contents: Contents) -> str:
    sum_ = hashlib.sha256()
    for chunk in _stream(contents):
        sum_.update(chunk)
        file.write(chunk)
    return sum_.hexdigest()


def _stream(contents: Contents) -> Iterator[bytes]:
    entries, blobs = _pack(contents)
    about = {
        bundle.BUNDLE_FORMAT: bundle.FORMAT,
        bundle.KUBERNETES_VERSION: contents.kubernetes_version,
        bundle.ARCH: contents.arch,
    }
    index = oci.index(entries, about)
    yield from _member(oci.LAYOUT_NAME, Blob.of(oci.LAYOUT))
    yield from _member(oci.INDEX_NAME, Blob.of(index))
    yield from _member(oci.SUM_NAME, Blob.of(bundle.sum_line(index)))
    for name, blob in sorted((oci.blob_name(each.digest), each) for each in blobs.values()):
        yield from _member(name, blob)
    yield oci.END


def _member(name: str, blob: Blob) -> Iterator[bytes]:
    yield oci.header(name, blob.size)
    yield from blob.chunks()
    yield oci.padding(blob.size)


def _pack(contents: Contents) -> tuple[tuple[oci.Descriptor, ...], Mapping[str, Blob]]:
    """The index's entries and every blob, each once."""
    images = sorted(contents.images, key=lambda image: image.component)
    packed = [*map(_pack_image, images), _pack_binaries(contents.binaries)]
    blobs = {blob.digest: blob for _, found in packed for blob in found}
    return tuple(entry for entry, _ in packed), blobs


def _pack_image(image: Image) -> tuple[oci.Descriptor, tuple[Blob, ...]]:
    layers = tuple(layer.descriptor(oci.LAYER) for layer in image.layers)
    manifest = image.manifest or Blob.of(oci.manifest(image.config.descriptor(oci.CONFIG), layers))
    notes = {
        bundle.COMPONENT: image.component,
        bundle.NAME: image.name,
        bundle.CONTAINERD_NAME: image.name,
    }
    return manifest.descriptor(image.media_type, notes), (manifest, image.config, *image.layers)


def _pack_binaries(binaries: tuple[Binary, ...]) -> tuple[oci.Descriptor, tuple[Blob, ...]]:
    ordered = sorted(binaries, key=lambda binary: binary.name)
    empty = Blob.of(b"{}")
    layers = tuple(each.content.descriptor(oci.BINARY, _notes(each)) for each in ordered)
    manifest = Blob.of(oci.manifest(empty.descriptor(oci.EMPTY), layers, oci.BINARIES))
    entry = dataclasses.replace(manifest.descriptor(oci.MANIFEST), artifact_type=oci.BINARIES)
    return entry, (manifest, empty, *(each.content for each in ordered))


def _notes(binary: Binary) -> Mapping[str, str]:
    return {
        bundle.TITLE: binary.name,
        bundle.VERSION: binary.version,
        bundle.INSTALL_PATH: binary.path,
        bundle.MODE: f"{binary.mode:04o}",
    }


def _read(source: Path | bytes) -> Iterator[bytes]:
    if isinstance(source, bytes):
        yield source
        return
    with source.open("rb") as file:
        while chunk := file.read(api.CHUNK):
            yield chunk
