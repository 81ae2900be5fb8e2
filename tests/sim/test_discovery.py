"""Finding a cluster: what a joining machine believes, what it refuses, and in which words."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from kubeboot import errors
from kubeboot.kube import configmaps, discovery, http
from kubeboot.kube.discovery import Discovery, discover
from kubeboot.pki import build, jws, pins, tokens
from tests.fakes import tls
from tests.fakes.clock import Clock
from tests.fakes.tls import Reply, Request, failure, reply

TOKEN = tokens.parse("abcdef.0123456789abcdef")
OTHER = tokens.parse("abcdef.fedcba9876543210")
PIN = pins.pin(tls.authority().certificate)


@dataclasses.dataclass
class Cluster:
    """An API server with a cluster-info, signed for some tokens; it knows others."""

    signed: list[tokens.BootstrapToken]
    known: list[tokens.BootstrapToken]
    bundle: bytes = tls.authority().certificate
    where: str = "10.0.0.11:8443"
    asked: int = 0
    change: Callable[[Cluster, int], None] = lambda *_: None

    def __call__(self, request: Request) -> Reply:
        assert request.path == discovery.PATH or "Authorization" in request.headers
        if request.path == discovery.PATH:
            assert "Authorization" not in request.headers
            self.asked += 1
            self.change(self, self.asked)
            return reply(self.info())
        bearer = request.headers["Authorization"].removeprefix("Bearer ")
        if bearer not in [token.text for token in self.known]:
            return failure(401, "Unauthorized")
        return reply({"gitVersion": "v1.37.1"})

    def info(self) -> dict[str, object]:
        made = configmaps.cluster_info(self.bundle, self.where)
        text = made["data"][configmaps.INFO_KEY]
        signatures = {jws.KEY_PREFIX + token.id: jws.sign(text, token) for token in self.signed}
        return {**made, "data": {**made["data"], **signatures}}


@contextlib.contextmanager
def serving(answer: tls.Answer, **more: object) -> Iterator[tls.Server]:
    with tls.serving(answer, "kubernetes", **more) as server:  # type: ignore[arg-type]
        yield server


def search(address: str, clock: Clock, token: tokens.BootstrapToken = TOKEN, pin: str = PIN) -> Discovery:
    return Discovery(address, token, [pin], pause=clock.wait, clock=clock)


def refused(address: str, reason: str, within: float = 9.0, **more: str) -> errors.KubebootError:
    """The error of a search that ends with it, in time."""
    clock = Clock()
    with pytest.raises(errors.KubebootError) as caught:
        discover(search(address, clock, **more))  # type: ignore[arg-type]
    assert caught.value.reason == reason
    assert caught.value.hint
    assert clock.now < within
    said = f"{caught.value} {caught.value.hint}"
    assert TOKEN.secret not in said and OTHER.secret not in said
    return caught.value


def test_a_cluster_that_proves_itself_is_believed() -> None:
    cluster = Cluster([TOKEN], [TOKEN])
    with serving(cluster) as server:
        api, authority = discover(search(server.address, Clock()))
        with contextlib.closing(api):
            assert api.version() == "v1.37.1"
    assert authority == tls.authority().certificate
    assert cluster.asked == 2


def test_no_token_is_sent_over_a_connection_that_is_not_verified() -> None:
    """Cluster.__call__ refuses a token with cluster-info; here the server is not the pinned authority's."""
    with serving(Cluster([TOKEN], [TOKEN]), signer=tls.authority("somebody")) as server:
        error = refused(server.address, "KB_DISCOVERY_UNTRUSTED")
    assert error.exit_code == 5
    assert all("Authorization" not in request.headers for request in server.requests)


def test_dates_that_do_not_fit_this_machine_s_clock_are_no_intruder() -> None:
    at = build.now() + datetime.timedelta(hours=1)
    with serving(Cluster([TOKEN], [TOKEN]), at=at) as server:
        error = refused(server.address, "KB_CERTIFICATE_DATES")
    assert error.exit_code == 5 and "this machine's clock" in error.message


def test_another_authority_than_the_pinned_one_is_named_with_both_pins() -> None:
    wrong = "sha256:" + "0" * 64
    with serving(Cluster([TOKEN], [TOKEN])) as server:
        error = refused(server.address, "KB_CA_PIN_MISMATCH", pin=wrong)
        assert len(server.requests) == 1
    assert wrong in error.message and PIN in error.message


def test_of_a_bundle_only_what_is_pinned_vouches_for_the_server() -> None:
    """Whoever knows the token could sign a bundle with an authority of their own in it."""
    both = tls.authority("intruder").certificate + tls.authority().certificate
    with serving(Cluster([TOKEN], [TOKEN], both), signer=tls.authority("intruder")) as server:
        refused(server.address, "KB_DISCOVERY_UNTRUSTED")


def test_a_bundle_with_a_new_authority_is_installed_whole() -> None:
    both = tls.authority("next").certificate + tls.authority().certificate
    with serving(Cluster([TOKEN], [TOKEN], both)) as server:
        api, authority = discover(search(server.address, Clock()))
        api.close()
    assert authority == both


def test_a_token_with_a_wrong_secret() -> None:
    with serving(Cluster([TOKEN], [TOKEN])) as server:
        error = refused(server.address, "KB_TOKEN_INVALID", token=OTHER)  # type: ignore[arg-type]
    assert "abcdef" in error.message


def test_a_token_that_is_unknown_or_expired_is_told_at_once() -> None:
    with serving(Cluster([], [])) as server:
        error = refused(server.address, "KB_TOKEN_UNKNOWN", within=0.1)
    assert "expired" in error.message


def test_a_token_that_expired_after_it_was_signed_for() -> None:
    with serving(Cluster([TOKEN], [])) as server:
        refused(server.address, "KB_TOKEN_UNKNOWN", within=0.1)


def test_a_token_that_is_good_but_not_signed_for_yet_is_waited_for() -> None:
    def sign(cluster: Cluster, asked: int) -> None:
        cluster.signed = [TOKEN] if asked > 5 else []

    with serving(Cluster([], [TOKEN], change=sign)) as server:
        discover(search(server.address, Clock()))[0].close()
        versions = [request for request in server.requests if request.path == "/version"]
    assert len(versions) == 2


def test_a_cluster_that_never_signs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(discovery, "SIGNED_WITHIN", 3.0)
    with serving(Cluster([], [TOKEN])) as server:
        error = refused(server.address, "KB_TOKEN_UNSIGNED", within=5)
    assert isinstance(error, errors.TimedOut)


def test_the_time_that_a_slow_cluster_was_given_to_sign_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(discovery, "SIGNED_WITHIN", 3.0)
    with serving(Cluster([], [TOKEN])) as server, pytest.raises(errors.TimedOut, match="waited 6s"):
        discover(dataclasses.replace(search(server.address, Clock()), timeout_scale=2.0))


def test_a_signature_that_is_no_text_is_none() -> None:
    class Odd(Cluster):
        def info(self) -> dict[str, object]:
            made = configmaps.cluster_info(self.bundle, self.where)
            return {**made, "data": {**made["data"], jws.KEY_PREFIX + TOKEN.id: 5}}

    with serving(Odd([], [])) as server:
        refused(server.address, "KB_TOKEN_UNKNOWN", within=0.1)


def test_a_cluster_info_that_was_just_changed_is_signed_again_soon() -> None:
    def move(cluster: Cluster, asked: int) -> None:
        cluster.signed = [OTHER] if asked < 3 else [TOKEN]

    with serving(Cluster([TOKEN], [TOKEN], change=move)) as server:
        discover(search(server.address, Clock()))[0].close()


def test_a_cluster_info_that_differs_over_the_verified_connection() -> None:
    def lie(cluster: Cluster, asked: int) -> None:
        cluster.where = "10.0.0.66:8443" if asked == 1 else "10.0.0.11:8443"

    with serving(Cluster([TOKEN], [TOKEN], change=lie)) as server:
        refused(server.address, "KB_DISCOVERY_CHANGED")


def test_nobody_listens() -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{sock.getsockname()[1]}"
    error = refused(address, "KB_DISCOVERY_UNREACHABLE")
    assert isinstance(error, errors.Unreachable)
    assert address in error.message and "connection refused" in error.message


def test_somebody_listens_and_never_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "CONNECT", 0.02)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        error = refused(f"127.0.0.1:{listener.getsockname()[1]}", "KB_DISCOVERY_UNREACHABLE")
    assert "timed out" in error.message


def test_even_the_slowest_refusal_comes_within_ten_seconds() -> None:
    """The last try begins a second after it was last worth insisting, and each phase of it has its limit."""
    assert discovery.INSIST + 1.0 + 2 * http.CONNECT + discovery.PATIENCE < 10


def test_something_without_tls() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=_greet, args=(listener,))
        thread.start()
        refused(f"127.0.0.1:{listener.getsockname()[1]}", "KB_DISCOVERY_NOT_KUBERNETES")
        thread.join()


def _greet(listener: socket.socket) -> None:
    connection, _ = listener.accept()
    with connection:
        connection.sendall(b"HTTP/1.0 400 Bad Request\r\n\r\n")


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (Reply(200, b"<html>welcome</html>"), "KB_DISCOVERY_NOT_KUBERNETES"),
        (Reply(404, b"nothing here"), "KB_DISCOVERY_NOT_KUBERNETES"),
        (reply({"hello": "world"}), "KB_DISCOVERY_NOT_KUBERNETES"),
        (failure(404, 'configmaps "cluster-info" not found'), "KB_NO_CLUSTER_INFO"),
        (failure(403, 'User "system:anonymous" cannot get'), "KB_DISCOVERY_FORBIDDEN"),
        (failure(401, "Unauthorized"), "KB_DISCOVERY_FORBIDDEN"),
        (Reply(503, b"no server"), "KB_DISCOVERY_UNREACHABLE"),
        (Reply(hang_up=True), "KB_DISCOVERY_UNREACHABLE"),
        (reply({"kind": "ConfigMap", "data": {}}), "KB_NO_CLUSTER_INFO"),
        (reply({"kind": "ConfigMap", "data": {"kubeconfig": "x: ["}}), "KB_NO_CLUSTER_INFO"),
        (reply({"kind": "ConfigMap", "data": {"kubeconfig": 5}}), "KB_NO_CLUSTER_INFO"),
        (reply({"kind": "ConfigMap", "data": "text"}), "KB_NO_CLUSTER_INFO"),
        (Reply(200, b"[" * 100_000), "KB_DISCOVERY_NOT_KUBERNETES"),
    ],
    ids=range(13),
)
def test_each_kind_of_wrong_server_has_its_own_words(answer: Reply, reason: str) -> None:
    with serving(lambda _: answer) as server:
        error = refused(server.address, reason)
    assert server.address in error.message


def test_a_load_balancer_that_refuses_for_a_moment() -> None:
    cluster = Cluster([TOKEN], [TOKEN])
    left = [Reply(hang_up=True), Reply(hang_up=True), Reply(503)]
    with serving(lambda request: left.pop(0) if left else cluster(request)) as server:
        discover(search(server.address, Clock()))[0].close()


def test_an_authority_that_cannot_be_read_is_a_mismatch() -> None:
    broken = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
    with serving(Cluster([TOKEN], [TOKEN], broken)) as server:
        assert "unreadable" in refused(server.address, "KB_CA_PIN_MISMATCH").message


def test_a_pin_in_capitals_is_the_same_pin() -> None:
    with serving(Cluster([TOKEN], [TOKEN])) as server:
        discover(search(server.address, Clock(), pin=PIN.upper().replace("SHA256", "sha256")))[0].close()


def test_an_intermediary_signed_by_the_authority_but_with_another_name() -> None:
    """The kubelet of any node has a certificate of the same authority."""
    node: build.Pair = tls.authority()
    with tls.serving(Cluster([TOKEN], [TOKEN]), "worker-1", "127.0.0.1", signer=node) as server:
        refused(server.address, "KB_DISCOVERY_UNTRUSTED")
