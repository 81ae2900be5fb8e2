"""One file with everything: an uncompressed tar that is itself an OCI image layout.

    oci-layout                what this is
    index.json                every image's manifest and one artifact manifest, which lists the binaries
    index.json.sha256         the sum of index.json; everything else is named by its own sum
    blobs/sha256/<hex> …      sorted by name, each once

Nothing is unpacked: members are read by their offset. There is exactly one way to write given contents, so a
reader can refuse a file that differs from it in any byte.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from kubeboot.artifacts import api, oci
from kubeboot.artifacts.members import Members

FORMAT = "1"

NAME = "org.opencontainers.image.ref.name"
CONTAINERD_NAME = "io.containerd.image.name"
TITLE = "org.opencontainers.image.title"
VERSION = "org.opencontainers.image.version"
COMPONENT = "kubeboot.io/component"
INSTALL_PATH = "kubeboot.io/install-path"
MODE = "kubeboot.io/mode"
KUBERNETES_VERSION = "kubeboot.io/kubernetes-version"
ARCH = "kubeboot.io/arch"
BUNDLE_FORMAT = "kubeboot.io/bundle-format"

_UNREADABLE = (KeyError, TypeError, ValueError, AttributeError)


class Bundle:
    """A bundle on this machine. Every method may raise ConfigInvalid (KB_ARTIFACT)."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = Members(path)

    def catalog(self) -> api.Catalog:
        """What is inside, by the index and the manifests, whose sums are checked; the rest is not read."""
        return self._catalog

    def binary(self, binary: api.Binary) -> Iterator[bytes]:
        """The bytes of one executable."""
        with self._file.open() as file:
            yield from self._file.blob(file, f"sha256:{binary.sha256}")

    def image(self, image: api.Image) -> Iterator[bytes]:
        """One image as an OCI image layout of its own."""
        entry = self._image_entry(image)
        with self._file.open() as file:
            needed = {entry.digest} | {each.digest for each in self._contents(file, entry)}
            sized = [(digest, self._file.place(oci.blob_name(digest))[1]) for digest in needed]
            yield from oci.layout(entry, sized, functools.partial(self._file.blob, file))

    def places(self, wanted: api.Binary | api.Image) -> tuple[bytes | tuple[int, int], ...]:
        """What `binary` or `image` gives, as bytes and as (offset, size) within the bundle."""
        if isinstance(wanted, api.Binary):
            return (self._file.place(oci.blob_name(f"sha256:{wanted.sha256}")),)
        entry = self._image_entry(wanted)
        with self._file.open() as file:
            needed = {entry.digest} | {each.digest for each in self._contents(file, entry)}
        sized = [(digest, self._file.place(oci.blob_name(digest))[1]) for digest in needed]
        return tuple(
            oci.layout(entry, sized, lambda digest: iter((self._file.place(oci.blob_name(digest)),)))
        )

    def manifests(self) -> tuple[oci.Descriptor, ...]:
        """Every image's, and the one that lists the binaries."""
        return self._entries

    def parts(self, entry: oci.Descriptor) -> tuple[oci.Descriptor, ...]:
        """Config and layers of a manifest."""
        with self._file.open() as file:
            return self._contents(file, entry)

    def blob(self, digest: str) -> Iterator[bytes]:
        """The bytes of one blob."""
        with self._file.open() as file:
            yield from self._file.blob(file, digest)

    def identity(self) -> str:
        """Path, size and time of the file."""
        return self._file.identity()

    def verify(self) -> None:
        """Read all: every byte is as kubeboot would have written it, nothing is missing or extra."""
        with self._file.open() as file:
            wanted = self._reachable(file)
            names = [oci.LAYOUT_NAME, oci.INDEX_NAME, oci.SUM_NAME, *sorted(map(oci.blob_name, wanted))]
            for name in sorted(set(self._file.places) ^ set(names)):
                raise self._file.refused(f"{name} is {'extra' if name in self._file.places else 'missing'}")
            file.seek(0)
            for name in names:
                self._file.verify(file, name)
            if file.read() != oci.END:
                raise self._file.refused("its end is damaged")

    def _reachable(self, file: IO[bytes]) -> set[str]:
        entries = self._entries
        return {each.digest for each in entries}.union(
            *({each.digest for each in self._contents(file, entry)} for entry in entries)
        )

    @functools.cached_property
    def _index(self) -> Mapping[str, Any]:
        with self._file.open() as file:
            data, stated = (self._file.document(file, name) for name in (oci.INDEX_NAME, oci.SUM_NAME))
        if stated != sum_line(data):
            raise self._file.refused(f"{oci.INDEX_NAME} does not match its sum")
        return self._file.parse(oci.INDEX_NAME, data)

    @functools.cached_property
    def _entries(self) -> tuple[oci.Descriptor, ...]:
        try:
            entries = tuple(oci.Descriptor.parse(each) for each in self._index["manifests"])
            if self._index["annotations"][BUNDLE_FORMAT] != FORMAT:
                raise ValueError("written by another version of kubeboot")
        except _UNREADABLE as error:
            raise self._file.refused(f"{oci.INDEX_NAME}: {error}") from None
        return entries

    @functools.cached_property
    def _catalog(self) -> api.Catalog:
        entries = self._entries
        try:
            with self._file.open() as file:
                about = self._index["annotations"]
                images = (self._image(file, each) for each in entries if not each.artifact_type)
                lists = (
                    self._contents(file, each)[1:] for each in entries if each.artifact_type == oci.BINARIES
                )
                binaries = (_binary(each) for layers in lists for each in layers)
                return api.Catalog(about[KUBERNETES_VERSION], about[ARCH], tuple(binaries), tuple(images))
        except _UNREADABLE as error:
            raise self._file.refused(f"an entry is unreadable: {error}") from None

    def _image(self, file: IO[bytes], entry: oci.Descriptor) -> api.Image:
        size = entry.size + sum(each.size for each in self._contents(file, entry))
        return api.Image(entry.annotations[COMPONENT], entry.annotations[CONTAINERD_NAME], entry.digest, size)

    def _image_entry(self, image: api.Image) -> oci.Descriptor:
        for entry in self._entries:
            if entry.digest == image.digest and entry.annotations.get(CONTAINERD_NAME) == image.name:
                return entry
        raise self._file.refused(f"has no image {image.name} with digest {image.digest}")

    def _contents(self, file: IO[bytes], entry: oci.Descriptor) -> tuple[oci.Descriptor, ...]:
        """The config and the layers of a manifest; sizes are as the members have them."""
        name = oci.blob_name(entry.digest)
        data = self._file.document(file, name)
        if oci.digest(data) != entry.digest:
            raise self._file.refused(f"{name} is damaged")
        body = self._file.parse(name, data)
        try:
            found = tuple(oci.Descriptor.parse(each) for each in (body["config"], *body["layers"]))
        except _UNREADABLE as error:
            raise self._file.refused(f"{name}: {error}") from None
        for each in found:
            if self._file.place(oci.blob_name(each.digest))[1] != each.size:
                raise self._file.refused(f"{oci.blob_name(each.digest)} has the wrong size")
        return found


def _binary(layer: oci.Descriptor) -> api.Binary:
    notes = layer.annotations
    return api.Binary(notes[TITLE], notes[VERSION], layer.sha256, layer.size, notes[INSTALL_PATH])


def sum_line(index: bytes) -> bytes:
    """What index.json.sha256 holds, as sha256sum writes it."""
    return f"{hashlib.sha256(index).hexdigest()}  {oci.INDEX_NAME}\n".encode()
