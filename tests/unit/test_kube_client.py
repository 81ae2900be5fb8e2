"""The API client against a real TLS server that answers as it is told."""

from __future__ import annotations

import concurrent.futures
import contextlib
import datetime
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping

import pytest

from kubeboot import errors
from kubeboot.kube import client, failures, http
from kubeboot.kube.api import ApiError, ApiRefused, ApiUnavailable
from kubeboot.kube.http import Endpoint
from kubeboot.kube.patience import Patience
from kubeboot.pki import build, kubeconfig
from tests.fakes import tls
from tests.fakes.tls import Reply, Request, failure, reply

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
    """A client and the server it talks to; waits between tries take no time."""
    with (
        tls.serving(answer) as server,
        contextlib.closing(
            client.Client(http.Session(endpoint(server, **more)), Patience(pause=lambda _: None))
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


def test_ready() -> None:
    with talking(always(Reply(200, b"ok"))) as (api, server):
        assert api.ready() is None
        assert server.requests[0].path == "/readyz"


def test_not_ready_names_what_failed() -> None:
    body = b"[+]ping ok\n[-]etcd failed: reason withheld\n[-]poststarthook/rbac failed\nreadyz check failed\n"
    with talking(always(Reply(500, body))) as (api, _):
        last = api.ready()
    assert last is not None and last.endswith("answers 500: etcd, poststarthook/rbac")


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


def test_ready_never_raises_when_nobody_listens() -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        url = f"https://127.0.0.1:{sock.getsockname()[1]}"
    api = client.connect(Endpoint(url, tls.authority().certificate))
    assert api.ready() == f"{url} does not answer: connection refused"


def test_get_asks_by_path_and_gives_the_object() -> None:
    with talking(by_path({"/api/v1/namespaces/here/configmaps/x": reply(MAP)})) as (api, _):
        assert api.get("v1", "ConfigMap", "x", "here") == MAP


def test_what_is_not_there_is_none() -> None:
    with talking(by_path({})) as (api, _):
        assert api.get("v1", "ConfigMap", "x", "here") is None


def test_a_list_has_the_kinds_that_the_api_leaves_out() -> None:
    bare = {"metadata": {"name": "x"}}
    path = "/api/v1/namespaces/here/secrets?labelSelector=a%3Db"
    with talking(by_path({path: reply({"items": [bare]})})) as (api, _):
        assert api.list("v1", "Secret", "here", "a=b") == [{"apiVersion": "v1", "kind": "Secret", **bare}]


def test_a_list_of_every_namespace() -> None:
    with talking(by_path({"/api/v1/pods": reply({"items": None})})) as (api, _):
        assert api.list("v1", "Pod") == []


def test_apply_is_server_side_and_forced() -> None:
    with talking(always(reply(MAP))) as (api, server):
        assert api.apply(MAP) == MAP
    [request] = server.requests
    assert (request.method, request.headers["Content-Type"]) == ("PATCH", "application/apply-patch+yaml")
    assert request.path == "/api/v1/namespaces/here/configmaps/x?fieldManager=kubeboot&force=true"
    assert json.loads(request.body) == MAP


def test_a_dry_run_says_so() -> None:
    with talking(always(reply(MAP))) as (api, server):
        api.dry_run(MAP)
    assert server.requests[0].path.endswith("&dryRun=All")


def test_create_posts_to_the_collection() -> None:
    with talking(always(reply(MAP, 201))) as (api, server):
        api.create(MAP)
    assert (server.requests[0].method, server.requests[0].path) == (
        "POST",
        "/api/v1/namespaces/here/configmaps?fieldManager=kubeboot",
    )


def test_a_merge_patch() -> None:
    with talking(always(reply(MAP))) as (api, server):
        api.patch_merge("v1", "Node", "cp-1", {"spec": {"taints": None}})
    [request] = server.requests
    assert request.headers["Content-Type"] == "application/merge-patch+json"
    assert request.path.startswith("/api/v1/nodes/cp-1?")
    assert json.loads(request.body) == {"spec": {"taints": None}}


def test_delete_tells_whether_it_was_there() -> None:
    with talking(in_turn(reply({"kind": "Status"}), failure(404, "gone"))) as (api, _):
        assert api.delete("v1", "Secret", "x", "here")
        assert not api.delete("v1", "Secret", "x", "here")


def test_other_kinds_are_discovered_once() -> None:
    rows = {"resources": [{"name": "things/status", "kind": "Thing", "namespaced": True},
                          {"name": "things", "kind": "Thing", "namespaced": True}]}  # fmt: skip
    table = {"/apis/a.example/v1": reply(rows), "/apis/a.example/v1/namespaces/n/things/t": reply({"a": 1})}
    with talking(by_path(table)) as (api, server):
        for _ in range(2):
            assert api.get("a.example/v1", "Thing", "t", "n") == {"a": 1}
        assert [request.path for request in server.requests].count("/apis/a.example/v1") == 1


def test_a_kind_that_the_api_does_not_know() -> None:
    thing = {"apiVersion": "a.example/v1", "kind": "Thing", "metadata": {"name": "t"}}
    with talking(by_path({})) as (api, _):
        assert api.get("a.example/v1", "Thing", "t") is None
        assert api.list("a.example/v1", "Thing") == []
        assert not api.delete("a.example/v1", "Thing", "t")
        with pytest.raises(ApiError, match=r"does not know Thing in a\.example/v1"):
            api.apply(thing)


@pytest.mark.parametrize(
    ("status", "error"),
    [(401, ApiRefused), (403, ApiRefused), (409, ApiError), (422, ApiError), (503, ApiUnavailable)],
)
def test_refusals_have_the_apis_words_and_never_the_token(
    status: int, error: type[errors.KubebootError]
) -> None:
    with (
        talking(always(failure(status, "because of this")), token=TOKEN) as (api, server),
        pytest.raises(error) as caught,
    ):
        api.apply(MAP)
    assert type(caught.value) is error
    assert status == 401 or "because of this" in caught.value.message
    assert isinstance(caught.value, ApiError) or caught.value.hint
    assert TOKEN not in repr(caught.value) + str(caught.value.hint)
    assert server.requests[0].headers["Authorization"] == f"Bearer {TOKEN}"


def test_an_answer_that_is_no_object() -> None:
    with (
        talking(always(Reply(200, b"<html>"))) as (api, _),
        pytest.raises(ApiUnavailable, match="not as a Kubernetes API server does"),
    ):
        api.get("v1", "Node", "x")


def test_a_busy_server_is_asked_again() -> None:
    busy = failure(429, "slow down")
    with talking(in_turn(busy, busy, reply(MAP))) as (api, server):
        assert api.apply(MAP) == MAP
    assert len(server.requests) == 3


def test_a_busy_server_says_how_long() -> None:
    waits: list[float] = []
    with (
        tls.serving(in_turn(Reply(503, headers={"Retry_After": "30"}), reply(MAP))) as server,
        contextlib.closing(
            client.Client(http.Session(endpoint(server)), Patience(pause=waits.append))
        ) as api,
    ):
        api.get("v1", "Node", "x")
    assert waits == [1.0]


def test_a_connection_that_died_unnoticed_is_made_anew() -> None:
    with talking(in_turn(reply(MAP), Reply(hang_up=True), reply(MAP))) as (api, server):
        api.get("v1", "Node", "x")
        assert api.get("v1", "Node", "x") == MAP
    assert server.requests[0].connection == server.requests[1].connection
    assert server.requests[2].connection != server.requests[1].connection


def test_what_creates_is_not_sent_twice() -> None:
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


def test_a_client_certificate_that_never_was_a_file() -> None:
    me = tls.issued(tls.authority("clients"), "me")
    with tls.serving(always(reply(MAP)), clients=tls.authority("clients").certificate) as server:
        named = endpoint(server, certificate=me.certificate, key=me.key)
        with contextlib.closing(client.connect(named)) as api:
            assert api.get("v1", "Node", "x") == MAP
        with pytest.raises(ApiUnavailable):
            client.connect(endpoint(server)).get("v1", "Node", "x")


def test_credentials_that_are_no_credentials() -> None:
    with pytest.raises(errors.ConfigInvalid, match="cannot be read"):
        client.connect(Endpoint("https://127.0.0.1:1", b"nonsense")).get("v1", "Node", "x")


def test_connections_through_somewhere_else() -> None:
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


def test_who_dials_may_give_up_in_its_own_words() -> None:
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


def test_from_what_is_no_kubeconfig() -> None:
    with pytest.raises(errors.ConfigInvalid, match="not a kubeconfig"):
        client.from_kubeconfig(b"hello: world")


def test_an_endpoint_does_not_print_its_secrets() -> None:
    shown = repr(Endpoint("https://x", key=b"SECRETKEY", token=TOKEN))
    assert "SECRETKEY" not in shown and TOKEN not in shown


def test_an_eviction_that_a_budget_forbids_says_which() -> None:
    causes = [{"reason": "DisruptionBudget", "message": "The disruption budget web needs 2 healthy pods"}]
    refusal = {"kind": "Status", "message": "Cannot evict pod.", "details": {"causes": causes}}
    with talking(always(reply(refusal, 429))) as (api, server):
        assert api.evict("x", "here") == "Cannot evict pod. The disruption budget web needs 2 healthy pods"
        assert [(r.method, r.path) for r in server.requests] == [
            ("POST", "/api/v1/namespaces/here/pods/x/eviction")
        ]


@pytest.mark.parametrize("answer", [reply({"kind": "Status"}, 201), failure(404, "not found")])
def test_an_eviction_is_granted_or_not_needed(answer: Reply) -> None:
    with talking(always(answer)) as (api, _):
        assert api.evict("x", "here") is None


def test_an_eviction_that_fails_for_another_reason_is_an_error() -> None:
    with (
        talking(always(failure(500, "two budgets"))) as (api, _),
        pytest.raises(ApiError, match="two budgets"),
    ):
        api.evict("x", "here")
