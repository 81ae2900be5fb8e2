"""A bundle into a registry: every image under its own name below a prefix, the binaries as an artifact.

What is pushed this way is a mirror: `artifacts.mirrors: {https://registry.k8s.io: [https://registry.example/k8s]}`.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar
from urllib.parse import urljoin

from kubeboot.artifacts import oci, replies
from kubeboot.artifacts.bundle import Bundle
from kubeboot.artifacts.download import Watch
from kubeboot.artifacts.manifests import INDEXES
from kubeboot.artifacts.mirrors import Mirrors, Reference
from kubeboot.artifacts.patience import Patience
from kubeboot.artifacts.refusals import unavailable
from kubeboot.artifacts.registry import Registries
from kubeboot.artifacts.trouble import Failure
from kubeboot.config import names

T = TypeVar("T")

BINARIES = "kubeboot-binaries"


@dataclasses.dataclass(frozen=True)
class Pushed:
    """What is in the registry now, by full name, and how many of its blobs had to be uploaded."""

    names: tuple[str, ...]
    uploaded: int


@dataclasses.dataclass(frozen=True)
class Place:
    """A repository of the registry, by the address of its API and by its name."""

    base: str
    name: str


class Pusher:
    """Pushes to one registry, below one prefix (`registry.example:5000/k8s`)."""

    def __init__(
        self, registries: Registries, prefix: str, watch: Watch, patience: Patience | None = None
    ) -> None:
        self._registries = registries
        self._prefix = prefix
        self._watch = watch
        self._patience = patience or Patience()
        self._there: dict[str, str] = {}
        self._uploaded = 0

    def push(self, bundle: Bundle) -> Pushed:
        """Everything of a verified bundle: blobs first, then what names them."""
        catalog = bundle.catalog()
        pushed: list[str] = []
        for image in catalog.images:
            entry = next(each for each in bundle.manifests() if each.digest == image.digest)
            for repository, tag in names_of(image.name):
                pushed.append(self._one(bundle, entry, repository, tag, catalog.arch))
        tag = f"{catalog.kubernetes_version}-{catalog.arch}"
        for entry in bundle.manifests():
            if entry.artifact_type:
                pushed.append(self._one(bundle, entry, BINARIES, tag, ""))
        return Pushed(tuple(pushed), self._uploaded)

    def _one(self, bundle: Bundle, entry: oci.Descriptor, repository: str, tag: str, arch: str) -> str:
        place = self._place(repository)
        for blob in bundle.parts(entry):
            self._asked(place, functools.partial(self._blob, bundle, blob, place))
        data = b"".join(bundle.blob(entry.digest))
        put = functools.partial(self._manifest, place)
        self._asked(place, functools.partial(put, entry.digest, entry.media_type, data))
        if arch:
            index = self._asked(place, functools.partial(self._index, place, tag, entry, arch))
            self._asked(place, functools.partial(put, tag, oci.INDEX, index))
        else:
            self._asked(place, functools.partial(put, tag, entry.media_type, data))
        self._watch.said(f"pushed {place.name}:{tag}")
        return f"{place.name}:{tag}"

    def _place(self, repository: str) -> Place:
        name = f"{self._prefix.rpartition('://')[2]}/{repository}"
        api = Mirrors().repositories(Reference.parse(f"{name}:any"))[0]
        plain = self._prefix.startswith("http://")
        return Place(api.replace("https://", "http://", 1) if plain else api, name)

    def _asked(self, place: Place, ask: Callable[[], T]) -> T:
        try:
            return self._patience(ask)
        except Failure as failure:
            raise unavailable(place.name, [(place.base, failure)], done="pushed") from None

    def _blob(self, bundle: Bundle, blob: oci.Descriptor, place: Place) -> None:
        with self._registries.open(f"{place.base}/blobs/{blob.digest}", {}, "HEAD") as reply:
            if reply.status == 200:
                self._there[blob.digest] = place.base
                return
        where = self._begin(blob, place)
        if where is not None:
            self._upload(bundle, blob, where)
            self._uploaded += 1
        self._there[blob.digest] = place.base

    def _begin(self, blob: oci.Descriptor, place: Place) -> str | None:
        """Where to upload to; None when the registry took the blob from a repository that has it."""
        url = f"{place.base}/blobs/uploads/"
        if (other := self._there.get(blob.digest)) is not None:
            url += f"?mount={blob.digest}&from={other.partition('/v2/')[2]}"
        with self._registries.open(url, {"Content-Length": "0"}, "POST") as reply:
            if reply.status == 201:
                return None
            if reply.status != 202 or "location" not in reply.headers:
                raise _failure(reply)
            return urljoin(reply.url, reply.headers["location"])

    def _upload(self, bundle: Bundle, blob: oci.Descriptor, where: str) -> None:
        url = f"{where}{'&' if '?' in where else '?'}digest={blob.digest}"
        headers = {"Content-Length": str(blob.size), "Content-Type": "application/octet-stream"}
        with self._registries.open(url, headers, "PUT", self._told(bundle, blob)) as reply:
            if reply.status != 201:
                raise _failure(reply)

    def _told(self, bundle: Bundle, blob: oci.Descriptor) -> Iterator[bytes]:
        done = 0
        for chunk in bundle.blob(blob.digest):
            yield chunk
            done += len(chunk)
            self._watch.moved(blob.digest, done, blob.size)

    def _manifest(self, place: Place, reference: str, kind: str, data: bytes) -> None:
        headers = {"Content-Type": kind, "Content-Length": str(len(data))}
        with self._registries.open(f"{place.base}/manifests/{reference}", headers, "PUT", data) as reply:
            if reply.status != 201:
                raise _failure(reply)

    def _index(self, place: Place, tag: str, entry: oci.Descriptor, arch: str) -> bytes:
        """What the tag names: this architecture's image, beside those that it named before."""
        others = [each for each in self._named(place, tag) if each.get("platform") != _platform(arch)]
        ours = oci.Descriptor(entry.media_type, entry.digest, entry.size).json() | {
            "platform": _platform(arch)
        }
        return oci.dumps({"schemaVersion": 2, "mediaType": oci.INDEX, "manifests": [*others, ours]})

    def _named(self, place: Place, tag: str) -> list[Mapping[str, Any]]:
        found = self._registries.listed(place.base, tag)
        return list(found.get("manifests", [])) if found.get("mediaType") in INDEXES else []


def _platform(arch: str) -> dict[str, str]:
    return {"os": "linux", "architecture": arch}


def _failure(reply: replies.Reply) -> Failure:
    return replies.problem(reply) or Failure(
        f"answers {reply.status}, which is not an answer to this request"
    )


def names_of(image: str) -> tuple[tuple[str, str], ...]:
    """The (repository, tag) of an image below a prefix, and where kubeadm's imageRepository looks for it."""
    reference = Reference.parse(image)
    first = reference.repository
    return tuple((each, reference.tag) for each in dict.fromkeys((first, first.removeprefix("coredns/"))))


def prefix_problem(text: str) -> str | None:
    """What is wrong with `registry/prefix`, where a bundle is to be pushed."""
    return names.repository(text.removeprefix("http://").removeprefix("https://"))[0]
