"""What an image is made of, as registries tell it: a platform's manifest, and the index that lists them."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

from kubeboot.artifacts import oci
from kubeboot.artifacts.trouble import Failure

DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
INDEXES = (oci.INDEX, DOCKER_LIST)
MANIFESTS = (oci.MANIFEST, DOCKER_MANIFEST)
UNREADABLE = (KeyError, TypeError, ValueError, AttributeError)
"""What comes of reading a document that is something else."""


@dataclasses.dataclass(frozen=True)
class Manifest:
    """One platform's image: the manifest's own bytes, and what it is made of."""

    data: bytes = dataclasses.field(repr=False)
    media_type: str
    config: oci.Descriptor
    layers: tuple[oci.Descriptor, ...]

    @property
    def digest(self) -> str:
        return oci.digest(self.data)

    @property
    def sha256(self) -> str:
        """The digest in hex."""
        return self.digest.removeprefix("sha256:")

    @property
    def blobs(self) -> tuple[oci.Descriptor, ...]:
        """Config and layers, each once."""
        return tuple({each.digest: each for each in (self.config, *self.layers)}.values())

    @property
    def size(self) -> int:
        return len(self.data) + sum(each.size for each in self.blobs)

    def descriptor(self, annotations: Mapping[str, str]) -> oci.Descriptor:
        return oci.Descriptor(self.media_type, self.digest, len(self.data), annotations)


def parse(data: bytes, said: str = "") -> Manifest:
    """A platform's manifest; ValueError for anything else. `said` is the answer's Content-Type."""
    body = mapping(data)
    kind = str(body.get("mediaType") or said.split(";")[0].strip() or oci.MANIFEST)
    if kind not in MANIFESTS or body.get("schemaVersion") != 2:
        raise ValueError(f"{kind} is not an image's manifest")
    try:
        config, *layers = (oci.Descriptor.parse(each) for each in (body["config"], *body["layers"]))
    except UNREADABLE as error:
        raise ValueError(f"not an image's manifest: {error}") from None
    return Manifest(data, kind, config, tuple(layers))


def mapping(data: bytes) -> Mapping[str, Any]:
    """A JSON object; ValueError for anything else."""
    body = json.loads(data)
    if not isinstance(body, dict):
        raise ValueError("not a JSON object")
    return body


def platform(index: Mapping[str, Any], arch: str) -> str:
    """The digest of the manifest for Linux on this architecture."""
    for entry in index["manifests"]:
        runs_on = entry.get("platform", {})
        if (runs_on.get("os"), runs_on.get("architecture")) == ("linux", arch):
            return oci.Descriptor.parse(entry).digest
    raise Failure(f"has no image for linux/{arch}")
