"""Who a control plane that is reset leaves behind: those that there are, not those that haproxy remembers."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from unittest import mock

import pytest

from kubeboot.fleet import leaving
from kubeboot.fleet.leaving import Leaving
from kubeboot.host.facts import Facts, Nic
from kubeboot.kube.etcd import Etcd, NoEtcd
from kubeboot.pki import sealed, table
from kubeboot.steps import haproxy
from kubeboot.steps.leaving import EndpointElsewhere, LeaveEtcd
from tests.fakes.api import FakeApi
from tests.fakes.etcd import FakeEtcd, member
from tests.fakes.host import FakeHost

MINE, SECOND, THIRD = "192.0.2.11", "192.0.2.12", "192.0.2.13"
"""cp-1, and two more."""


def machine(*known: str) -> FakeHost:
    """A control plane whose haproxy goes to these."""
    nic = Nic("eth0", addresses=(f"{MINE}/24",))
    host = FakeHost("cp-1", Facts(hostname="cp-1", nics=(nic,)))
    for file in sealed.shared(False):
        host.write(f"{table.DIRECTORY}/{file}", b"x")
    lines = "".join(f"    server {address}:6443 {address}:6443\n" for address in known)
    host.write(haproxy.CONFIG, lines.encode())
    return host


def api(*live: str) -> FakeApi:
    """What API servers say of each other."""
    return FakeApi(
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {"name": "kubernetes", "namespace": "default"},
            "endpoints": [{"addresses": [address]} for address in live],
            "ports": [{"port": 6443}],
        }
    )


class Around:
    """The API servers that answer, by address, and etcd."""

    def __init__(self) -> None:
        self.apis: dict[str, FakeApi] = {}
        self.etcd: Etcd = NoEtcd()

    def administrator(self, given: object, server: str, **_: object) -> FakeApi:
        found = self.apis.get(server.removeprefix("https://").removesuffix(":6443"))
        return found or _silent()

    def members(self, *_: object, **__: object) -> Etcd:
        return self.etcd


def _silent() -> FakeApi:
    made = FakeApi()
    made.unavailable = "connection refused"
    return made


@pytest.fixture
def around() -> Iterator[Around]:
    found = Around()
    with (
        mock.patch("kubeboot.fleet.shared.administrator", found.administrator),
        mock.patch("kubeboot.fleet.shared.members", found.members),
    ):
        yield found


def leads_to(found: Leaving) -> list[str]:
    return [step.to for step in found.steps if isinstance(step, EndpointElsewhere)]


def test_the_endpoint_goes_to_one_that_lives_not_to_one_that_was_reset_before(around: Around) -> None:
    around.apis = {address: api(MINE, THIRD) for address in (MINE, THIRD)}
    around.etcd = FakeEtcd(member(1), member(3))
    assert leads_to(leaving.find(machine(MINE, SECOND, THIRD))) == [THIRD]


def test_the_others_are_asked_where_its_own_api_server_is_gone(around: Around) -> None:
    around.apis = {THIRD: api(THIRD)}
    assert leads_to(leaving.find(machine(MINE, SECOND, THIRD))) == [THIRD]


def test_haproxys_memory_is_used_where_no_api_server_answers(around: Around) -> None:
    assert leads_to(leaving.find(machine(MINE, SECOND))) == [SECOND]


ETCD = b"""spec: {containers: [{image: etcd, command: [etcd, --name=cp-2, --data-dir=/var/lib/etcd,
  "--advertise-client-urls=https://192.0.2.12:2379", "--initial-advertise-peer-urls=https://192.0.2.12:2380"]}]}
"""


@pytest.mark.parametrize(("number", "leaves"), [(2, True), (3, False)])
def test_a_machine_whose_address_has_changed_leaves_as_the_member_that_it_was(
    around: Around, number: int, leaves: bool
) -> None:
    """It was cp-2 at SECOND; where a member of another name is there by now, that one stays."""
    host = machine(SECOND, THIRD)
    host.write("/etc/kubernetes/manifests/etcd.yaml", ETCD)
    there = dataclasses.replace(member(2), name=f"cp-{number}")
    around.apis, around.etcd = {THIRD: api(SECOND, THIRD)}, FakeEtcd(there, member(3))
    found = leaving.find(host)
    [leave] = [step for step in found.steps if isinstance(step, LeaveEtcd)]
    assert (SECOND in leave.addresses) == leaves
    assert leads_to(found) == ([THIRD] if leaves else [SECOND])


def test_the_last_one_leaves_nobody_though_haproxy_remembers_others(around: Around) -> None:
    around.etcd = FakeEtcd(member(1))
    assert leaving.find(machine(MINE, SECOND, THIRD)) == Leaving((), mock.ANY)
    around.etcd, around.apis = NoEtcd(), {MINE: api(MINE)}
    assert leaving.find(machine(MINE, SECOND, THIRD)) == Leaving((), mock.ANY)


def test_a_member_that_is_down_is_not_forgotten_with_its_api_server(around: Around) -> None:
    around.apis = {MINE: api(MINE)}
    around.etcd = FakeEtcd(member(1), member(2))
    assert "leave/etcd" in {step.id for step in leaving.find(machine(MINE, SECOND)).steps}
