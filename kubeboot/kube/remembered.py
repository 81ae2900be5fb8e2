"""An API and an etcd that are asked each question once, in the background: for many looks at one moment."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from types import TracebackType
from typing import Any, TypeVar

from kubeboot.host.api import Unread
from kubeboot.kube.api import ApiView, Object
from kubeboot.kube.deferred import Deferred
from kubeboot.kube.etcd import EtcdView, Member

T = TypeVar("T")

ROOM = 8
"""Questions at a time; a client has as many connections."""


class Answers:
    """Answers by question, for the looks of any number of threads; an error is an answer too."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(ROOM, thread_name_prefix="api")
        self._lock = threading.Lock()
        self._asked: dict[tuple[int, Hashable], tuple[object, Future[Any]]] = {}

    def __enter__(self) -> Answers:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(cancel_futures=True)

    def of(self, server: object, question: Hashable, answer: Callable[[], T]) -> Future[T]:
        """The answer that there is or will be."""
        key = (id(server), question)  # the server is kept, and so its id
        with self._lock:
            if key not in self._asked:
                self._asked[key] = (server, self._pool.submit(answer))
            return self._asked[key][1]


class Asking:
    """One look's questions to one server. What is not answered yet ends a check with Unread."""

    def __init__(self, server: object, answers: Answers) -> None:
        self._server = server
        self._answers = answers
        self._open: list[Future[Any]] = []

    def ask(self, question: Hashable, answer: Callable[[], T]) -> T:
        """The answer, or its error."""
        found = self._answers.of(self._server, question, answer)
        if not found.done():
            self._open.append(found)
            raise Unread
        return found.result()

    def settle(self) -> None:
        """Wait for what was asked since."""
        waited, self._open = self._open, []
        wait(waited)


class RememberedApi:
    """Reads of an API. Credentials that do not exist yet are looked for once."""

    def __init__(self, api: ApiView, answers: Answers) -> None:
        self._given = api
        self.asking = Asking(api, answers)

    def _api(self) -> ApiView:
        given = self._given
        return self.asking.ask("credentials", given.now) if isinstance(given, Deferred) else given

    def ready(self) -> str | None:
        return self.asking.ask("ready", self._api().ready)

    def get(self, api_version: str, kind: str, name: str, namespace: str | None = None) -> Object | None:
        api, asked = self._api(), (api_version, kind, name, namespace)
        return self.asking.ask(("get", *asked), lambda: api.get(*asked))

    def list(
        self, api_version: str, kind: str, namespace: str | None = None, labels: str | None = None
    ) -> Sequence[Object]:
        api, asked = self._api(), (api_version, kind, namespace, labels)
        return self.asking.ask(("list", *asked), lambda: api.list(*asked))

    def dry_run(self, obj: Object) -> Object:
        api, question = self._api(), ("dry-run", json.dumps(obj, sort_keys=True, default=str))
        return self.asking.ask(question, lambda: api.dry_run(obj))


class RememberedEtcd:
    """Reads of etcd."""

    def __init__(self, etcd: EtcdView, answers: Answers) -> None:
        self._etcd = etcd
        self.asking = Asking(etcd, answers)

    def members(self) -> tuple[Member, ...]:
        return self.asking.ask("members", self._etcd.members)

    def healthy(self, member: Member) -> str | None:
        return self.asking.ask(("healthy", member.id), lambda: self._etcd.healthy(member))
