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
import json
import stat
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from kubeboot import errors
from kubeboot.artifacts import api, oci

FORMAT = "1"
CHUNK = 1 << 20
LARGEST_DOCUMENT = 8 << 20

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

    def catalog(self) -> api.Catalog:
        """What is inside, by the index and the manifests, whose sums are checked; the rest is not read."""
        return self._catalog

    def binary(self, binary: api.Binary) -> Iterator[bytes]:
        """The bytes of one executable."""
        with self._open() as file:
            yield from self._blob(file, f"sha256:{binary.sha256}")

    def image(self, image: api.Image) -> Iterator[bytes]:
        """One image as an OCI image layout of its own."""
        entry = self._image_entry(image)
        with self._open() as file:
            needed = {entry.digest} | {each.digest for each in self._contents(file, entry)}
            sized = [(digest, self._member(oci.blob_name(digest))[1]) for digest in needed]
            yield from oci.layout(entry, sized, functools.partial(self._blob, file))

    def places(self, wanted: api.Binary | api.Image) -> tuple[bytes | tuple[int, int], ...]:
        """What `binary` or `image` gives, as bytes and as (offset, size) within the bundle."""
        if isinstance(wanted, api.Binary):
            return (self._member(oci.blob_name(f"sha256:{wanted.sha256}")),)
        entry = self._image_entry(wanted)
        with self._open() as file:
            needed = {entry.digest} | {each.digest for each in self._contents(file, entry)}
        sized = [(digest, self._member(oci.blob_name(digest))[1]) for digest in needed]
        return tuple(oci.layout(entry, sized, lambda digest: iter((self._member(oci.blob_name(digest)),))))

    def manifests(self) -> tuple[oci.Descriptor, ...]:
        """Every image's, and the one that lists the binaries."""
        return self._entries

    def parts(self, entry: oci.Descriptor) -> tuple[oci.Descriptor, ...]:
        """Config and layers of a manifest."""
        with self._open() as file:
            return self._contents(file, entry)

    def blob(self, digest: str) -> Iterator[bytes]:
        """The bytes of one blob."""
        with self._open() as file:
            yield from self._blob(file, digest)

    def identity(self) -> str:
        """Path, size and time of the file."""
        try:
            found = self.path.stat()
        except OSError as error:
            raise _refused(self.path, f"cannot be read: {error.strerror}") from None
        return f"{self.path.absolute()}:{found.st_size}:{found.st_mtime_ns}"

    def verify(self) -> None:
        """Read all: every byte is as kubeboot would have written it, nothing is missing or extra."""
        with self._open() as file:
            wanted = self._reachable(file)
            names = [oci.LAYOUT_NAME, oci.INDEX_NAME, oci.SUM_NAME, *sorted(map(oci.blob_name, wanted))]
            for name in sorted(set(self._members) ^ set(names)):
                raise _refused(self.path, f"{name} is {'extra' if name in self._members else 'missing'}")
            file.seek(0)
            for name in names:
                self._verify_member(file, name)
            if file.read() != oci.END:
                raise _refused(self.path, "its end is damaged")

    def _verify_member(self, file: IO[bytes], name: str) -> None:
        size = self._member(name)[1]
        if file.read(oci.BLOCK) != oci.header(name, size):
            raise _refused(self.path, f"the header of {name} is damaged")
        if name == oci.LAYOUT_NAME and file.read(size) != oci.LAYOUT:
            raise _refused(self.path, f"{name} is damaged")
        if name in (oci.INDEX_NAME, oci.SUM_NAME):
            file.seek(size, 1)  # checked against each other when the index was opened
        if name.startswith("blobs/"):
            for _ in self._blob(file, name.removeprefix("blobs/").replace("/", ":")):
                pass
        if file.read(-size % oci.BLOCK) != oci.padding(size):
            raise _refused(self.path, f"the padding after {name} is damaged")

    def _reachable(self, file: IO[bytes]) -> set[str]:
        entries = self._entries
        return {each.digest for each in entries}.union(
            *({each.digest for each in self._contents(file, entry)} for entry in entries)
        )

    def _open(self) -> IO[bytes]:
        """A pipe is not opened: that might wait for ever."""
        try:
            if stat.S_ISREG(self.path.stat().st_mode):
                return self.path.open("rb")
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or str(error)
            raise _refused(self.path, f"cannot be read: {why}") from None
        raise _refused(self.path, "is not a plain file")

    @functools.cached_property
    def _members(self) -> Mapping[str, tuple[int, int]]:
        """Offset and size of each member, from the headers alone."""
        try:
            with self._open() as file, tarfile.open(fileobj=file, mode="r:") as tar:
                return _unique((each.name, (each.offset_data, each.size)) for each in tar if each.isreg())
        except (tarfile.TarError, ValueError, OSError) as error:
            raise _refused(self.path, f"is not a bundle: {error}") from None

    @functools.cached_property
    def _index(self) -> Mapping[str, Any]:
        with self._open() as file:
            data, stated = (self._document(file, name) for name in (oci.INDEX_NAME, oci.SUM_NAME))
        if stated != sum_line(data):
            raise _refused(self.path, f"{oci.INDEX_NAME} does not match its sum")
        return self._parse(oci.INDEX_NAME, data)

    @functools.cached_property
    def _entries(self) -> tuple[oci.Descriptor, ...]:
        try:
            entries = tuple(oci.Descriptor.parse(each) for each in self._index["manifests"])
            if self._index["annotations"][BUNDLE_FORMAT] != FORMAT:
                raise ValueError("written by another version of kubeboot")
        except _UNREADABLE as error:
            raise _refused(self.path, f"{oci.INDEX_NAME}: {error}") from None
        return entries

    @functools.cached_property
    def _catalog(self) -> api.Catalog:
        entries = self._entries
        try:
            with self._open() as file:
                about = self._index["annotations"]
                images = (self._image(file, each) for each in entries if not each.artifact_type)
                lists = (
                    self._contents(file, each)[1:] for each in entries if each.artifact_type == oci.BINARIES
                )
                binaries = (_binary(each) for layers in lists for each in layers)
                return api.Catalog(about[KUBERNETES_VERSION], about[ARCH], tuple(binaries), tuple(images))
        except _UNREADABLE as error:
            raise _refused(self.path, f"an entry is unreadable: {error}") from None

    def _image(self, file: IO[bytes], entry: oci.Descriptor) -> api.Image:
        size = entry.size + sum(each.size for each in self._contents(file, entry))
        return api.Image(entry.annotations[COMPONENT], entry.annotations[CONTAINERD_NAME], entry.digest, size)

    def _image_entry(self, image: api.Image) -> oci.Descriptor:
        for entry in self._entries:
            if entry.digest == image.digest and entry.annotations.get(CONTAINERD_NAME) == image.name:
                return entry
        raise _refused(self.path, f"has no image {image.name} with digest {image.digest}")

    def _contents(self, file: IO[bytes], entry: oci.Descriptor) -> tuple[oci.Descriptor, ...]:
        """The config and the layers of a manifest; sizes are as the members have them."""
        name = oci.blob_name(entry.digest)
        data = self._document(file, name)
        if oci.digest(data) != entry.digest:
            raise _refused(self.path, f"{name} is damaged")
        body = self._parse(name, data)
        try:
            found = tuple(oci.Descriptor.parse(each) for each in (body["config"], *body["layers"]))
        except _UNREADABLE as error:
            raise _refused(self.path, f"{name}: {error}") from None
        for each in found:
            if self._member(oci.blob_name(each.digest))[1] != each.size:
                raise _refused(self.path, f"{oci.blob_name(each.digest)} has the wrong size")
        return found

    def _member(self, name: str) -> tuple[int, int]:
        if name not in self._members:
            raise _refused(self.path, f"{name} is missing")
        return self._members[name]

    def _document(self, file: IO[bytes], name: str) -> bytes:
        offset, size = self._member(name)
        if size > LARGEST_DOCUMENT:
            raise _refused(self.path, f"{name} is too large")
        file.seek(offset)
        return file.read(size)

    def _blob(self, file: IO[bytes], digest: str) -> Iterator[bytes]:
        """The blob in chunks, one held back: the last is given only after the sum is right."""
        offset, left = self._member(oci.blob_name(digest))
        file.seek(offset)
        sum_, held = hashlib.sha256(), b""
        while left and (chunk := file.read(min(CHUNK, left))):
            if held:
                yield held
            sum_.update(chunk)
            held, left = chunk, left - len(chunk)
        if left or f"sha256:{sum_.hexdigest()}" != digest:
            raise _refused(self.path, f"{oci.blob_name(digest)} is damaged")
        yield held

    def _parse(self, name: str, data: bytes) -> Mapping[str, Any]:
        try:
            body = json.loads(data)
        except ValueError as error:
            raise _refused(self.path, f"{name}: {error}") from None
        if not isinstance(body, dict):
            raise _refused(self.path, f"{name} is not an object")
        return body


def _unique(pairs: Iterator[tuple[str, tuple[int, int]]]) -> Mapping[str, tuple[int, int]]:
    found: dict[str, tuple[int, int]] = {}
    for name, place in pairs:
        if name in found:
            raise ValueError(f"{name} is there twice")
        found[name] = place
    return found


def _binary(layer: oci.Descriptor) -> api.Binary:
    notes = layer.annotations
    return api.Binary(
        notes[TITLE], notes[VERSION], layer.digest.removeprefix("sha256:"), layer.size, notes[INSTALL_PATH]
    )


def sum_line(index: bytes) -> bytes:
    """What index.json.sha256 holds, as sha256sum writes it."""
    return f"{hashlib.sha256(index).hexdigest()}  {oci.INDEX_NAME}\n".encode()


def _refused(path: Path, why: str) -> errors.ConfigInvalid:
    hint = "copy or build the bundle again; `artifacts` in the configuration says where it is expected"
    return errors.ConfigInvalid(f"bundle {path}: {why}", hint=hint, reason="KB_ARTIFACT")
