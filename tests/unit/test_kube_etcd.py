"""etcd's gateway: what is asked of whom, what answers are taken for; over real mutual TLS."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest

from kubeboot.kube import etcd, etcd_client
from kubeboot.kube.etcd import EtcdRefused, EtcdUnavailable, Member
from kubeboot.kube.etcd_client import Client
from tests.fakes import tls
from tests.fakes.etcd import LATER, TOO_MANY, FakeEtcd, member
from tests.fakes.tls import Reply, Request, Server

CA = tls.authority("etcd-ca")
Clients = Callable[..., Client]
DEAD = "https://127.0.0.1:1"


def listed(url: str) -> Callable[[Request], Reply]:
    """As etcd 3.7 lists a voter and a learner that was never started."""
    voter = {"ID": "8630161756594109333", "name": "cp-1", "peerURLs": ["https://192.0.2.11:2380"],
             "clientURLs": [url]}  # fmt: skip
    learner = {"ID": "1", "peerURLs": ["https://192.0.2.12:2380"], "isLearner": True}
    return lambda request: tls.reply({"header": {"member_id": "1"}, "members": [learner, voter]})


@pytest.fixture
def server() -> Iterator[Server]:
    with tls.serving(listed(""), "localhost", signer=CA, clients=CA.certificate) as made:
        made.answer = listed(made.url)
        yield made


@pytest.fixture
def client() -> Iterator[Callable[..., Client]]:
    made: list[Client] = []

    def make(*servers: str) -> Client:
        made.append(Client(etcd_client.identity(CA), servers))
        return made[-1]

    yield make
    for one in made:
        one.close()


def no(message: str, status: int = 400) -> Callable[[Request], Reply]:
    return lambda request: tls.reply({"error": message, "message": message, "code": 9}, status)


def test_members_are_read_by_a_certificate_signed_in_memory(client: Clients, server: Server) -> None:
    voter, learner = client(server.url).members()
    assert (voter.id, voter.name, voter.learner) == ("8630161756594109333", "cp-1", False)
    assert (learner.name, learner.learner, learner.client_urls) == ("", True, ())
    assert voter.has_peer("192.0.2.11") and not voter.has_peer("192.0.2.1")
    assert [r.path for r in server.requests] == ["/v3/cluster/member/list"]


def test_a_dead_member_is_asked_once(client: Clients, server: Server) -> None:
    made = client(DEAD, server.url)
    made.members()
    assert made._servers[0] == server.url


def test_no_member_at_all_is_said_so(client: Clients) -> None:
    with pytest.raises(EtcdUnavailable, match="no member of etcd answers"):
        client(DEAD).members()


def test_changes_say_which_member(client: Clients, server: Server) -> None:
    made, one = client(server.url), Member("7", "cp-3", ("https://192.0.2.13:2380",))
    made.add_learner("https://192.0.2.12:2380")
    made.promote(one)
    made.remove(one)
    said = [(r.path.rpartition("/")[2], json.loads(r.body)) for r in server.requests]
    assert said == [
        ("add", {"peerURLs": ["https://192.0.2.12:2380"], "isLearner": True}),
        ("promote", {"ID": "7"}),
        ("remove", {"ID": "7"}),
    ]


@pytest.mark.parametrize(
    ("message", "later"),
    [
        (LATER, True),
        (TOO_MANY, True),
        ("etcdserver: unhealthy cluster", True),
        ("etcdserver: member ID already exist", False),
    ],
)
def test_a_refusal_tells_whether_waiting_helps(
    client: Clients, server: Server, message: str, later: bool
) -> None:
    server.answer = no(message)
    with pytest.raises(EtcdRefused) as raised:
        client(server.url).promote(member(2))
    assert raised.value.later is later and message in raised.value.message


def test_a_member_without_a_leader_is_not_healthy(client: Clients, server: Server) -> None:
    made = client(server.url)
    voter, learner = made.members()
    server.answer = lambda request: tls.reply({"leader": "7"})
    assert made.healthy(voter) is None
    server.answer = lambda request: tls.reply({"leader": "0"})
    assert "no leader" in str(made.healthy(voter))
    assert "not been started" in str(made.healthy(learner))


def test_what_was_done_although_it_was_refused_counts() -> None:
    done = iter([False, True])

    def refuse() -> None:
        raise EtcdRefused("etcd says: can only promote a learner member")

    etcd.insist(refuse, lambda: next(done))


def test_what_is_refused_for_good_is_not_asked_again() -> None:
    asked = []

    def refuse() -> None:
        asked.append(1)
        raise EtcdRefused("etcd says: permission denied")

    with pytest.raises(EtcdRefused):
        etcd.insist(refuse, lambda: False, pause=asked.append)
    assert asked == [1]


def test_a_learner_is_never_missed() -> None:
    found = FakeEtcd(member(1), member(2, learner=True))
    assert etcd.quorum_problem(found, found.members()[1]) is None
