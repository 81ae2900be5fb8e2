"""The add-ons' steps against an API in memory, and the wait for DNS against a small name server."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable

import pytest

from kubeboot import errors
from kubeboot.artifacts.api import Catalog, Image
from kubeboot.config.node import NodeSettings
from kubeboot.config.spec import ClusterSpec
from kubeboot.engine.step import Drift, Ok, Target, View
from kubeboot.engine.values import Values
from kubeboot.kube.api import NoApi
from kubeboot.steps import dns, network, objects, proxy
from tests.fakes.api import FakeApi
from tests.fakes.dns import answer
from tests.fakes.host import FakeHost

SPEC = ClusterSpec()
NODE = NodeSettings("cp-1", "192.0.2.11", "control_plane")
IMAGES = ("kube-proxy", "flannel", "coredns")
CATALOG = Catalog("v1.37.1", "amd64", (), tuple(Image(n, f"example.org/{n}:1", "sha256:0") for n in IMAGES))
CONDITION = dns.DnsAnswers("10.96.0.10", "kubernetes.default.svc.cluster.local", "10.96.0.1")
STEPS = [
    step
    for step in (
        *proxy.steps(SPEC, CATALOG),
        *network.steps(SPEC, NODE, CATALOG),
        *dns.steps(SPEC, NODE, CATALOG),
    )
    if isinstance(step, objects.EnsureObject)
]


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.id)
def test_an_object_is_applied_once(step: objects.EnsureObject) -> None:
    api, vals = FakeApi(), Values()
    do = Target(FakeHost(), api)
    assert isinstance(step.check(do.see, vals), Drift)
    step.apply(do, vals)
    assert step.check(do.see, vals) == Ok()


def look(*servers: Callable[[], socket.socket]) -> str | None:
    host = FakeHost()
    for server in servers:
        host.dialers["10.96.0.10", 53] = server
    return CONDITION.look(View(host, NoApi()), Values())


def server(reply: bytes) -> Callable[[], socket.socket]:
    """Reads one question and answers it, whatever it is."""

    def dial() -> socket.socket:
        ours, theirs = socket.socketpair()

        def serve() -> None:
            with theirs:
                theirs.recv(512)
                theirs.sendall(struct.pack("!H", len(reply)) + reply)

        threading.Thread(target=serve).start()
        return ours

    return dial


def refused() -> socket.socket:
    raise errors.Unreachable("administratively prohibited")


def test_dns_answers() -> None:
    assert look(server(answer("10.96.0.1"))) is None


def test_one_question_that_is_lost_is_asked_again() -> None:
    answers = server(answer("10.96.0.1"))
    asked: list[int] = []

    def at_first_lost() -> socket.socket:
        asked.append(1)
        if len(asked) == 1:
            raise TimeoutError("timed out")
        return answers()

    assert look(at_first_lost) is None


@pytest.mark.parametrize(
    ("servers", "words"),
    [
        ((), "Connection refused"),
        ((refused,), "administratively prohibited"),
        ((server(answer(code=2)),), "server failure"),
        ((server(answer("192.0.2.80")),), "is 192.0.2.80"),
        ((server(answer()),), "is nothing"),
    ],
)
def test_why_dns_does_not_answer(servers: tuple[Callable[[], socket.socket], ...], words: str) -> None:
    last = look(*servers)
    assert last is not None and words in last


def test_after_the_deadline_the_pods_are_told_of() -> None:
    waiting = {
        "name": "coredns",
        "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "Loop detected"}},
    }
    pods = (
        pod("coredns-a", {"phase": "Running", "containerStatuses": [waiting]}, node="cp-1"),
        pod("coredns-b", {"phase": "Pending", "conditions": [{"status": "False", "message": "0/1 nodes"}]}),
    )
    told = CONDITION.explain(View(FakeHost(), FakeApi(*pods)))
    assert told.splitlines() == [
        "coredns-a on cp-1: Running, coredns: Loop detected",
        "coredns-b on no node: Pending, 0/1 nodes",
    ]


def test_an_api_that_is_gone_meanwhile_is_told_of_too() -> None:
    api = FakeApi()
    assert CONDITION.explain(View(FakeHost(), api)) == "there is no CoreDNS pod"
    api.unavailable = "connection refused"
    assert "connection refused" in CONDITION.explain(View(FakeHost(), api))


def pod(name: str, status: dict[str, object], node: str | None = None) -> dict[str, object]:
    meta = {"name": name, "namespace": "kube-system", "labels": {"k8s-app": "kube-dns"}}
    spec = {"nodeName": node} if node else {}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec, "status": status}
