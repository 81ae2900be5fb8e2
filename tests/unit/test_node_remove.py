"""Whom `kubeboot node remove` means, and what it says when the cluster accepts no changes."""

from __future__ import annotations

from typing import Any
from unittest import mock

import pytest

from kubeboot import errors
from kubeboot.fleet import gone, remove
from kubeboot.fleet.orders_cluster import NodeRemoveOptions
from kubeboot.kube.api import ApiUnavailable
from kubeboot.pki import sealed, table
from kubeboot.steps.etcd import local as etcd_local
from tests.fakes.api import FakeApi
from tests.fakes.etcd import member
from tests.fakes.host import FakeHost

MEMBERS = (member(1), member(2), member(3, learner=True, started=False))
ETCD = b"""spec: {containers: [{image: etcd, command: [etcd, --name=cp-1, --data-dir=/var/lib/etcd,
  "--advertise-client-urls=https://192.0.2.11:2379", "--initial-advertise-peer-urls=https://192.0.2.11:2380"]}]}
"""


def a_node(number: int) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": f"cp-{number}"},
        "status": {"addresses": [{"type": "InternalIP", "address": f"192.0.2.1{number}"}]},
    }


@pytest.mark.parametrize(
    ("said", "name", "addresses", "known"),
    [
        ("cp-1", "cp-1", ("192.0.2.11",), True),  # has a Node
        ("192.0.2.11", "cp-1", ("192.0.2.11",), True),
        ("cp-2", "cp-2", ("192.0.2.12",), True),  # somebody has deleted its Node
        ("192.0.2.12", "cp-2", ("192.0.2.12",), True),
        ("192.0.2.13", "192.0.2.13", ("192.0.2.13",), True),  # a learner that was never started
        ("cp-9", "cp-9", (), False),
    ],
)
def test_every_trace_of_a_machine_leads_to_its_addresses(
    said: str, name: str, addresses: tuple[str, ...], known: bool
) -> None:
    found = gone.who(said, FakeApi(a_node(1)), MEMBERS)
    assert (found.name, found.addresses, found.known) == (name, addresses, known)


def test_an_address_that_another_machine_has_by_now_is_not_its_own() -> None:
    """cp-9 died, and cp-2 got its address: cp-2's member and the endpoint there stay."""
    dead = a_node(9)
    dead["status"]["addresses"][0]["address"] = "192.0.2.12"
    assert gone.who("cp-9", FakeApi(dead), MEMBERS).addresses == ()
    assert gone.who("cp-9", FakeApi(dead, a_node(2)), ()).addresses == ()


def a_control_plane() -> FakeHost:
    host = FakeHost("cp-1")
    for file in sealed.shared(False):
        host.write(f"{table.DIRECTORY}/{file}", b"x")
    host.write(etcd_local.path("etcd"), ETCD)
    return host


API_SERVER = (
    b"""spec: {containers: [{image: api, command: [kube-apiserver, --advertise-address=192.0.2.11]}]}"""
)


@pytest.mark.parametrize(
    ("kubeconfig", "ready", "used"),
    [
        ("/etc/kubernetes/admin.conf", True, "https://192.0.2.11:6443"),
        ("/etc/kubernetes/admin.conf", False, None),
        ("/root/other.conf", True, None),
    ],
)
def test_its_own_api_server_is_asked_where_the_endpoint_may_lead_to_who_is_gone(
    kubeconfig: str, ready: bool, used: str | None
) -> None:
    host, apis = a_control_plane(), {None: FakeApi(), "https://192.0.2.11:6443": FakeApi()}
    host.write(etcd_local.path("kube-apiserver"), API_SERVER)
    apis["https://192.0.2.11:6443"].unavailable = None if ready else "connection refused"

    def administrator(path: str, server: str | None = None) -> FakeApi:
        return apis[server]

    with mock.patch("kubeboot.fleet.access.administrator", administrator):
        assert remove.nearest(host, kubeconfig) is apis[used]


class Gateway:
    """A member that follows no leader, or one."""

    def __init__(self, leader: str) -> None:
        self._leader = leader

    def status(self, server: str) -> dict[str, str]:
        return {"leader": self._leader}


@pytest.mark.parametrize(("leader", "hint"), [("0", "kubeboot etcd recover"), ("7", "look at the API")])
def test_an_api_that_is_gone_with_etcds_quorum_says_how_to_get_it_back(leader: str, hint: str) -> None:
    api = mock.Mock()
    api.get.side_effect = ApiUnavailable("no answer", hint="look at the API")
    with (
        mock.patch("kubeboot.fleet.remove.LocalView", a_control_plane),
        mock.patch("kubeboot.fleet.access.administrator", return_value=api),
        mock.patch("kubeboot.fleet.shared.members", return_value=Gateway(leader)),
        pytest.raises(errors.Unreachable) as raised,
    ):
        remove.remove(NodeRemoveOptions("cp-2"), print)
    assert hint in str(raised.value.hint)
