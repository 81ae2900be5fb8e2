"""Images out of registries: the pulling half of the OCI distribution API."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

from kubeboot.artifacts import manifests, oci, replies
from kubeboot.artifacts.credentials import Credentials
from kubeboot.artifacts.download import Wanted
from kubeboot.artifacts.manifests import INDEXES, MANIFESTS, Manifest
from kubeboot.artifacts.mirrors import Mirrors, Reference
from kubeboot.artifacts.patience import Patience
from kubeboot.artifacts.refusals import unavailable
from kubeboot.artifacts.registry_access import LARGEST, Access, damaged
from kubeboot.artifacts.trouble import Failure
from kubeboot.artifacts.web import Web

ACCEPT = ", ".join((*INDEXES, *MANIFESTS))


class Registries:
    """Every registry that a run asks."""

    def __init__(
        self, opener: Web, mirrors: Mirrors, credentials: Credentials, patience: Patience | None = None
    ) -> None:
        self._mirrors = mirrors
        self._patience = patience or Patience()
        self._access = Access(opener, credentials)
        self.open = self._access.open
        self.open_to_all = self._access.open_to_all

    def resolve(self, name: str, arch: str) -> Manifest:
        """What a tag means on an architecture today: asked over verified TLS, or not at all."""
        return self._first(name, lambda base, reference: self._resolve(base, reference.tag, arch))

    def manifest(self, name: str, digest: str) -> Manifest:
        """A platform's manifest by its digest."""
        return self._first(name, lambda base, _: self._by_digest(base, digest))

    def blob(self, name: str, blob: oci.Descriptor) -> Wanted:
        """Where a layer or a config is to be had."""
        bases = self._mirrors.repositories(Reference.parse(name))
        urls = tuple(f"{base}/blobs/{blob.digest}" for base in bases)
        return Wanted(f"a layer of {name}", blob.sha256, urls, blob.size)

    def _first(self, name: str, ask: Callable[[str, Reference], Manifest]) -> Manifest:
        """The first registry that has it."""
        reference = Reference.parse(name)
        refusals: list[tuple[str, Failure]] = []
        for base in self._mirrors.repositories(reference):
            try:
                return self._patience(functools.partial(ask, base, reference))
            except Failure as failure:
                refusals.append((base, failure))
        raise unavailable(f"image {name}", refusals)

    def _resolve(self, base: str, tag: str, arch: str) -> Manifest:
        if not base.startswith("https://"):
            raise Failure("is not https: what a tag means is only believed over verified TLS")
        data, kind = self._document(base, tag)
        with damaged():
            listed = manifests.mapping(data).get("mediaType") or kind
            if listed in INDEXES:
                return self._by_digest(base, manifests.platform(manifests.mapping(data), arch))
            return manifests.parse(data, kind)

    def listed(self, base: str, tag: str) -> Mapping[str, Any]:
        """What a tag of a repository names, as it is; empty when there is no such tag."""
        with self.open(f"{base}/manifests/{tag}", {"Accept": ACCEPT}) as reply:
            if reply.status == 404:
                return {}
            if failure := replies.problem(reply):
                raise failure
            with damaged():
                return manifests.mapping(reply.read(LARGEST))

    def _by_digest(self, base: str, digest: str) -> Manifest:
        data, kind = self._document(base, digest)
        with damaged():
            return manifests.parse(data, kind)

    def _document(self, base: str, reference: str) -> tuple[bytes, str]:
        """A manifest's bytes, whose digest is the one that was asked for, or that the registry states."""
        with self.open(f"{base}/manifests/{reference}", {"Accept": ACCEPT}) as reply:
            if failure := replies.problem(reply):
                raise failure
            data = reply.read(LARGEST)
        stated = reply.headers.get("docker-content-digest", "")
        wanted = reference if reference.startswith("sha256:") else stated
        if wanted.startswith("sha256:") and oci.digest(data) != wanted:
            raise Failure(f"sends other bytes: {oci.digest(data)} instead of {wanted}")
        return data, reply.headers.get("content-type", "")
