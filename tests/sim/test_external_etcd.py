"""Preflight of an etcd elsewhere: over real mutual TLS, with whatever it may answer."""

from __future__ import annotations

import base64
import json
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from kubeboot.config.components import Etcd, ExternalEtcd
from kubeboot.config.node import NodeSettings
from kubeboot.config.spec import ClusterSpec
from kubeboot.host.facts import Facts
from kubeboot.pki import build
from kubeboot.steps import control_plane, preflight, static_pod
from kubeboot.steps.etcd import external as external_etcd
from kubeboot.steps.preflight import external_etcd as checks
from tests.fakes import tls
from tests.fakes.entries import File
from tests.fakes.host import FakeHost
from tests.fakes.tls import Reply, Request, Server
from tests.sim.contract import converges

CA = tls.authority("etcd-ca")
CLUSTER = tls.authority()
CLIENT = tls.issued(CA, "kube-apiserver-etcd-client")
NODE = NodeSettings("cp-1", "192.0.2.11", "control_plane")
DEAD = "https://127.0.0.1:1"
Answers = dict[str, Any]


def info(authority: bytes) -> str:
    """cluster-info as the API server stores it: protobuf around a kubeconfig."""
    said = base64.b64encode(authority)
    return base64.b64encode(b"k8s\0\n..certificate-authority-data: " + said + b"\n    server: x\n").decode()


def answering(answers: Answers) -> Callable[[Request], Reply]:
    def answer(request: Request) -> Reply:
        found = answers.get(request.path)
        if request.path == "/v3/kv/range":
            one = "range_end" not in json.loads(request.body)
            found = answers["info" if one else "first"]
        return tls.reply(found) if found is not None else tls.Reply(404, b"not found")

    return answer


def well(**changes: Any) -> Answers:
    """An etcd with nothing in it."""
    return {
        "/version": {"etcdserver": "3.7.3", "etcdcluster": "3.7.0"},
        "/health": {"health": "true", "reason": ""},
        "/v3/maintenance/status": {"header": {"cluster_id": "1"}},
        "first": {},
        "info": {},
        **changes,
    }


@pytest.fixture
def server() -> Iterator[Server]:
    names = ("127.0.0.1", "localhost")
    with tls.serving(answering(well()), *names, signer=CA, clients=CA.certificate) as made:
        yield made


class Host(FakeHost):
    """It dials for real."""

    def dial(self, address: str, port: int, timeout: float) -> socket.socket:
        return socket.create_connection((address, port), timeout)


def findings(
    *endpoints: str,
    client: build.Pair = CLIENT,
    authority: bytes = CA.certificate,
    host: FakeHost | None = None,
    touched: bool = False,
) -> dict[str, str]:
    spec = ClusterSpec(etcd=Etcd(external=ExternalEtcd(endpoints=endpoints)))
    machine = host or Host()
    machine.files["/etc/kubernetes/pki/ca.crt"] = File(CLUSTER.certificate)
    given = dict(
        zip(
            external_etcd.files(spec.etcd.external or ExternalEtcd(endpoints=())).values(),
            (authority, client.certificate, client.key),
            strict=True,
        )
    )
    scene = preflight.Scene(spec, NODE, Facts("cp-1"), machine, touched, {}, None, given)
    return {f"{f.level}:{f.name}": f.message for f in preflight.examine(scene, checks.CHECKS)}


def test_a_good_one_has_no_finding(server: Server) -> None:
    assert findings(server.url) == {}
    assert {request.method for request in server.requests} == {"GET", "POST"}


def test_old_sick_and_silent_members_are_named(server: Server) -> None:
    server.answer = answering(well(**{"/version": {"etcdserver": "3.5.9"}}))
    assert "3.5.9" in findings(server.url)["error:ExternalEtcdVersion"]
    server.answer = answering(well(**{"/health": {"health": "false", "reason": "RAFT NO LEADER"}}))
    assert "NO LEADER" in findings(server.url)[f"error:ExternalEtcd-{server.address}"]
    server.answer = lambda request: tls.Reply(200, b"<html>")
    assert "not answer as etcd" in findings(server.url)[f"error:ExternalEtcd-{server.address}"]
    assert list(findings(DEAD)) == ["error:ExternalEtcd-127.0.0.1:1", "warning:ExternalEtcdUnseen"]


def test_one_of_three_may_be_down(server: Server) -> None:
    other = server.url.replace("127.0.0.1", "localhost")
    assert list(findings(server.url, other, DEAD)) == ["warning:ExternalEtcd-127.0.0.1:1"]


def test_members_of_two_etcds_are_told_apart(server: Server) -> None:
    with tls.serving(
        answering(well(**{"/v3/maintenance/status": {"header": {"cluster_id": "2"}}})),
        "127.0.0.1", signer=CA, clients=CA.certificate,
    ) as second:  # fmt: skip
        assert "2 etcds" in findings(server.url, second.url)["error:ExternalEtcdCluster"]


def test_certificates_that_cannot_be_used_are_named(server: Server) -> None:
    halves = build.Pair(CLIENT.certificate, tls.issued(CA, "other").key)
    assert "its private key" in str(findings(server.url, client=halves))
    assert "not a readable certificate" in str(findings(server.url, authority=b"x"))
    missing = findings(server.url, client=build.Pair(b"", b""), host=Host())
    assert [name.partition("-")[0] for name in missing] == ["error:ExternalEtcdFile"] * 2
    stranger = tls.issued(tls.authority("other"), "x")
    assert f"error:ExternalEtcd-{server.address}" in findings(server.url, client=stranger)
    wrong_ca = findings(server.url, authority=tls.authority("other").certificate)
    assert "is not trusted" in wrong_ca[f"error:ExternalEtcd-{server.address}"]


FULL = {"kvs": [{"key": "L3JlZ2lzdHJ5L2E="}], "count": "9"}


def stored(authority: bytes) -> Answers:
    return well(first=FULL, info={"kvs": [{"value": info(authority)}]})


def test_only_this_clusters_data_may_be_in_it(server: Server) -> None:
    server.answer = answering(stored(CLUSTER.certificate))
    assert findings(server.url) == {}
    server.answer = answering(stored(tls.authority("other").certificate))
    assert "another cluster's data" in findings(server.url)["error:ExternalEtcdData"]
    server.answer = answering(well(first=FULL))
    assert "error:ExternalEtcdData" in findings(server.url)


def test_an_etcd_that_does_not_tell_is_warned_of(server: Server) -> None:
    """Its gateway is off, or it has users."""
    answers = well()
    server.answer = lambda r: tls.Reply(404) if r.path.startswith("/v3") else answering(answers)(r)
    assert list(findings(server.url)) == ["warning:ExternalEtcdUnseen"]


def with_api_server(spec: ClusterSpec) -> Host:
    host = Host()
    text = control_plane.apiserver(spec, NODE, "i").render("x")
    host.files[f"{static_pod.MANIFESTS}/kube-apiserver.yaml"] = File(text.encode())
    return host


def test_a_rerun_in_the_midst_of_it_finds_its_own_data(server: Server) -> None:
    server.answer = answering(well(first=FULL))
    spec = ClusterSpec(etcd=Etcd(external=ExternalEtcd(endpoints=(server.url,))))
    assert findings(server.url, host=with_api_server(spec), touched=True) == {}


def test_a_clusters_data_do_not_move_by_themselves(server: Server) -> None:
    found = findings(server.url, host=with_api_server(ClusterSpec()), touched=True)
    assert "in an etcd here" in found["error:EtcdPlacement"]
    spec = ClusterSpec(etcd=Etcd(external=ExternalEtcd(endpoints=(server.url,))))
    scene = preflight.Scene(ClusterSpec(), NODE, Facts("cp-1"), with_api_server(spec), True)
    [back] = preflight.examine(scene, checks.CHECKS)
    assert back.name == "EtcdPlacement" and "--external-etcd" in back.hint


def test_a_worker_has_nothing_to_do_with_it() -> None:
    spec = ClusterSpec(etcd=Etcd(external=ExternalEtcd(endpoints=(DEAD,))))
    worker = NodeSettings("worker-1", "192.0.2.21", "worker")
    scene = preflight.Scene(spec, worker, Facts("worker-1"), Host())
    assert preflight.examine(scene, checks.CHECKS) == ()


def test_a_prefix_of_the_users_is_looked_at() -> None:
    from kubeboot.config.components import ApiServer, Argument

    spec = ClusterSpec(api_server=ApiServer(extra_args=(Argument(name="etcd-prefix", value="/a/b"),)))
    assert (checks.prefix(spec), checks.prefix(ClusterSpec())) == ("/a/b/", "/registry/")


@pytest.mark.parametrize("number", range(3))
def test_what_is_handed_over_is_installed_and_taken_back(number: int) -> None:
    spec = ClusterSpec(etcd=Etcd(external=ExternalEtcd(endpoints=(DEAD,))))
    given = {"external-etcd-ca.crt": b"a", "external-etcd.crt": b"b", "external-etcd.key": b"c"}
    step = external_etcd.steps(spec, NODE, given)[number]
    assert converges(step, FakeHost("cp-1")).diff is None
