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

    def now(self) -> Api:
        """What is there at this moment, for many questions."""
        with self._lock:
            self._found = self._found or self._find()
            return self._found or NoApi()

    def ready(self) -> str | None:
        try:
            return self.now().ready()
        except errors.KubebootError as error:
            return error.message

    def get(self, api_version: str, kind: str, name: str, namespace: str | None = None) -> Object | None:
        return self.now().get(api_version, kind, name, namespace)

    def list(
        self, api_version: str, kind: str, namespace: str | None = None, labels: str | None = None
    ) -> Sequence[Object]:
        return self.now().list(api_version, kind, namespace, labels)

    def dry_run(self, obj: Object) -> Object:
        return self.now().dry_run(obj)

    def apply(self, obj: Object) -> Object:
        return self.now().apply(obj)

    def create(self, obj: Object) -> Object:
        return self.now().create(obj)

    def patch_merge(
        self, api_version: str, kind: str, name: str, patch: Object, namespace: str | None = None
    ) -> Object:
        return self.now().patch_merge(api_version, kind, name, patch, namespace)

    def delete(
        self, api_version: str, kind: str, name: str, namespace: str | None = None, *, now: bool = False
    ) -> bool:
        return self.now().delete(api_version, kind, name, namespace, now=now)

    def evict(self, name: str, namespace: str) -> str | None:
        return self.now().evict(name, namespace)
