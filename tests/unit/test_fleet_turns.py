"""Who comes first where somebody is new."""

from __future__ import annotations

import dataclasses
import threading

import pytest

from kubeboot.engine.events import Event, StepStarted
from kubeboot.fleet import turns
from kubeboot.inventory.model import Machine, Role
from kubeboot.kube import surroundings
from kubeboot.steps.preflight import Surroundings

PEERS = (
    surroundings.Machine("cp-1", addresses=("10.0.0.1",)),
    surroundings.Machine("other-name", addresses=("10.0.0.2",)),
    surroundings.Machine("w-3"),
)


@dataclasses.dataclass(frozen=True)
class Cluster:
    around: Surroundings


CLUSTER = Cluster(Surroundings(PEERS))


def machine(name: str, address: str | None = None, role: Role = "worker") -> Machine:
    return Machine(name, frozenset({role}), address=address)


def names(machines: tuple[Machine, ...]) -> list[str]:
    return [each.name for each in machines]


def test_a_newcomer_has_no_node_of_its_name_or_address_and_balancers_have_none_anyway() -> None:
    machines = (machine("w-2", "10.0.0.2"), machine("w-3"), machine("lb-1", role="lb"), machine("w-4"))
    assert names(turns.newcomers(CLUSTER, machines)) == ["w-4"]  # type: ignore[arg-type]
    assert names(turns.ahead(CLUSTER, machines)) == ["w-4"]  # type: ignore[arg-type]
    assert turns.ahead(CLUSTER, machines[:3]) == machines[:3]  # type: ignore[arg-type]
    assert turns.ahead(None, machines) == machines


def test_the_newest_are_the_last_that_are_no_control_planes() -> None:
    machines = (*map(machine, ("w-1", "w-2", "w-3")), machine("cp-1", role="control_plane"))
    assert names(turns.newest(machines)) == ["w-2", "w-3"]
    assert names(turns.newest(machines[3:])) == []


def test_the_others_wait_for_who_was_reached_and_works_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "GRACE", 0.01)
    whose = turns.Turns(["w-4", "dead"])
    told: list[Event] = []
    looked = threading.Event()

    def look() -> None:
        with whose.turn("w-1"):
            looked.set()

    with whose.turn("w-4"):
        whose.reached("w-4")
        thread = threading.Thread(target=look)
        thread.start()
        hear = whose.hearing("w-4", told.append)
        hear(StepStarted("node/registered", "w-4", ""))
        assert not looked.wait(0.05)
        hear(StepStarted(turns.AWAITED, "w-4", ""))
        assert looked.wait(60)
    thread.join()
    assert len(told) == 2
