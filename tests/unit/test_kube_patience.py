"""An API server that is away for a moment, and one that never was there."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from kubeboot import errors
from kubeboot.kube import client, failures, http, patience
from kubeboot.kube.api import ApiAway, ApiUnavailable
from kubeboot.kube.http import Response
from kubeboot.kube.patience import Patience
from kubeboot.kube.tls import Endpoint
from tests.fakes import tls
from tests.fakes.tls import Reply, failure, reply

MAP = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x", "namespace": "here"}}
OK = Response(200, b"{}")
REFUSED, CUT = ApiAway("refused", seen=False), ApiAway("cut", seen=True)


def sends(*turns: Response | Exception) -> Callable[[], Response]:
    """What becomes of each try; the last of them for ever."""
    left = list(turns)

    def send() -> Response:
        turn = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(turn, Exception):
            raise turn
        return turn

    return send


def patient(waits: list[float], *, known: bool = True) -> Patience:
    return Patience(known, waits.append)


@pytest.mark.parametrize("away", [REFUSED, CUT, Response(503, b""), Response(429, b""), Response(504, b"")])
def test_a_known_api_is_waited_for_ten_seconds(away: Response | ApiAway) -> None:
    waits: list[float] = []
    assert patient(waits).ask(sends(*[away] * 20, OK), repeatable=True) is OK
    assert 9.0 < sum(waits) < 11.0


def test_a_slow_machine_is_given_more_time() -> None:
    waits: list[float] = []
    with pytest.raises(ApiAway):
        Patience(True, waits.append, 3.0).ask(sends(REFUSED), repeatable=True)
    assert 25.0 < sum(waits) < 31.0


def test_an_api_that_never_answered_is_not_waited_for() -> None:
    waits: list[float] = []
    with pytest.raises(ApiAway):
        patient(waits, known=False).ask(sends(REFUSED), repeatable=True)
    assert waits == []


def test_who_has_answered_is_known_and_who_stays_away_is_not() -> None:
    waits: list[float] = []
    who = patient(waits, known=False)
    assert who.ask(sends(Response(403, b"")), repeatable=True).status == 403
    with pytest.raises(ApiAway):
        who.ask(sends(CUT), repeatable=True)
    assert len(waits) == len(patience.HASTE) + patience.TIMES
    with pytest.raises(ApiAway):
        who.ask(sends(CUT), repeatable=True)
    assert len(waits) == len(patience.HASTE) + patience.TIMES, "one outage is waited for once"


def test_what_may_have_been_done_is_not_done_twice() -> None:
    waits: list[float] = []
    with pytest.raises(ApiAway):
        patient(waits).ask(sends(CUT, OK), repeatable=False)
    assert patient(waits).ask(sends(Response(504, b""), OK), repeatable=False).status == 504
    assert waits == []
    assert patient(waits).ask(sends(REFUSED, Response(429, b""), OK), repeatable=False) is OK


def test_what_cannot_become_better_is_told_at_once() -> None:
    waits: list[float] = []
    with pytest.raises(ApiUnavailable):
        patient(waits).ask(
            sends(ApiUnavailable("another authority", reason=failures.UNTRUSTED)), repeatable=True
        )
    assert waits == []


@contextlib.contextmanager
def away(do: Callable[[socket.socket], None]) -> Iterator[str]:
    """A port behind which there is no API server: what becomes of each connection."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ended = threading.Event()

        def serve() -> None:
            with contextlib.suppress(OSError):
                while not ended.is_set():
                    do(listener.accept()[0])

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"https://127.0.0.1:{listener.getsockname()[1]}"
        ended.set()
        with contextlib.suppress(OSError):
            socket.create_connection(listener.getsockname(), 1).close()
        thread.join(60)


def reset(connection: socket.socket) -> None:
    """As haproxy rejects while it knows no server."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    connection.close()


def closed(connection: socket.socket) -> None:
    """The handshake's first message is read, and nobody answers it."""
    connection.recv(4096)
    connection.close()


@pytest.mark.parametrize("how", [reset, closed])
def test_a_balancer_without_servers_is_an_api_that_is_away(how: Callable[[socket.socket], None]) -> None:
    with away(how) as url, pytest.raises(ApiAway) as caught:
        client.connect(Endpoint(url, tls.authority().certificate)).create(MAP)
    assert not caught.value.seen
    assert caught.value.reason == ApiUnavailable.reason


def test_a_port_where_nobody_listens_is_an_api_that_is_away() -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        url = f"https://127.0.0.1:{sock.getsockname()[1]}"
    with pytest.raises(ApiAway, match="connection refused") as caught:
        client.connect(Endpoint(url, tls.authority().certificate)).create(MAP)
    assert not caught.value.seen


def test_a_command_goes_on_when_the_api_server_is_back() -> None:
    waits: list[float] = []
    left = [Reply(hang_up=True), Reply(hang_up=True), Reply(hang_up=True), failure(503, "etcd"), reply(MAP)]
    with tls.serving(lambda _: left.pop(0)) as server:
        session = http.Session(Endpoint(server.url, tls.authority().certificate))
        with contextlib.closing(client.Client(session, patient(waits))) as api:
            assert api.apply(MAP) == MAP
    assert len(server.requests) == 5 and waits


def test_what_creates_is_sent_once_also_by_the_patient() -> None:
    with tls.serving(lambda _: Reply(hang_up=True)) as server:
        session = http.Session(Endpoint(server.url, tls.authority().certificate))
        with (
            contextlib.closing(client.Client(session, patient([]))) as api,
            pytest.raises(errors.Unreachable),
        ):
            api.create(MAP)
    assert len(server.requests) == 1
