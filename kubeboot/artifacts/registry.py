"""Images out of registries: the pulling half of the OCI distribution API, with the usual ways to log in."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import json
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import urlencode, urlsplit

from kubeboot.artifacts import oci, replies
from kubeboot.artifacts.credentials import Credentials
from kubeboot.artifacts.download import Patience, Wanted, nobody
from kubeboot.artifacts.mirrors import Mirrors, Reference
from kubeboot.artifacts.replies import Reply
from kubeboot.artifacts.trouble import Failure
from kubeboot.artifacts.web import Body, Web

DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
INDEXES = (oci.INDEX, DOCKER_LIST)
MANIFESTS = (oci.MANIFEST, DOCKER_MANIFEST)
ACCEPT = ", ".join((*INDEXES, *MANIFESTS))
LARGEST = 4 << 20
_PARAMETER = re.compile(r'(\w+)="([^"]*)"')
_UNREADABLE = (KeyError, TypeError, ValueError, AttributeError)


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
    def blobs(self) -> tuple[oci.Descriptor, ...]:
        """Config and layers, each once."""
        return tuple({each.digest: each for each in (self.config, *self.layers)}.values())

    @property
    def size(self) -> int:
        return len(self.data) + sum(each.size for each in self.blobs)

    def descriptor(self, annotations: Mapping[str, str]) -> oci.Descriptor:
        return oci.Descriptor(self.media_type, self.digest, len(self.data), annotations)


def parse_manifest(data: bytes, said: str = "") -> Manifest:
    """A platform's manifest; ValueError for anything else. `said` is the answer's Content-Type."""
    body = _object(data)
    kind = str(body.get("mediaType") or said.split(";")[0].strip() or oci.MANIFEST)
    if kind not in MANIFESTS or body.get("schemaVersion") != 2:
        raise ValueError(f"{kind} is not an image's manifest")
    try:
        config, *layers = (oci.Descriptor.parse(each) for each in (body["config"], *body["layers"]))
    except _UNREADABLE as error:
        raise ValueError(f"not an image's manifest: {error}") from None
    return Manifest(data, kind, config, tuple(layers))


def _object(data: bytes) -> Mapping[str, Any]:
    body = json.loads(data)
    if not isinstance(body, dict):
        raise ValueError("not a JSON object")
    return body


class Registries:
    """Every registry that a run asks, and its tokens."""

    def __init__(
        self, opener: Web, mirrors: Mirrors, credentials: Credentials, patience: Patience | None = None
    ) -> None:
        self._web = opener
        self._mirrors = mirrors
        self._credentials = credentials
        self._patience = patience or Patience()
        self._lock = threading.Lock()
        self._granted: dict[tuple[str, str], str] = {}

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
        return Wanted(f"a layer of {name}", blob.digest.removeprefix("sha256:"), urls, blob.size)

    def _first(self, name: str, ask: Callable[[str, Reference], Manifest]) -> Manifest:
        """The first registry that has it."""
        reference = Reference.parse(name)
        refusals: list[tuple[str, Failure]] = []
        for base in self._mirrors.repositories(reference):
            try:
                return self._patience(functools.partial(ask, base, reference))
            except Failure as failure:
                refusals.append((base, failure))
        raise nobody(f"image {name}", refusals)

    def _resolve(self, base: str, tag: str, arch: str) -> Manifest:
        if not base.startswith("https://"):
            raise Failure("is not https: what a tag means is only believed over verified TLS")
        data, kind = self._document(base, tag)
        with _damaged():
            listed = _object(data).get("mediaType") or kind
            if listed in INDEXES:
                return self._by_digest(base, _platform(_object(data), arch))
            return parse_manifest(data, kind)

    def listed(self, base: str, tag: str) -> Mapping[str, Any]:
        """What a tag of a repository names, as it is; empty when there is no such tag."""
        with self.open(f"{base}/manifests/{tag}", {"Accept": ACCEPT}) as reply:
            if reply.status == 404:
                return {}
            if failure := replies.problem(reply):
                raise failure
            with _damaged():
                return _object(reply.read(LARGEST))

    def _by_digest(self, base: str, digest: str) -> Manifest:
        data, kind = self._document(base, digest)
        with _damaged():
            return parse_manifest(data, kind)

    def _document(self, base: str, reference: str) -> tuple[bytes, str]:
        """A manifest's bytes, whose digest is the one that was asked for, or that the registry states."""
        with self.open(f"{base}/manifests/{reference}", {"Accept": ACCEPT}) as reply:
            if failure := replies.problem(reply):
                raise failure
            data = reply.read(LARGEST)
        stated = reply.headers.get("docker-content-digest", "")
        wanted = reference if reference.startswith("sha256:") else stated
        if wanted.startswith("sha256:") and oci.digest(data) != wanted:
            raise Failure(f"gives other bytes: {oci.digest(data)} instead of {wanted}")
        return data, reply.headers.get("content-type", "")

    def open_to_all(self, url: str) -> str | None:
        """Where it is for everybody, be it by a token that everybody gets; None where there is no such place.

        Where a registry leads to somebody who logged in is a secret for minutes: it holds the signature.
        """
        try:
            with self.open(url, {}) as reply:
                moved = replies.origin(reply.url) != replies.origin(url)
                shown = (replies.origin(url), _scope(url, "GET")) in self._granted
                secret = shown and self._basic(url) is not None
                return reply.url if reply.status == 200 and not secret and (moved or not shown) else None
        except Failure:
            return None

    @contextlib.contextmanager
    def open(
        self, url: str, headers: Mapping[str, str], method: str = "GET", body: Body = None
    ) -> Iterator[Reply]:
        """A request to a registry, with whatever it wants to see of us."""
        scope = _scope(url, method)
        granted = self._granted.get((replies.origin(url), scope))
        with contextlib.ExitStack() as stack:
            shown = {"Authorization": granted} if granted else {}
            reply = stack.enter_context(self._web.open(url, {**headers, **shown}, method, body))
            if reply.status == 401:
                challenge = reply.headers.get("www-authenticate", "")
                stack.close()
                shown = {"Authorization": self._log_in(url, scope, challenge)}
                reply = stack.enter_context(self._web.open(url, {**headers, **shown}, method, body))
            yield reply

    def _log_in(self, url: str, scope: str, challenge: str) -> str:
        """The answer to a challenge; Failure when we have none."""
        scheme, _, rest = challenge.partition(" ")
        basic = self._basic(url)
        if scheme.lower() == "bearer":
            header = self._token(url, dict(_PARAMETER.findall(rest)), scope, basic)
        elif scheme.lower() == "basic" and basic is not None:
            header = basic
        else:
            raise Failure("wants credentials, and none are configured for it")
        with self._lock:
            self._granted[replies.origin(url), scope] = header
        return header

    def _basic(self, url: str) -> str | None:
        """A password goes over https only."""
        parts = urlsplit(url)
        host = parts.netloc.rpartition("@")[2]
        return self._credentials.basic(host) if parts.scheme == "https" else None

    def _token(self, url: str, asked: Mapping[str, str], scope: str, basic: str | None) -> str:
        realm = asked.get("realm", "")
        if urlsplit(realm).scheme != "https" and urlsplit(url).scheme == "https":
            raise Failure("asks for a token from a place that is not https")
        words = {"service": asked.get("service", ""), "scope": asked.get("scope") or scope}
        query = urlencode({key: value for key, value in words.items() if value})
        headers = {"Authorization": basic} if basic and realm.startswith("https://") else {}
        with self._web.open(f"{realm}{'&' if '?' in realm else '?'}{query}", headers) as reply:
            if failure := replies.problem(reply):
                raise Failure(f"gives no token: {failure.why}", again=failure.again, after=failure.after)
            with _damaged():
                body = _object(reply.read(LARGEST))
                return f"Bearer {body.get('token') or body['access_token']}"


def _scope(url: str, method: str) -> str:
    """What a request needs to be allowed to do, as registries name it."""
    path = urlsplit(url).path.partition("/v2/")[2]
    repository = re.split(r"/(?:manifests|blobs)/", path)[0]
    return f"repository:{repository}:{'pull' if method in ('GET', 'HEAD') else 'pull,push'}"


def _platform(index: Mapping[str, Any], arch: str) -> str:
    """The digest of the manifest for Linux on this architecture."""
    for entry in index["manifests"]:
        platform = entry.get("platform", {})
        if (platform.get("os"), platform.get("architecture")) == ("linux", arch):
            return oci.Descriptor.parse(entry).digest
    raise Failure(f"has no image for linux/{arch}")


@contextlib.contextmanager
def _damaged() -> Iterator[None]:
    try:
        yield
    except _UNREADABLE as error:
        raise Failure(f"does not answer as a registry does: {error}") from None
