"""FakeApi: a cluster's API in memory.

Server-side apply is a deep merge (lists are replaced), every object gets a uid and a resourceVersion, writes
are listed in `changes`, `reactions` stand in for controllers, and it is `unavailable` or fails on request.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from kubeboot.kube.api import ApiError, ApiUnavailable, Object

BOOKKEEPING = ("uid", "resourceVersion", "creationTimestamp")


class Change(NamedTuple):
    """One write: `Change("apply", "ConfigMap kube-system/kubeadm-config")`."""

    op: str
    subject: str


def subject(kind: str, name: str, namespace: str | None) -> str:
    """How `changes` and `fail_at` name an object."""
    return f"{kind} {namespace}/{name}" if namespace else f"{kind} {name}"


class FakeApi:
    """An in-memory Api. State is public: a test arranges it with `put` and looks at it with `get`."""

    def __init__(self, *objects: Object) -> None:
        self.objects: dict[tuple[str, str, str, str], dict[str, Any]] = {}
        self.unavailable: str | None = None
        self.protected: dict[str, str] = {}
        """Pods (namespace/name) that may not be evicted, and what is said of them."""
        self.ending = False
        """Evicted pods begin to end, and nobody ends them."""
        self.server_version = "v1.37.1"
        self.changes: list[Change] = []
        self.reactions: list[Callable[[FakeApi, str, dict[str, Any]], None]] = []
        self.faults: dict[int | str, BaseException] = {}
        self._version = 0
        self._writes = 0
        self._mutex = threading.RLock()
        for obj in objects:
            self.put(obj)

    # --- for tests ---------------------------------------------------------------------------------------

    def put(self, obj: Object) -> dict[str, Any]:
        """Arrange an object as if somebody else had made it: no change recorded, nobody reacts."""
        with self._mutex:
            return self._store(obj)

    def fail_at(self, at: int | str, error: BaseException | None = None) -> None:
        """Fail at the n-th write from now (1 is the next), or at every write of a subject."""
        with self._mutex:
            key = at + self._writes if isinstance(at, int) else at
            self.faults[key] = error or ApiUnavailable(f"injected at {at}")

    def snapshot(self) -> dict[tuple[str, str, str, str], dict[str, Any]]:
        """Everything that is there, for comparison."""
        with self._mutex:
            return copied(self.objects)

    # --- ApiView -----------------------------------------------------------------------------------------

    def ready(self) -> str | None:
        return self.unavailable

    def get(self, api_version: str, kind: str, name: str, namespace: str | None = None) -> Object | None:
        with self._available():
            return copied(self.objects.get((api_version, kind, namespace or "", name)))

    def list(
        self, api_version: str, kind: str, namespace: str | None = None, labels: str | None = None
    ) -> Sequence[Object]:
        with self._available():
            found = sorted(
                key for key in self.objects if key[:2] == (api_version, kind) and namespace in (None, key[2])
            )
            return [copied(self.objects[key]) for key in found if matches(self.objects[key], labels)]

    def version(self) -> str:
        with self._available():
            return self.server_version

    def dry_run(self, obj: Object) -> Object:
        with self._available():
            live = self.objects.get(_key(obj))
            return merge(live, obj) if live else copied(dict(obj))

    # --- Api ---------------------------------------------------------------------------------------------

    def apply(self, obj: Object) -> Object:
        with self._available():
            return self._write("apply", merge(self.objects.get(_key(obj), {}), obj))

    def create(self, obj: Object) -> Object:
        with self._available():
            if _key(obj) in self.objects:
                kind, name = obj["kind"], obj["metadata"]["name"]
                raise ApiError(f"{kind} {name} already exists", status=409)
            return self._write("create", obj)

    def patch_merge(
        self, api_version: str, kind: str, name: str, patch: Object, namespace: str | None = None
    ) -> Object:
        with self._available():
            live = self.objects.get((api_version, kind, namespace or "", name))
            if live is None:
                raise ApiError(f"{subject(kind, name, namespace)} not found", status=404)
            fence = patch.get("metadata", {}).get("resourceVersion")
            if fence not in (None, live["metadata"]["resourceVersion"]):
                raise ApiError(f"{subject(kind, name, namespace)} was changed meanwhile", status=409)
            return self._write("patch", merge(live, patch, drop_none=True))

    def evict(self, name: str, namespace: str) -> str | None:
        with self._available():
            pod = self.objects.get(("v1", "Pod", namespace, name))
            refusal = self.protected.get(f"{namespace}/{name}")
            if pod is None or refusal is not None:
                return refusal
            self._record("evict", subject("Pod", name, namespace))
            if self.ending:
                pod["metadata"]["deletionTimestamp"] = "2026-11-20T00:00:00Z"
            else:
                self._react("delete", self.objects.pop(_key(pod)))
            return None

    def delete(
        self, api_version: str, kind: str, name: str, namespace: str | None = None, *, now: bool = False
    ) -> bool:
        with self._available():
            key = (api_version, kind, namespace or "", name)
            if key not in self.objects:
                return False
            self._record("delete now" if now else "delete", subject(kind, name, namespace))
            gone = self.objects.pop(key)
            self._react("delete", gone)
            return True

    # --- inside ------------------------------------------------------------------------------------------

    def _available(self) -> threading.RLock:
        if self.unavailable is not None:
            raise ApiUnavailable(f"the API server does not answer: {self.unavailable}")
        return self._mutex

    def _write(self, op: str, obj: Object) -> dict[str, Any]:
        meta = obj["metadata"]
        self._record(op, subject(obj["kind"], meta["name"], meta.get("namespace")))
        stored = self._store(obj)
        self._react(op, stored)
        return copied(stored)

    def _record(self, op: str, name: str) -> None:
        self._writes += 1
        for at in (self._writes, name):
            if at in self.faults:
                raise self.faults[at]
        self.changes.append(Change(op, name))

    def _react(self, op: str, obj: dict[str, Any]) -> None:
        for reaction in self.reactions:
            reaction(self, op, obj)

    def _store(self, obj: Object) -> dict[str, Any]:
        self._version += 1
        stored = copied(dict(obj))
        meta = stored["metadata"] = dict(stored.get("metadata", {}))
        old = self.objects.get(_key(obj), {}).get("metadata", {})
        meta["uid"] = old.get("uid", f"uid-{self._version}")
        meta.setdefault("creationTimestamp", "2026-11-20T00:00:00Z")
        meta["resourceVersion"] = str(self._version)
        self.objects[_key(obj)] = stored
        return stored


def copied(value: Any) -> Any:
    """As copy.deepcopy does it, for what JSON is made of: several times as fast."""
    if isinstance(value, dict):
        return {name: copied(one) for name, one in value.items()}
    return [copied(one) for one in value] if isinstance(value, list) else value


def merge(live: Mapping[str, Any], obj: Mapping[str, Any], drop_none: bool = False) -> dict[str, Any]:
    """`obj` over `live`, mappings merged at every depth, everything else replaced."""
    out = copied(dict(live))
    for name, value in obj.items():
        if drop_none and value is None:
            out.pop(name, None)
        elif isinstance(value, Mapping):
            below = out.get(name)
            out[name] = merge(below if isinstance(below, Mapping) else {}, value, drop_none)
        else:
            out[name] = copied(value)
    return out


def matches(obj: Object, selector: str | None) -> bool:
    """Equality-based label selectors: `a=b,c,!d`."""
    labels = obj["metadata"].get("labels") or {}
    return all(_term(labels, term.strip()) for term in (selector or "").split(",") if term)


def _term(labels: Mapping[str, str], term: str) -> bool:
    name, equals, value = term.partition("=")
    if equals:
        return labels.get(name) == value.removeprefix("=")
    return name[1:] not in labels if name.startswith("!") else name in labels


def _key(obj: Object) -> tuple[str, str, str, str]:
    meta = obj["metadata"]
    return obj["apiVersion"], obj["kind"], meta.get("namespace") or "", meta["name"]
