"""The lab's machines as data: names, addresses, and subnets that nobody else uses."""

from __future__ import annotations

import ipaddress
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lablib import machine_docker, machine_labs, machine_state, tools
from lablib.machine_state import Machine

from kubeboot import errors
from tests.unit.lab_support import lab

pytestmark = pytest.mark.usefixtures("lab_state")

ROUTES = """\
default via 172.16.0.1 dev eth0
10.1.0.0/16 dev wg0 scope link
172.17.0.0/16 dev docker0 proto kernel scope link src 172.17.0.1 linkdown
local 127.0.0.1 dev lo table local proto kernel scope host src 127.0.0.1
local 192.168.56.1 dev br-1 table local proto kernel scope host src 192.168.56.1
broadcast 192.168.57.255 dev br-2 table local proto kernel scope link src 192.168.57.1
"""


# ---- names and addresses


@given(
    st.integers(0, 9), st.integers(0, 99), st.sampled_from(list(machine_state.POOL[0].subnets(new_prefix=24)))
)
def test_every_machine_has_its_own_name_and_its_own_address_in_the_subnet(
    control_planes: int, workers: int, subnet: ipaddress.IPv4Network
) -> None:
    made = machine_state.layout(str(subnet), control_planes, workers)
    assert [m.role for m in made].count("control_plane") == control_planes
    assert len({m.name for m in made}) == len({m.address for m in made}) == control_planes + workers
    hosts = set(subnet.hosts())
    assert all(ipaddress.IPv4Address(m.address) in hosts for m in made)
    gateway = str(subnet.network_address + 1)
    assert gateway not in {m.address for m in made}


def test_a_lab_that_grows_keeps_the_machines_that_it_has() -> None:
    small = machine_state.layout("192.168.56.0/24", 1, 2)
    large = machine_state.layout("192.168.56.0/24", 3, 4)
    assert set(small) < set(large)
    assert small[0] == Machine("cp-1", "control_plane", "192.168.56.11")


def test_asking_for_fewer_machines_removes_none() -> None:
    three = lab(workers=2)
    assert machine_labs._described(three, 1, 0, 0) == three
    more = machine_labs._described(three, 3, 1, 0)
    assert [m.name for m in more.machines] == ["cp-1", "cp-2", "cp-3", "worker-1", "worker-2"]
    assert machine_labs._described(three, 1, 1, 1).machines[1].name == "lb-1"


@pytest.mark.parametrize("name", ["", "-a", "a-", "A", "a_b", "a/b", "..", "a" * 33, "lab\n"])
def test_a_name_that_some_program_would_choke_on_is_refused(name: str) -> None:
    with pytest.raises(errors.UsageProblem):
        machine_state.check_name(name)


@pytest.mark.parametrize("name", ["a", "lab", "test-4711", "a" * 32])
def test_usual_names_are_names(name: str) -> None:
    assert machine_state.check_name(name) == name


# ---- subnets


@given(st.lists(st.sampled_from([str(s) for p in machine_state.POOL for s in p.subnets(new_prefix=24)])))
def test_a_subnet_that_is_taken_is_never_chosen(taken: list[str]) -> None:
    chosen = list(machine_state.free_subnets(taken))
    assert not set(chosen) & set(taken)
    assert len(chosen) == 8 + 64 - len(set(taken))


@pytest.mark.parametrize("taken", ["192.168.0.0/16", "192.168.56.0/23", "192.168.56.77", "192.168.56.128/25"])
def test_overlapping_is_enough_to_be_taken(taken: str) -> None:
    assert "192.168.56.0/24" not in list(machine_state.free_subnets([taken]))


def test_machines_and_a_clusters_usual_networks_do_not_overlap() -> None:
    for usual in ("10.244.0.0/16", "10.96.0.0/12", "10.0.2.0/24"):
        assert not any(ipaddress.ip_network(usual).overlaps(block) for block in machine_state.POOL)


def test_every_route_but_the_default_takes_its_network() -> None:
    found = machine_state.routed(ROUTES)
    assert found == ["10.1.0.0/16", "172.17.0.0/16", "192.168.56.1", "192.168.57.255"]
    assert next(machine_state.free_subnets(found)) == "192.168.58.0/24"


def test_what_docker_and_other_labs_use_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    machine_state.save(lab(subnet="192.168.60.0/24"))
    networks = [
        {"IPAM": {"Config": [{"Subnet": "172.18.0.0/16"}, {"Subnet": "fd00::/64"}]}},
        {"IPAM": {"Config": None}},
    ]
    said = {
        "ip -4 route show table all": ROUTES,
        "docker network ls --quiet": "aa\nbb\n",
        "docker network inspect aa bb": json.dumps(networks),
    }
    monkeypatch.setattr(tools, "run", lambda argv: said[" ".join(argv)])
    taken = machine_docker.taken_subnets()
    assert {"192.168.60.0/24", "172.18.0.0/16", "10.1.0.0/16"} <= set(taken)
    assert not any(":" in each for each in taken)


def test_a_network_that_docker_refuses_is_not_the_last_word(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(argv: list[str]) -> str:
        if "192.168.56.0/24" in argv:
            raise errors.KubebootError("no", output="Pool overlaps with other one on this address space")
        return "id\n"

    monkeypatch.setattr(tools, "run", run)
    subnets = ["192.168.56.0/24", "192.168.57.0/24"]
    assert machine_docker.create_network("kubeboot-a", "a", subnets) == "192.168.57.0/24"
    with pytest.raises(errors.KubebootError, match="no free subnet"):
        machine_docker.create_network("kubeboot-a", "a", subnets[:1])
