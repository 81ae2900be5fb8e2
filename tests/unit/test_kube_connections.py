"""The API client's connections: kept, shared, limited in time, and only to who proves to be the server."""

from __future__ import annotations

import concurrent.futures
import contextlib
import datetime
import socket
import threading
import time

import pytest

from kubeboot import errors
from kubeboot.kube import client, failures, http, words
from kubeboot.kube.api import ApiUnavailable
from kubeboot.kube.tls import Endpoint
from kubeboot.pki import build, kubeconfig
from tests.fakes import tls
from tests.fakes.tls import Reply, reply
from tests.unit.kube_support import MAP, TOKEN, always, endpoint, in_turn, talking


def test_readiness_is_asked_on_a_connection_that_is_closed_then() -> None:
    def serve(server: socket.socket) -> bytes:
        caller, _ = server.accept()
        with caller:
            caller.settimeout(60.0)
            asked = caller.recv(4096)
            caller.sendall(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")
            return asked.partition(b"\r\n")[0] + caller.recv(1)

    with socket.create_server(("127.0.0.1", 0)) as server, concurrent.futures.ThreadPoolExecutor(1) as pool:
        asked = pool.submit(serve, server)
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        assert client.readiness(Endpoint(url)) == f"{url}/readyz answers 503"
        assert asked.result() == b"GET /readyz HTTP/1.1"


def test_a_server_that_has_not_read_its_clients_rights_yet_is_said_to_start() -> None:
    forbidden = b'{"kind":"Status","message":"forbidden: User \\"kubernetes-admin\\" cannot get path"}'
    assert words.unready("https://a/readyz", 403, forbidden) == (
        "https://a/readyz answers 403: it starts, and has not read yet who may ask it"
    )
    assert words.unready("https://a/readyz", 500, b"[+]ping ok\n[-]etcd failed: reason withheld\n") == (
        "https://a/readyz answers 500: etcd"
    )


def test_ready_never_raises_when_nobody_listens() -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        url = f"https://127.0.0.1:{sock.getsockname()[1]}"
    api = client.connect(Endpoint(url, tls.authority().certificate))
    assert api.ready() == f"{url} does not answer: connection refused"


def test_a_connection_that_died_unnoticed_is_made_anew() -> None:
    with talking(in_turn(reply(MAP), Reply(hang_up=True), reply(MAP))) as (api, server):
        api.get("v1", "Node", "x")
        assert api.get("v1", "Node", "x") == MAP
    assert server.requests[0].connection == server.requests[1].connection
    assert server.requests[2].connection != server.requests[1].connection


def test_a_post_is_not_sent_twice() -> None:
    with talking(always(Reply(hang_up=True))) as (api, server), pytest.raises(ApiUnavailable):
        api.create(MAP)
    assert len(server.requests) == 1


def test_many_threads_share_a_few_connections() -> None:
    answer = lambda request: reply({"path": request.path})  # noqa: E731
    with talking(answer) as (api, server), concurrent.futures.ThreadPoolExecutor(16) as pool:
        names = [f"n{number}" for number in range(64)]
        found = list(pool.map(lambda name: api.get("v1", "Node", name), names))
    assert [obj and obj["path"] for obj in found] == [f"/api/v1/nodes/{name}" for name in names]
    assert len({request.connection for request in server.requests}) <= http.CONNECTIONS


def test_a_certificate_of_another_authority() -> None:
    with tls.serving(always(reply({})), signer=tls.authority("other")) as server:
        api = client.connect(endpoint(server))
        with pytest.raises(ApiUnavailable) as caught:
            api.get("v1", "Node", "x")
    assert caught.value.reason == failures.UNTRUSTED
    assert "is not trusted" in caught.value.message
    assert server.requests == []


@pytest.mark.parametrize(("hours", "told"), [(-48, "expired"), (1, "not yet valid")])
def test_a_certificate_of_another_time_may_be_a_clock_that_is_wrong(hours: int, told: str) -> None:
    at = build.now() + datetime.timedelta(hours=hours)
    with tls.serving(always(reply({})), at=at) as server:
        api = client.connect(endpoint(server))
        with pytest.raises(ApiUnavailable, match=told) as caught:
            api.get("v1", "Node", "x")
    assert caught.value.reason == failures.DATES
    assert "timedatectl" in (caught.value.hint or "")


def test_every_limit_of_a_request_is_scaled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "CONNECT", 60.0)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        server = f"https://127.0.0.1:{silent.getsockname()[1]}"
        began = time.monotonic()
        assert "timed out" in (client.connect(Endpoint(server), timeout_scale=0.005).ready() or "")
    assert time.monotonic() - began < 30.0


def test_a_certificate_for_another_name_and_the_name_that_it_has() -> None:
    with tls.serving(always(reply(MAP)), "kubernetes") as server:
        with pytest.raises(ApiUnavailable, match="not valid for"):
            client.connect(endpoint(server)).get("v1", "Node", "x")
        with contextlib.closing(client.connect(endpoint(server, tls_server_name="kubernetes"))) as api:
            assert api.get("v1", "Node", "x") == MAP


def test_a_server_that_speaks_something_else() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=_greet, args=(listener,))
        thread.start()
        api = client.connect(
            Endpoint(f"https://127.0.0.1:{listener.getsockname()[1]}", tls.authority().certificate)
        )
        with pytest.raises(ApiUnavailable) as caught:
            api.get("v1", "Node", "x")
        thread.join()
    assert caught.value.reason == failures.NO_TLS


def _greet(listener: socket.socket) -> None:
    connection, _ = listener.accept()
    with connection:
        connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n" * 3)


def test_a_server_that_never_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "CONNECT", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        api = client.connect(
            Endpoint(f"https://127.0.0.1:{listener.getsockname()[1]}", tls.authority().certificate)
        )
        assert api.ready() == f"{api.server} does not answer: timed out"


def test_a_client_certificate_that_is_only_in_memory() -> None:
    me = tls.issued(tls.authority("clients"), "me")
    with tls.serving(always(reply(MAP)), clients=tls.authority("clients").certificate) as server:
        named = endpoint(server, certificate=me.certificate, key=me.key)
        with contextlib.closing(client.connect(named)) as api:
            assert api.get("v1", "Node", "x") == MAP
        with pytest.raises(ApiUnavailable):
            client.connect(endpoint(server)).get("v1", "Node", "x")


def test_an_authority_that_is_no_certificate() -> None:
    with pytest.raises(errors.ConfigInvalid, match="cannot be read"):
        client.connect(Endpoint("https://127.0.0.1:1", b"nonsense")).get("v1", "Node", "x")


def test_connections_are_made_by_the_given_dialler() -> None:
    """The address of the URL is only told to whoever dials."""
    asked: list[tuple[str, int]] = []
    with tls.serving(always(reply(MAP))) as server:

        def dial(host: str, port: int, timeout: float) -> socket.socket:
            asked.append((host, port))
            return socket.create_connection(("127.0.0.1", server.port), timeout)

        far = Endpoint("https://10.9.8.7:6443", tls.authority().certificate, tls_server_name="kubernetes")
        with contextlib.closing(client.connect(far, dial)) as api:
            assert api.get("v1", "Node", "x") == MAP
    assert asked == [("10.9.8.7", 6443)]


def test_the_diallers_own_error_is_told() -> None:
    def dial(host: str, port: int, timeout: float) -> socket.socket:
        raise errors.Unreachable("cp-1 is gone")

    api = client.connect(Endpoint("https://10.9.8.7:6443", tls.authority().certificate), dial)
    assert api.ready() == "cp-1 is gone"


def config(server: str, **more: object) -> bytes:
    made = kubeconfig.Kubeconfig("k", server, tls.authority().certificate, user="me", **more)  # type: ignore[arg-type]
    return kubeconfig.encode(made)


def test_from_a_kubeconfig() -> None:
    with tls.serving(always(reply(MAP)), "kubernetes") as server:
        data = config(server.url, token=TOKEN, tls_server_name="kubernetes")
        with contextlib.closing(client.from_kubeconfig(data)) as api:
            assert api.get("v1", "Node", "x") == MAP


def test_from_a_kubelets_kubeconfig_for_another_server() -> None:
    me = tls.issued(tls.authority("clients"), "me")
    data = config("https://192.0.2.1:6443", certificate_file="/pki/me.pem", key_file="/pki/me.pem")
    files = {"/pki/me.pem": me.certificate + me.key}
    with (
        tls.serving(always(reply(MAP)), clients=tls.authority("clients").certificate) as server,
        contextlib.closing(client.from_kubeconfig(data, read=files.get, server=server.url)) as api,
    ):
        assert api.get("v1", "Node", "x") == MAP


def test_a_file_that_is_no_kubeconfig() -> None:
    with pytest.raises(errors.ConfigInvalid, match="not a kubeconfig"):
        client.from_kubeconfig(b"hello: world")


def test_an_endpoint_does_not_print_its_secrets() -> None:
    shown = repr(Endpoint("https://x", key=b"SECRETKEY", token=TOKEN))
    assert "SECRETKEY" not in shown and TOKEN not in shown
