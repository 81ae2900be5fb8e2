"""A container registry in memory: manifests, lists, blobs, uploads, mounts, tokens."""

from __future__ import annotations

import base64
import functools
import gzip
import hashlib
import io
import json
import re
import tarfile
from collections.abc import Mapping
from typing import Literal
from urllib.parse import parse_qs, urlsplit

from kubeboot.artifacts import oci
from tests.fakes.tls import Reply, Request

DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
USER = "user:pass"
Login = Literal["", "bearer", "basic"]


def layer(files: Mapping[str, bytes]) -> bytes:
    """A compressed layer."""
    return _layer(tuple(files.items()))


@functools.lru_cache(maxsize=256)
def _layer(files: tuple[tuple[str, bytes], ...]) -> bytes:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as tar:
        for name, data in files:
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(data), 0o755
            tar.addfile(info, io.BytesIO(data))
    return gzip.compress(raw.getvalue(), mtime=0)


class Registry:
    """`login`: what a client must show: nothing, a token for its scope, or its password."""

    def __init__(self, login: Login = "", *, members_only: bool = False) -> None:
        self.login = login
        self.members_only = members_only
        self.url = ""
        self.realm: str | None = None
        self.blobs: dict[str, bytes] = {}
        self.manifests: dict[tuple[str, str], tuple[str, bytes]] = {}
        self.asked: list[Request] = []
        self.held: set[tuple[str, str]] = set()
        self.stated: str | None = None

    def add(
        self,
        repository: str,
        tag: str,
        files: Mapping[str, bytes],
        archs: tuple[str, ...] = ("amd64", "arm64"),
    ) -> str:
        """An image for several architectures; the digest of the first one's manifest."""
        entries = [self._platform(repository, arch, files) for arch in archs]
        attestation = {**entries[0], "platform": {"os": "unknown", "architecture": "unknown"}}
        body = {"schemaVersion": 2, "mediaType": DOCKER_LIST, "manifests": [attestation, *entries]}
        self._manifest(repository, tag, DOCKER_LIST, json.dumps(body).encode())
        return str(entries[0]["digest"])

    def _platform(self, repository: str, arch: str, files: Mapping[str, bytes]) -> dict[str, object]:
        config = self._blob(
            repository, json.dumps({"architecture": arch, "os": "linux"}).encode(), DOCKER_CONFIG
        )
        layers = [
            self._blob(repository, layer({"base": b"base of all"}), DOCKER_LAYER),
            self._blob(
                repository,
                layer({n: data + f" for {arch}".encode() for n, data in files.items()}),
                DOCKER_LAYER,
            ),
        ]
        body = {"schemaVersion": 2, "mediaType": DOCKER_MANIFEST, "config": config, "layers": layers}
        data = json.dumps(body).encode()
        digest = self._manifest(repository, oci.digest(data), DOCKER_MANIFEST, data)
        platform = {"os": "linux", "architecture": arch}
        return {"mediaType": DOCKER_MANIFEST, "digest": digest, "size": len(data), "platform": platform}

    def _blob(self, repository: str, data: bytes, kind: str) -> dict[str, object]:
        self._hold(repository, data)
        return {"mediaType": kind, "digest": oci.digest(data), "size": len(data)}

    def _hold(self, repository: str, data: bytes) -> None:
        self.blobs[oci.digest(data)] = data
        self.held.add((repository, oci.digest(data)))

    def _manifest(self, repository: str, reference: str, kind: str, data: bytes) -> str:
        self.manifests[repository, reference] = (kind, data)
        self.manifests[repository, oci.digest(data)] = (kind, data)
        return oci.digest(data)

    def answer(self, request: Request) -> Reply:
        """For tls.Server."""
        self.asked.append(request)
        parts = urlsplit(request.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        if parts.path == "/token":
            return self._token(request, query)
        found = re.fullmatch(r"/v2/(.+?)/(manifests|blobs)/(uploads/)?(.*)", parts.path)
        if found is None:
            return Reply(404)
        repository, kind, upload, reference = found.groups()
        if (refused := self._refused(request, repository)) is not None:
            return refused
        if kind == "manifests":
            return self._manifests(request, repository, reference)
        return (
            self._uploads(request, repository, query)
            if upload
            else self._blobs(request, repository, reference)
        )

    def _refused(self, request: Request, repository: str) -> Reply | None:
        action = "pull" if request.method in ("GET", "HEAD") else "pull,push"
        scope = f"repository:{repository}:{action}"
        shown = request.headers.get("Authorization", "")
        if not self.login or shown in (f"Bearer {token(scope)}", self._basic()):
            return None
        challenge = 'Basic realm="registry"'
        if self.login == "bearer":
            realm = self.realm or f"{self.url}/token"
            challenge = f'Bearer realm="{realm}",service="fake",scope="{scope}"'
        return Reply(401, b"{}", {"WWW-Authenticate": challenge})

    def _basic(self) -> str:
        return "Basic " + base64.b64encode(USER.encode()).decode() if self.login == "basic" else "-"

    def _token(self, request: Request, query: Mapping[str, str]) -> Reply:
        basic = "Basic " + base64.b64encode(USER.encode()).decode()
        if self.members_only and request.headers.get("Authorization") != basic:
            return Reply(401, b'{"errors":[]}')
        return Reply(200, json.dumps({"token": token(query["scope"])}).encode())

    def _manifests(self, request: Request, repository: str, reference: str) -> Reply:
        if request.method == "PUT":
            missing = [
                d
                for d in _named(request.body)
                if (repository, d) not in self.held and (repository, d) not in self.manifests
            ]
            if missing:
                return Reply(400, f"MANIFEST_BLOB_UNKNOWN {missing}".encode())
            self._manifest(repository, reference, request.headers["Content-Type"], request.body)
            return Reply(201)
        if (repository, reference) not in self.manifests:
            return Reply(404)
        kind, data = self.manifests[repository, reference]
        stated = self.stated or oci.digest(data)
        return Reply(200, data, {"Content-Type": kind, "Docker-Content-Digest": stated})

    def _blobs(self, request: Request, repository: str, digest: str) -> Reply:
        if (repository, digest) not in self.held or digest not in self.blobs:
            return Reply(404, b"")
        return Reply(
            200,
            b"" if request.method == "HEAD" else self.blobs[digest],
            {"Content-Type": "application/octet-stream"},
        )

    def _uploads(self, request: Request, repository: str, query: Mapping[str, str]) -> Reply:
        if request.method == "POST":
            if (query.get("from", ""), query.get("mount", "")) in self.held:
                self.held.add((repository, query["mount"]))
                return Reply(201, b"")
            return Reply(202, b"", {"Location": f"/v2/{repository}/blobs/uploads/1?state=abc"})
        if oci.digest(request.body) != query["digest"] or query["state"] != "abc":
            return Reply(400, b"DIGEST_INVALID")
        self._hold(repository, request.body)
        return Reply(201, b"")


def token(scope: str) -> str:
    """What the token service gives for a scope."""
    return hashlib.sha256(scope.encode()).hexdigest()[:20]


def _named(manifest: bytes) -> list[str]:
    body = json.loads(manifest)
    entries = [
        *body.get("layers", []),
        *([body["config"]] if "config" in body else []),
        *body.get("manifests", []),
    ]
    return [str(each["digest"]) for each in entries]
