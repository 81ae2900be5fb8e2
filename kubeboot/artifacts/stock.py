"""A release as a source, wherever its bytes lie: the one implementation behind upstream and directories."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from kubeboot.artifacts import api, archives, cache, manifests, oci
from kubeboot.artifacts.bundle import COMPONENT, CONTAINERD_NAME, NAME
from kubeboot.artifacts.known import Entry, Known
from kubeboot.artifacts.manifests import Manifest
from kubeboot.artifacts.releases import Executable, Picture, Release
from kubeboot.artifacts.trouble import refused

_NONE = Entry("")


class Depot(Protocol):
    """Where the bytes of a release lie."""

    def label(self) -> str:
        """Which one it is, in words."""
        ...

    def known(self, release: Release) -> Known:
        """What its bytes must be; what is missing in it is not known yet (a dry run asks nobody)."""
        ...

    def file(self, url: str, entry: Entry) -> Path:
        """A file, on this machine."""
        ...

    def blob(self, name: str, blob: oci.Descriptor) -> Path:
        """A part of an image, its manifest included, on this machine."""
        ...

    def urls(self, url: str) -> tuple[str, ...]:
        """Where another machine may fetch a file; nowhere, where it is on this one only."""
        ...

    def blob_urls(self, name: str, blob: oci.Descriptor) -> tuple[str, ...]:
        """The same for a part of an image: addresses at which nobody is asked who they are."""
        ...

    def verify(self, release: Release, known: Known) -> None:
        """Have everything, and check it."""
        ...

    def close(self) -> None:
        """Whatever is open."""
        ...


@dataclasses.dataclass(frozen=True)
class Place:
    """A file in the world. `member`: of a gzipped tar only this is meant."""

    urls: tuple[str, ...]
    sha256: str
    member: str = ""


class Stock:
    """What a depot has of one release. Sums that are not known are empty: they match nothing."""

    def __init__(self, release: Release, depot: Depot) -> None:
        self.release = release
        self.depot = depot

    def __enter__(self) -> Stock:
        return self

    def __exit__(self, *_: object) -> None:
        self.depot.close()

    @functools.cached_property
    def known(self) -> Known:
        """What everything must be."""
        return self.depot.known(self.release)

    def catalog(self) -> api.Catalog:
        """Everything, by what is known of it."""
        release = self.release
        images = tuple(
            api.Image(picture.component, picture.name, entry.digest if entry.sha256 else "", entry.size)
            for picture, entry in ((each, self._image(each.name)) for each in release.pictures)
        )
        return api.Catalog(
            release.kubernetes_version, release.arch, tuple(map(self._binary, release.executables)), images
        )

    def _image(self, name: str) -> Entry:
        return self.known.image(name, self.release.arch) or _NONE

    def _binary(self, executable: Executable) -> api.Binary:
        entry = self._entry(executable)
        return api.Binary(executable.name, executable.version, entry.sha256, entry.size, executable.path)

    def _entry(self, executable: Executable) -> Entry:
        """What the executable itself must be."""
        whole = (
            self._image(executable.image) if executable.image else self.known.files.get(executable.url, _NONE)
        )
        return whole.members.get(executable.member, _NONE) if executable.member else whole

    def binary(self, binary: api.Binary) -> Iterator[bytes]:
        """The bytes of one executable."""
        executable = next(each for each in self.release.executables if each.name == binary.name)
        if executable.image:
            data = archives.member(self._layers(executable.image), executable.member)
            return cache.checked(data, binary.sha256, f"{executable.member} in {executable.image}")
        path = self.depot.file(executable.url, self.known.files[executable.url])
        if executable.member:
            data = archives.member((path,), executable.member)
            return cache.checked(data, binary.sha256, f"{executable.member} in {path}")
        return cache.chunks(path, binary.sha256)

    def _layers(self, name: str) -> tuple[Path, ...]:
        """An image's layers, the uppermost first."""
        manifest = self.manifest(name)
        return tuple(self.depot.blob(name, layer) for layer in reversed(manifest.layers))

    def manifest(self, name: str) -> Manifest:
        """An image's manifest, whose digest is the known one."""
        return manifest(self.depot, name, self._image(name))

    def image(self, image: api.Image) -> Iterator[bytes]:
        """One image as an OCI image layout of its own."""
        made = self.manifest(image.name)
        entry = made.descriptor(notes(Picture(image.component, image.name)))
        blobs = {each.digest: each for each in (entry, *made.blobs)}

        def read(digest: str) -> Iterator[bytes]:
            blob = blobs[digest]
            return cache.chunks(self.depot.blob(image.name, blob), blob.sha256)

        return oci.layout(entry, [(each.digest, each.size) for each in blobs.values()], read)

    def places(self, wanted: api.Binary | api.Image) -> tuple[bytes | Place, ...]:
        """What `binary` or `image` gives, in parts that another machine can fetch; empty where it cannot."""
        found = self._binary_places(wanted) if isinstance(wanted, api.Binary) else self._image_places(wanted)
        return found if all(isinstance(part, bytes) or part.urls for part in found) else ()

    def _binary_places(self, wanted: api.Binary) -> tuple[bytes | Place, ...]:
        executable = next(each for each in self.release.executables if each.name == wanted.name)
        if executable.image:
            return ()
        entry = self.known.files[executable.url]
        return (Place(self.depot.urls(executable.url), entry.sha256, executable.member),)

    def _image_places(self, wanted: api.Image) -> tuple[bytes | Place, ...]:
        made = self.manifest(wanted.name)
        entry = made.descriptor(notes(Picture(wanted.component, wanted.name)))
        blobs = {each.digest: each for each in made.blobs}

        def place(digest: str) -> Iterator[bytes | Place]:
            if digest == entry.digest:
                yield made.data
            else:
                yield Place(self.depot.blob_urls(wanted.name, blobs[digest]), blobs[digest].sha256)

        sized = [(each.digest, each.size) for each in (entry, *blobs.values())]
        return tuple(oci.layout(entry, sized, place))

    def identity(self) -> str:
        """Changes with the place and with what is known of its bytes."""
        catalog = self.catalog()
        sums = [each.sha256 for each in catalog.binaries] + [each.digest for each in catalog.images]
        return f"{self.depot.label()}:{hashlib.sha256(' '.join(sums).encode()).hexdigest()}"

    def verify(self) -> None:
        """Have everything on this machine, and check it."""
        self.depot.verify(self.release, self.known)


def manifest(depot: Depot, name: str, entry: Entry) -> Manifest:
    """An image's manifest out of a depot."""
    path = depot.blob(name, oci.Descriptor(oci.MANIFEST, entry.digest, 0))
    data = b"".join(cache.chunks(path, entry.sha256))
    try:
        return manifests.parse(data)
    except ValueError as error:
        raise refused(f"{path}, the manifest of {name}: {error}") from None


def notes(picture: Picture) -> dict[str, str]:
    """What an image layout's index says of an image."""
    return {COMPONENT: picture.component, NAME: picture.name, CONTAINERD_NAME: picture.name}
