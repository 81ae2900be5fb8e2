"""An API whose credentials do not exist yet when a run begins: they are looked for at each use."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from kubeboot import errors
from kubeboot.kube.api import Api, NoApi, Object


class Deferred:
    """The Api that `find` returns once it does; until then nothing answers, as with NoApi."""

    def __init__(self, find: Callable[[], Api | None]) -> None:
        self._find = find
        self._lock = threading.Lock()
        self._found: Api | None = None

    def _api(self) -> Api:
        with self._lock:
            self._found = self._found or self._find()
            return self._found or NoApi()

    def ready(self) -> str | None:
        try:
            return self._api().ready()
        except errors.KubebootError as error:
            return error.message

    def get(self, api_version: str, kind: str, name: str, namespace: str | None = None) -> Object | None:
        return self._api().get(api_version, kind, name, namespace)

    def list(
        self, api_version: str, kind: str, namespace: str | None = None, labels: str | None = None
    ) -> Sequence[Object]:
        return self._api().list(api_version, kind, namespace, labels)

    def dry_run(self, obj: Object) -> Object:
        return self._api().dry_run(obj)

    def apply(self, obj: Object) -> Object:
        return self._api().apply(obj)

    def create(self, obj: Object) -> Object:
        return self._api().create(obj)

    def patch_merge(
        self, api_version: str, kind: str, name: str, patch: Object, namespace: str | None = None
    ) -> Object:
        return self._api().patch_merge(api_version, kind, name, patch, namespace)

    def delete(
        self, api_version: str, kind: str, name: str, namespace: str | None = None, *, now: bool = False
    ) -> bool:
        return self._api().delete(api_version, kind, name, namespace, now=now)

    def evict(self, name: str, namespace: str) -> str | None:
        return self._api().evict(name, namespace)
