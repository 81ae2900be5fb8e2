"""etcd's own machines in a fleet: who is a member, who is first, where they are found, who leaves."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

import pytest

from kubeboot import errors
from kubeboot.config.components import Etcd, ExternalEtcd
from kubeboot.config.etcd_access import Invitation
from kubeboot.config.spec import ClusterSpec
from kubeboot.engine import journal
from kubeboot.engine.events import HostFinished
from kubeboot.engine.step import Drift, View
from kubeboot.engine.values import Values
from kubeboot.fleet import departing, hooks, shared
from kubeboot.fleet.etcd import fleet as etcd_fleet
from kubeboot.fleet.etcd import machine as etcd_machine
from kubeboot.fleet.etcd.fleet import EtcdMachines
from kubeboot.fleet.reach import Crew, Reached
from kubeboot.fleet.tasks import Task
from kubeboot.fleet.ways import Ways
from kubeboot.fleet.work import Shift
from kubeboot.host.facts import Facts
from kubeboot.inventory.model import Inventory, Machine
from kubeboot.kube.api import NoApi
from kubeboot.steps.etcd.machine import DESCRIPTION
from tests.fakes import tls
from tests.fakes.entries import File
from tests.fakes.etcd import FakeEtcd, member
from tests.fakes.host import FakeHost

CA = tls.authority("etcd-ca")
INVITED = Invitation(("https://192.0.2.11:2379",), CA.certificate, CA.key, ClusterSpec())
NAMES = ("cp-1", "cp-2", "cp-3")
"""As the fake calls etcd's members."""
ETCD = frozenset({"etcd"})
INVENTORY = Inventory("hosts", tuple(Machine(name, ETCD) for name in NAMES))  # type: ignore[arg-type]


def machine(name: str, described: bool = False) -> Reached:
    host = FakeHost(name)
    if described:
        host.files[DESCRIPTION] = File(b"{}")
    return Reached(Machine(name, ETCD), host, Facts(name))  # type: ignore[arg-type]


def crew(*described: str, lost: tuple[str, ...] = ()) -> Crew:
    there = tuple(machine(name, name in described) for name in NAMES if name not in lost)
    return Crew(there, {name: errors.Unreachable(f"{name}: no answer") for name in lost})


@pytest.fixture
def silent(monkeypatch: pytest.MonkeyPatch) -> None:
    def invitation(see: object, dialler: object) -> Invitation:
        raise errors.Unreachable("etcd does not answer")

    monkeypatch.setattr(etcd_machine, "invitation", invitation)


def test_a_fleet_without_such_machines() -> None:
    assert etcd_fleet.look(Inventory("x", (Machine("w", frozenset({"worker"})),)), Crew((), {})) is None


def test_the_first_of_the_inventory_begins(silent: None) -> None:
    found = etcd_fleet.look(INVENTORY, crew())
    assert found is not None and (found.first.name, found.members, found.invited) == (
        "cp-1",
        frozenset(),
        None,
    )
    with pytest.raises(errors.Unreachable, match="cp-1: no answer"):
        etcd_fleet.look(INVENTORY, crew(lost=("cp-1",)))


def test_who_has_begun_goes_on(silent: None) -> None:
    found = etcd_fleet.look(INVENTORY, crew("cp-2"))
    assert found is not None and found.first.name == "cp-2" and found.invited is None


def test_no_second_etcd_is_made_beside_one_that_is_silent(silent: None) -> None:
    with pytest.raises(errors.Unreachable) as raised:
        etcd_fleet.look(INVENTORY, crew("cp-1", "cp-2"))
    assert raised.value.reason == "KB_ETCD_SILENT"


def test_any_member_that_answers_lets_others_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(etcd_machine, "invitation", lambda see, dialler: INVITED)
    found = etcd_fleet.look(INVENTORY, crew("cp-2", "cp-3", lost=("cp-1",)))
    assert found is not None and found.first.name == "cp-2" and found.members == {"cp-2", "cp-3"}
    assert set(found.given) == {"external-etcd-ca.crt", "external-etcd.crt", "external-etcd.key"}
    assert found.given["external-etcd-ca.crt"] == CA.certificate


@pytest.fixture
def etcd(monkeypatch: pytest.MonkeyPatch) -> FakeEtcd:
    made = FakeEtcd(member(1), member(2), member(3, learner=True))
    monkeypatch.setattr(shared, "members", lambda *_, **__: made)
    return made


def machines() -> EtcdMachines:
    return EtcdMachines(machine("cp-1"), frozenset(NAMES), Ways({}), INVITED)


def urls(spec: ClusterSpec) -> tuple[str, ...]:
    assert spec.etcd.external is not None
    return spec.etcd.external.endpoints


def test_control_planes_are_told_of_voters_that_stay_and_of_those_that_join(etcd: FakeEtcd) -> None:
    spec, first, second = ClusterSpec(), "https://192.0.2.11:2379", "https://192.0.2.12:2379"
    assert urls(machines().placed(spec, spec, (), ())) == (first, second)
    assert urls(machines().placed(spec, spec, ["192.0.2.14"], ["cp-1"])) == (
        second,
        "https://192.0.2.14:2379",
    )
    there = ClusterSpec(etcd=Etcd(external=ExternalEtcd(endpoints=(second, first))))
    assert urls(machines().placed(spec, there, (), ())) == (second, first)


def test_a_member_leaves_etcd_by_its_name_before_it_is_reset(etcd: FakeEtcd) -> None:
    (task,) = departing._forget(None, machines(), Machine("cp-2", ETCD), machine("cp-2"))  # type: ignore[arg-type]
    (step,) = task.plan.steps
    see = View(task.who.host, NoApi(), task.others.etcd)
    assert step.check(see, Values()) == Drift("remove cp-2 from etcd's members", "remove")
    assert task.name == "cp-1"


def test_of_a_balancer_nobody_is_told() -> None:
    gone = Machine("lb-1", frozenset({"lb"}))
    assert departing._forget(None, None, gone, None) == ()  # type: ignore[arg-type]
    plan = departing.reset(machine("lb-1"), hooks.Hooks(INVENTORY, lambda event: None)).plan
    assert plan.command == "reset"


def departs(
    monkeypatch: pytest.MonkeyPatch, etcd: EtcdMachines | None, locked: bool = False
) -> tuple[list[str], HostFinished, list[str]]:
    """cp-2 leaves: whose plans were worked on, how it went, and what was locked meanwhile."""
    worked, held, host = [], [], FakeHost("cp-2")

    @contextlib.contextmanager
    def lock(path: str, holder: object) -> Iterator[None]:
        if locked:
            raise errors.Occupied("cp-2 is busy")
        held.append(path)
        yield
        held.append("free")

    def run(self: Shift, task: Task, stage: str) -> HostFinished:
        worked.append(task.plan.command)
        held.append(stage)
        return HostFinished(task.name, "changed", changed=1)

    monkeypatch.setattr(host, "lock", lock)
    monkeypatch.setattr(Shift, "work", run)
    shift, books = Shift(lambda event: None, threading.Event()), hooks.Hooks(INVENTORY, lambda event: None)
    leaver = Machine("cp-2", ETCD)
    who = Reached(leaver, host, host.facts())
    (end,) = departing.leave(None, etcd, (leaver,), {"cp-2": who}, shift, books)  # type: ignore[arg-type]
    return worked, end, held


@pytest.mark.parametrize("etcd", [None, EtcdMachines(machine("cp-1"), frozenset({"cp-1"}), Ways({}))])
def test_who_cannot_leave_etcd_is_not_reset_and_stays_in_the_record(
    monkeypatch: pytest.MonkeyPatch, etcd: EtcdMachines | None
) -> None:
    worked, end, _ = departs(monkeypatch, etcd)
    assert worked == [] and (end.state, end.reason) == ("failed", "KB_ETCD_SILENT")
    assert departing.done((end,)) == frozenset()


def test_who_leaves_is_locked_from_before_it_does_until_it_is_reset(
    monkeypatch: pytest.MonkeyPatch, etcd: FakeEtcd
) -> None:
    worked, end, held = departs(monkeypatch, machines())
    assert worked[1:] == ["reset"] and end.state == "changed"
    assert held == [journal.LOCK, "leaving etcd", held[2], "free"]


def test_a_machine_that_another_run_holds_does_not_leave(
    monkeypatch: pytest.MonkeyPatch, etcd: FakeEtcd
) -> None:
    worked, end, _ = departs(monkeypatch, machines(), locked=True)
    assert worked == [] and end.reason == errors.Occupied.reason and not departing.done((end,))


def test_a_member_of_another_name_leaves_by_its_address(etcd: FakeEtcd) -> None:
    gone = Machine("old", ETCD, address="192.0.2.12")
    (task,) = departing._forget(None, machines(), gone, None)  # type: ignore[arg-type]
    see = View(task.who.host, NoApi(), task.others.etcd)
    assert task.plan.steps[0].check(see, Values()) == Drift("remove cp-2 from etcd's members", "remove")
