"""An API and an etcd that are asked each question once: for looking again and again at the same moment."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, TypeVar, cast

from kubeboot import errors
from kubeboot.kube.api import ApiView, Object
from kubeboot.kube.etcd import EtcdView, Member

T = TypeVar("T")


class Once:
    """Answers by question; an error is an answer too."""

    def __init__(self) -> None:
        self._known: dict[str, Any] = {}

    def ask(self, question: object, answer: Callable[[], T]) -> T:
        """The answer of the first time."""
        key = json.dumps(question, sort_keys=True, default=str)
        if key not in self._known:
            try:
                self._known[key] = answer()
            except errors.KubebootError as error:
                self._known[key] = error
        found = self._known[key]
        if isinstance(found, errors.KubebootError):
            raise found
        return cast(T, found)


class RememberedApi:
    """Reads of an API."""

    def __init__(self, api: ApiView) -> None:
        self._api = api
        self._once = Once()

    def ready(self) -> str | None:
        return self._once.ask("ready", self._api.ready)

    def get(self, api_version: str, kind: str, name: str, namespace: str | None = None) -> Object | None:
        asked = (api_version, kind, name, namespace)
        return self._once.ask(("get", *asked), lambda: self._api.get(*asked))

    def list(
        self, api_version: str, kind: str, namespace: str | None = None, labels: str | None = None
    ) -> Sequence[Object]:
        asked = (api_version, kind, namespace, labels)
        return self._once.ask(("list", *asked), lambda: self._api.list(*asked))

    def dry_run(self, obj: Object) -> Object:
        return self._once.ask(("dry-run", obj), lambda: self._api.dry_run(obj))


class RememberedEtcd:
    """Reads of etcd."""

    def __init__(self, etcd: EtcdView) -> None:
        self._etcd = etcd
        self._once = Once()

    def members(self) -> tuple[Member, ...]:
        return self._once.ask("members", self._etcd.members)

    def healthy(self, member: Member) -> str | None:
        return self._once.ask(("healthy", member.id), lambda: self._etcd.healthy(member))
