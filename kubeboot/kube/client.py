"""The cluster's API over HTTPS: kube.api.Api for plain dictionaries.

Not on lightkube, which wants generated classes where a plan has dictionaries, keeps them in a registry of the
process, knows no `tls-server-name` and no /readyz, and reads client keys from files only. What it would do
for us is in this module, kube/kinds.py and kube/words.py. CPU seconds to import on the lab's 2-core machine:
lightkube 0.43, httpx2 with its engine 0.33, the engine alone (kube/http.py) 0.24, nothing until a request.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from kubeboot import errors
from kubeboot.kube import dial, identity, kinds, refusals, words
from kubeboot.kube.api import FIELD_MANAGER, ApiError, Object
from kubeboot.kube.http import Response, Session
from kubeboot.kube.patience import Patience
from kubeboot.kube.tls import Endpoint

APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"
JSON = "application/json"
LOOK = 2.0
"""Seconds for /readyz, which answers at once or not in time."""


class Client:
    """One API server (or the load balancer before it), one identity. For any number of threads."""

    def __init__(self, session: Session, patience: Patience | None = None) -> None:
        self._session = session
        self._patience = patience or Patience()
        self._kinds = kinds.Kinds(self._listed)

    @property
    def server(self) -> str:
        """The URL that it talks to."""
        return self._session.endpoint.server

    def close(self) -> None:
        """Drop every connection; the next request makes new ones."""
        self._session.close()

    def ready(self, path: str = "/readyz") -> str | None:
        try:
            answer = self._session.request("GET", path, timeout=LOOK)
        except errors.KubebootError as error:
            return error.message
        if answer.status == 200:
            self._patience.answered()
            return None
        return words.unready(f"{self.server}{path}", answer.status, answer.body)

    def get(self, api_version: str, kind: str, name: str, namespace: str | None = None) -> Object | None:
        resource = self._kinds.find(api_version, kind)
        if resource is None:
            return None
        answer = self._ask("GET", resource.path(namespace, name))
        return None if answer.status == 404 else self._object(answer)

    def list(
        self, api_version: str, kind: str, namespace: str | None = None, labels: str | None = None
    ) -> Sequence[Object]:
        resource = self._kinds.find(api_version, kind)
        if resource is None:
            return []
        query = {"labelSelector": labels} if labels else {}
        found = self._object(self._ask("GET", resource.path(namespace), query=query))
        return [{"apiVersion": api_version, "kind": kind, **item} for item in found.get("items") or ()]

    def dry_run(self, obj: Object) -> Object:
        return self._apply(obj, {"dryRun": "All"})

    def apply(self, obj: Object) -> Object:
        return self._apply(obj, {})

    def create(self, obj: Object) -> Object:
        path = self._place(obj["apiVersion"], obj["kind"], obj["metadata"])
        query = {"fieldManager": FIELD_MANAGER}
        return self._object(self._ask("POST", path, query=query, data=obj, content=JSON))

    def patch_merge(
        self, api_version: str, kind: str, name: str, patch: Object, namespace: str | None = None
    ) -> Object:
        path = self._need(api_version, kind).path(namespace, name)
        query = {"fieldManager": FIELD_MANAGER}
        return self._object(self._ask("PATCH", path, query=query, data=patch, content=MERGE))

    def delete(
        self, api_version: str, kind: str, name: str, namespace: str | None = None, *, now: bool = False
    ) -> bool:
        resource = self._kinds.find(api_version, kind)
        if resource is None:
            return False
        options = {"apiVersion": "v1", "kind": "DeleteOptions", "gracePeriodSeconds": 0} if now else None
        answer = self._ask("DELETE", resource.path(namespace, name), data=options, content=JSON)
        if answer.status != 404:
            self._object(answer)
        return answer.status != 404

    def evict(self, name: str, namespace: str) -> str | None:
        path = self._need("v1", "Pod").path(namespace, name) + "/eviction"
        meta = {"name": name, "namespace": namespace}
        body = json.dumps({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": meta}).encode()
        answer = self._session.request("POST", path, body, {"Content-Type": JSON})
        if answer.status == 429:
            return words.causes(answer.body)
        if answer.status != 404:
            self._object(answer)
        return None

    def version(self) -> str:
        """What the server calls its version: `v1.37.1`."""
        return str(self._object(self._ask("GET", "/version"))["gitVersion"])

    def signing_keys(self) -> frozenset[str]:
        """The ids of the keys by which the server knows ServiceAccounts' tokens (RFC 7517)."""
        found = self._object(self._ask("GET", "/openid/v1/jwks")).get("keys", ())
        return frozenset(str(key.get("kid")) for key in found)

    def clock(self) -> float | None:
        """The server's time, in whole seconds since the epoch."""
        return self._ask("GET", "/version").date

    def _place(self, api_version: str, kind: str, meta: Mapping[str, Any]) -> str:
        """Where an object is created: in its collection, or below the object that it is a part of."""
        part = kinds.PARTS.get((api_version, kind))
        if part is None:
            return self._need(api_version, kind).path(meta.get("namespace"))
        return f"{self._need(*part.of).path(meta.get('namespace'), meta['name'])}/{part.name}"

    def _apply(self, obj: Object, query: Mapping[str, str]) -> Object:
        meta = obj["metadata"]
        path = self._need(obj["apiVersion"], obj["kind"]).path(meta.get("namespace"), meta["name"])
        every = {"fieldManager": FIELD_MANAGER, "force": "true", **query}
        return self._object(self._ask("PATCH", path, query=every, data=obj, content=APPLY))

    def _ask(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        data: Object | None = None,
        content: str = "",
    ) -> Response:
        body = json.dumps(data).encode() if data is not None else None
        target = f"{path}?{urlencode(query)}" if query else path
        headers = {"Content-Type": content} if content else {}
        return self._patience.ask(
            lambda: self._session.request(method, target, body, headers), repeatable=method != "POST"
        )

    def _object(self, answer: Response) -> dict[str, Any]:
        if answer.status >= 400:
            raise refusals.refused(self.server, answer)
        try:
            found = json.loads(answer.body)
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise refusals.strange(self.server)
        return found

    def _need(self, api_version: str, kind: str) -> kinds.Resource:
        resource = self._kinds.find(api_version, kind)
        if resource is None:
            raise ApiError(f"the API server does not know {kind} in {api_version}", status=404)
        return resource

    def _listed(self, path: str) -> Sequence[Mapping[str, Any]]:
        answer = self._ask("GET", path)
        rows: Sequence[Mapping[str, Any]] = () if answer.status == 404 else self._object(answer)["resources"]
        return rows


def connect(
    endpoint: Endpoint,
    dialler: dial.Dialler = dial.direct,
    timeout_scale: float = 1.0,
    *,
    known: bool = False,
) -> Client:
    """A client; no connection is made before its first request. `known`: there is an API, wait for it."""
    return Client(Session(endpoint, dialler, timeout_scale), Patience(known, scale=timeout_scale))


def readiness(endpoint: Endpoint, dialler: dial.Dialler = dial.direct, path: str = "/readyz") -> str | None:
    """None when GET /readyz of a server, or another `path`, answers ok, else what was seen. Never raises."""
    with contextlib.closing(connect(endpoint, dialler)) as api:
        return api.ready(path)


def from_kubeconfig(
    data: bytes,
    dialler: dial.Dialler = dial.direct,
    read: Callable[[str], bytes | None] | None = None,
    server: str | None = None,
    timeout_scale: float = 1.0,
    *,
    known: bool = False,
) -> Client:
    """A client for a kubeconfig's current context, or for another `server` with the same credentials.

    `read` is asked for the certificate and key where the kubeconfig names files, as a kubelet's does.
    """
    endpoint = identity.from_kubeconfig(data, read or (lambda path: None), server)
    return connect(endpoint, dialler, timeout_scale, known=known)
