"""The parts of the OCI image format that a bundle is made of, in the one form that kubeboot writes."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
import tarfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeVar

T = TypeVar("T")

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
EMPTY = "application/vnd.oci.empty.v1+json"
BINARIES = "application/vnd.kubeboot.binaries.v1"
BINARY = "application/octet-stream"

LAYOUT_NAME = "oci-layout"
INDEX_NAME = "index.json"
SUM_NAME = "index.json.sha256"
BLOCK = tarfile.BLOCKSIZE
END = bytes(2 * BLOCK)
_DIGEST = re.compile(r"^sha256:[0-9a-f]{64}\Z")


@dataclasses.dataclass(frozen=True)
class Descriptor:
    """A pointer to a blob: what it is, its digest ("sha256:…") and size, and notes about it."""

    media_type: str
    digest: str
    size: int
    annotations: Mapping[str, str] = dataclasses.field(default_factory=dict)
    artifact_type: str = ""

    @property
    def sha256(self) -> str:
        """The digest in hex."""
        return self.digest.removeprefix("sha256:")

    @classmethod
    def parse(cls, data: Mapping[str, Any]) -> Descriptor:
        """From its JSON form; KeyError, TypeError or ValueError if it is none."""
        if not _DIGEST.match(data["digest"]) or type(data["size"]) is not int or data["size"] < 0:
            raise ValueError(f"not a descriptor: {data}")
        notes = data.get("annotations", {})
        return cls(data["mediaType"], data["digest"], data["size"], notes, data.get("artifactType", ""))

    def json(self) -> dict[str, object]:
        optional = {"annotations": dict(self.annotations), "artifactType": self.artifact_type}
        fields = {"mediaType": self.media_type, "digest": self.digest, "size": self.size}
        return fields | {key: value for key, value in optional.items() if value}


def dumps(data: Mapping[str, object]) -> bytes:
    """JSON with one possible form for given data, so that digests are stable."""
    return json.dumps(data, sort_keys=True, separators=(",", ":")).encode()


LAYOUT = dumps({"imageLayoutVersion": "1.0.0"})


def digest(data: bytes) -> str:
    """ "sha256:…" of some bytes."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def blob_name(digest: str) -> str:
    """Where a blob with this digest is inside an image layout."""
    return "blobs/" + digest.replace(":", "/")


def manifest(config: Descriptor, layers: tuple[Descriptor, ...], artifact_type: str = "") -> bytes:
    """The manifest that ties a config and layers together."""
    body: dict[str, object] = {"schemaVersion": 2, "mediaType": MANIFEST}
    body |= {"artifactType": artifact_type} if artifact_type else {}
    return dumps(body | {"config": config.json(), "layers": [layer.json() for layer in layers]})


def index(manifests: tuple[Descriptor, ...], annotations: Mapping[str, str] | None = None) -> bytes:
    """The index.json of a layout."""
    body: dict[str, object] = {"schemaVersion": 2, "mediaType": INDEX}
    body |= {"annotations": dict(annotations)} if annotations else {}
    return dumps(body | {"manifests": [each.json() for each in manifests]})


def layout(
    entry: Descriptor, blobs: Iterable[tuple[str, int]], read: Callable[[str], Iterator[T]]
) -> Iterator[bytes | T]:
    """One image as a tar of its own; `blobs` are (digest, size), the manifest's among them."""
    for name, data in ((LAYOUT_NAME, LAYOUT), (INDEX_NAME, index((entry,)))):
        yield header(name, len(data)) + data + padding(len(data))
    for digest, size in sorted(blobs):
        yield header(blob_name(digest), size)
        yield from read(digest)
        yield padding(size)
    yield END


def header(name: str, size: int) -> bytes:
    """A member's tar header: depends on name and size alone, so that a reader can demand it exactly."""
    info = tarfile.TarInfo(name)
    info.size, info.mode, info.mtime = size, 0o644, 0
    return info.tobuf(tarfile.USTAR_FORMAT)


def padding(size: int) -> bytes:
    """What follows a member of this size."""
    return bytes(-size % BLOCK)
