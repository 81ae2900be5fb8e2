"""An API client and the TLS server that it talks to, which answers as a test says."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping

from kubeboot.kube import client, http
from kubeboot.kube.patience import Patience
from kubeboot.kube.tls import Endpoint
from tests.fakes import tls
from tests.fakes.tls import Reply, Request, failure

MAP = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "x", "namespace": "here"},
    "data": {"a": "b"},
}
TOKEN = "abcdef.0123456789abcdef"


def endpoint(server: tls.Server, **more: object) -> Endpoint:
    return Endpoint(server.url, tls.authority().certificate, **more)  # type: ignore[arg-type]


@contextlib.contextmanager
def talking(answer: Callable[[Request], Reply], **more: object) -> Iterator[tuple[client.Client, tls.Server]]:
    """A client and the server it talks to; waits between tries take no time.

    Its second for a handshake is more here: eight at once take longer on a busy computer.
    """
    with (
        tls.serving(answer) as server,
        contextlib.closing(
            client.Client(
                http.Session(endpoint(server, **more), timeout_scale=30.0), Patience(pause=lambda _: None)
            )
        ) as api,
    ):
        yield api, server


def always(given: Reply) -> Callable[[Request], Reply]:
    return lambda _: given


def by_path(table: Mapping[str, Reply]) -> Callable[[Request], Reply]:
    return lambda request: table.get(request.path, failure(404, "not found"))


def in_turn(*replies: Reply) -> Callable[[Request], Reply]:
    left = list(replies)
    return lambda _: left.pop(0) if len(left) > 1 else left[0]
