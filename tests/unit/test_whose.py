"""Which Node a machine is that left the inventory: never another one's."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from kubeboot import errors
from kubeboot.fleet import whose
from kubeboot.fleet.reach import Reached
from kubeboot.fleet.survey import Cluster
from kubeboot.host.facts import Facts, Nic
from kubeboot.inventory.model import Access, Machine
from kubeboot.kube import surroundings
from tests.fakes.api import FakeApi
from tests.fakes.host import FakeHost

WORKER = frozenset({"worker"})
NODES = (
    surroundings.Machine("ip-10-0-0-1", "id-1", addresses=("10.0.0.1",)),
    surroundings.Machine("w-2", "id-2", addresses=("2001:db8::2",)),
    surroundings.Machine("bare", "id-3"),
)


@dataclasses.dataclass(frozen=True)
class Around:
    peers: tuple[surroundings.Machine, ...] = NODES


@dataclasses.dataclass(frozen=True)
class There:
    """A cluster of three Nodes, of which those named are ready."""

    api: FakeApi
    around: Around = Around()

    node_of = Cluster.node_of


def cluster(*ready: str) -> Any:
    api = FakeApi()
    for name in ready:
        status = {"conditions": [{"type": "Ready", "status": "True"}]}
        api.put({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}, "status": status})
    return There(api)


def of(name: str, address: str | None = None, host: str | None = None, *, ready: tuple[str, ...] = ()) -> str:
    return whose.node(cluster(*ready), Machine(name, WORKER, Access(host=host), address), None).name


def test_a_dead_machine_is_the_node_at_its_address_whatever_that_is_called() -> None:
    assert of("w-1", "10.0.0.1") == "ip-10-0-0-1"
    assert of("w-1", host="10.0.0.1") == "ip-10-0-0-1"
    assert of("x", "2001:0db8:0::2") == "w-2"


def test_one_that_answers_is_the_node_with_its_machine_id() -> None:
    host: Any = FakeHost("w-2")
    reached = Reached(Machine("w-2", WORKER), host, Facts("w-2", machine_id="id-1", joined=True))
    assert whose.node(cluster(), reached.machine, reached) is NODES[0]


@pytest.mark.parametrize(
    ("facts", "whose_id"),
    [
        (Facts("w-9", machine_id="id-1"), None),
        (Facts("w-9", machine_id="id-1", nics=(Nic("eth0", ("10.0.0.1/24",)),)), NODES[0]),
        (Facts("w-9", machine_id="id-1", joined=True), NODES[0]),
        (Facts("w-9"), None),
    ],
    ids=["a clone", "its address", "its kubelet", "no id"],
)
def test_a_clone_is_not_the_machine_that_it_was_cloned_from(
    facts: Facts, whose_id: surroundings.Machine | None
) -> None:
    assert cluster().node_of(facts) is whose_id


def test_a_name_tells_only_while_nothing_speaks_against_it() -> None:
    assert of("w-2", host="w2.example.org") == "w-2"
    assert of("bare", "10.0.0.3") == "bare"


@pytest.mark.parametrize(
    ("name", "address", "ready"),
    [("w-2", "10.0.0.9", ()), ("w-2", None, ("w-2",)), ("w-9", None, ())],
    ids=["another one's name", "that one is well", "no such Node"],
)
def test_another_machines_node_is_never_meant(name: str, address: str | None, ready: tuple[str, ...]) -> None:
    with pytest.raises(errors.KubebootError) as raised:
        of(name, address, ready=ready)
    assert raised.value.reason == "KB_WHICH_NODE" and name in raised.value.message


def test_one_that_is_gone_already_still_leaves_etcd_by_its_address() -> None:
    found = whose.node(cluster(), Machine("w-9", WORKER, address="10.0.0.9"), None)
    assert (found.name, found.addresses) == ("w-9", ("10.0.0.9",))
