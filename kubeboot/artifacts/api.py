"""What a cluster is made of, and where it can be had."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Protocol

CHUNK = 1 << 20
"""Bytes that are read at a time."""


@dataclasses.dataclass(frozen=True)
class Binary:
    """One executable. `path` is where it is installed; `size` in bytes; `sha256` in hex."""

    name: str
    version: str
    sha256: str
    size: int
    path: str


@dataclasses.dataclass(frozen=True)
class Image:
    """`component` is what it is for ("etcd"), `name` its reference, `digest` its manifest's ("sha256:…")."""

    component: str
    name: str
    digest: str
    size: int = 0


@dataclasses.dataclass(frozen=True)
class Catalog:
    """Everything that a source offers for one Kubernetes version and architecture."""

    kubernetes_version: str
    arch: str
    binaries: tuple[Binary, ...]
    images: tuple[Image, ...]

    def image(self, component: str) -> Image:
        """KeyError for a component that the source does not have."""
        return {image.component: image for image in self.images}[component]

    def binary(self, name: str) -> Binary:
        """KeyError for a binary that the source does not have."""
        return {binary.name: binary for binary in self.binaries}[name]


class Source(Protocol):
    """A bundle, a directory or upstream. Bytes with a wrong sum raise before the last chunk is given."""

    def catalog(self) -> Catalog: ...
    def binary(self, binary: Binary) -> Iterable[bytes]: ...
    def image(self, image: Image) -> Iterable[bytes]:
        """An OCI image layout as a tar stream, for `ctr images import -`."""
        ...

    def identity(self) -> str:
        """Changes whenever the source's bytes may have changed (path, size, mtime of a bundle)."""
        ...

    def verify(self) -> None:
        """Read and check everything; errors.ConfigInvalid (KB_ARTIFACT) names the first bad file."""
        ...
