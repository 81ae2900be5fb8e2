"""The order in which `up` goes through a fleet, on machines whose work is only noted.

Who is `slow` answers when another machine's work has been done: a world where that waits for it is held up.
"""

from __future__ import annotations

import contextlib
import dataclasses
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from kubeboot import errors
from kubeboot.config.node import NodeSettings, Role
from kubeboot.config.spec import Artifacts, ClusterSpec
from kubeboot.engine.events import Event, HostFinished, StepFinished, StepStarted
from kubeboot.engine.plan import Plan
from kubeboot.fleet import departing, down, health, locking, planning, record, remote, survey, turns, up, work
from kubeboot.fleet.etcd import fleet as etcd_fleet
from kubeboot.fleet.orders_fleet import ExecOptions, FleetOptions, FleetResult
from kubeboot.fleet.reach import Crew, Reached
from kubeboot.fleet.run import Others
from kubeboot.fleet.supply import Supply
from kubeboot.fleet.tasks import Shop, Task
from kubeboot.host.facts import Facts
from kubeboot.inventory.model import Inventory, Machine
from kubeboot.kube import surroundings
from kubeboot.kube.api import NoApi
from kubeboot.kube.facts import ClusterFacts
from kubeboot.steps import preflight

PLANES = ("cp-1", "cp-2", "cp-3")
WORKERS = ("w-1", "w-2", "w-3")
SPEC = ClusterSpec(control_plane_endpoint="192.0.2.5:8443")
VOTERS = ("e-1", "e-2", "e-3")
Verb = Callable[..., FleetResult]


@dataclasses.dataclass
class Silent:
    """A machine that tells its facts, or does not answer."""

    name: str
    world: World

    def facts(self) -> Facts:
        self.world.wait_for(self.name, self.world.slow)
        if self.name in self.world.dead:
            raise errors.Unreachable(f"{self.name}: no answer", hint="check the address", host=self.name)
        return Facts(self.name, machine_id=self.name, joined=self.name in self.world.elsewhere)

    def stat(self, path: str) -> None:
        """There is nothing on it."""

    @contextlib.contextmanager
    def lock(self, path: str, holder: str) -> Iterator[None]:
        if self.name in self.world.occupied:
            raise errors.Occupied(f"{self.name} is busy", hint="wait")
        self.world.locked.append(self.name)
        yield


@dataclasses.dataclass
class World:
    """What there is: who is dead, who is a node already, on whom something differs, whose work fails."""

    dead: set[str] = dataclasses.field(default_factory=set)
    members: set[str] = dataclasses.field(default_factory=set)
    dirty: set[str] = dataclasses.field(default_factory=set)
    failing: set[str] = dataclasses.field(default_factory=set)
    occupied: set[str] = dataclasses.field(default_factory=set)
    reasons: dict[str, str] = dataclasses.field(default_factory=dict)
    elsewhere: set[str] = dataclasses.field(default_factory=set)
    slow: dict[str, tuple[str, str]] = dataclasses.field(default_factory=dict)
    awaiting: dict[str, int] = dataclasses.field(default_factory=dict)
    hanging: dict[str, int] = dataclasses.field(default_factory=dict)
    looks: list[tuple[str, str]] = dataclasses.field(default_factory=list)
    held_up: list[str] = dataclasses.field(default_factory=list)
    patience: float = 60.0
    unhealthy: str | None = None
    mourned: dict[str, str] = dataclasses.field(default_factory=dict)
    lead: str = "cp-1"
    living: tuple[str, ...] = ()
    addresses: dict[str, str] = dataclasses.field(default_factory=dict)
    at: dict[str, str] = dataclasses.field(default_factory=dict)
    worked: list[tuple[str, str]] = dataclasses.field(default_factory=list)
    locked: list[str] = dataclasses.field(default_factory=list)
    told: list[Event] = dataclasses.field(default_factory=list)
    urls: list[tuple[list[str], list[str]]] = dataclasses.field(default_factory=list)

    def placed(self, shop: Shop, etcd: Any, there: Any, joining: Any = (), gone: Any = ()) -> Shop:
        self.urls.append((list(joining), list(gone)))
        return shop

    def up(self, *names: str, limit: tuple[str, ...] = ()) -> FleetResult:
        return up.up(self.options(names, limit), self.told.append, self._open)

    def plan(self, *names: str) -> FleetResult:
        return planning.plan(self.options(names, ()), self.told.append, self._open)

    def options(self, names: tuple[str, ...], limit: tuple[str, ...]) -> FleetOptions:
        roles = {name: "lb" if name.startswith("lb-") else _role(name) for name in names}
        machines = tuple(
            Machine(name, frozenset({role}), address=self.at.get(name, self.addresses.get(name)))  # type: ignore[arg-type]
            for name, role in roles.items()
        )
        return FleetOptions(SPEC, Inventory("hosts.ini", machines), limit)

    def _open(self, machine: Machine) -> Any:
        return Silent(machine.name, self)

    def wait_for(self, name: str, slow: dict[str, tuple[str, str]]) -> None:
        """A slow machine answers when another's work has been done; if that waits for it, it is held up.

        Where nobody should wait, patience is for a busy computer; where somebody does, all of it passes.
        """
        end = time.monotonic() + self.patience
        while name in slow and slow[name] not in self.worked:
            if time.monotonic() > end:
                self.held_up.append(name)
                return
            time.sleep(0.002)

    def task(self, who: Reached, *, command: str = "join") -> Task:
        role = _role(who.name)
        node = NodeSettings(who.name, f"10.0.0.{len(self.worked)}", role)
        return Task(who, who.name, Plan(command, "", ()), NoApi(), node=node, member=who.name in self.members)

    def work(self, shift: work.Shift, task: Task, stage: str) -> HostFinished:
        self.worked.append((task.name, stage))
        if task.name in self.awaiting:
            shift.emit(StepStarted(turns.AWAITED, task.name, "Await the Node"))
        self.wait_for_looks(task.name)
        if task.name in self.failing:
            if task.name in self.reasons:
                self.members.add(task.name)
            reason = self.reasons.get(task.name)
            return HostFinished(task.name, "failed", changed=1, message="it broke", reason=reason)
        self.members |= {task.name} if stage != "preparing" else set()
        return HostFinished(task.name, "changed", changed=1)

    def wait_for_looks(self, name: str) -> None:
        """Its work goes on until so many others have been looked at."""
        end = time.monotonic() + 60.0
        while len(self.looks) < self.awaiting.get(name, self.hanging.get(name, 0)):
            if time.monotonic() > end:
                self.held_up.append(name)
                return
            time.sleep(0.002)

    def look(self, task: Task, answers: object) -> work.Looked:
        self.looks.extend(self.worked[-1:])
        state = "drift" if task.name in self.dirty else "ok"
        return work.Looked(task, (StepFinished("a/b", task.name, "A", state, 0.0, 0.0),))  # type: ignore[arg-type]

    def see(self, reached: Reached) -> survey._Seen:
        return survey._Seen(reached, {}, reached.name in self.members, False)

    def answering(self, seen: list[survey._Seen], port: int) -> Any:
        serving = sorted((one.who for one in seen if one.serves), key=lambda who: who.name != self.lead)
        nodes = tuple(surroundings.Machine(name, addresses=(at,)) for name, at in self.addresses.items())
        around = preflight.Surroundings(nodes)
        return _Cluster(serving[0], _serving(self.living), around) if serving else None

    def judged(self, dead: dict[str, str]) -> str | None:
        self.mourned = dead
        return self.unhealthy

    def etcd(self, inventory: Inventory, crew: Crew) -> Any:
        there = {r.name: r for r in crew.reached if r.machine.role == "etcd"}
        if not inventory.of("etcd"):
            return None
        return _Etcd(there["e-1"], bool(self.members & set(VOTERS)) or None)

    def states(self, result: FleetResult) -> dict[str, str]:
        return {host.host: host.state for host in result.hosts}


@dataclasses.dataclass(frozen=True)
class _Cluster:
    lead: Reached
    facts: ClusterFacts
    around: preflight.Surroundings


def _serving(addresses: tuple[str, ...]) -> ClusterFacts:
    return ClusterFacts(b"", ClusterSpec(), "", tuple((address, 6443) for address in addresses), "")


@dataclasses.dataclass(frozen=True)
class _Etcd:
    first: Reached
    invited: bool | None
    given: Any = None
    others: Any = dataclasses.field(default_factory=Others)


_ROLES: dict[str, Role] = {"cp": "control_plane", "w": "worker", "e": "etcd", "lb": "load_balancer"}


def _role(name: str) -> Role:
    return _ROLES.get(name.partition("-")[0], "control_plane")


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    made = World()
    kept = Machine("kept", frozenset({"worker"}))
    record_task = made.task(Reached(kept, Silent("kept", made), Facts("kept")))  # type: ignore[arg-type]
    made.members.add("kept")
    for where, name, stand_in in (
        (Supply, "near", lambda self, who: None),
        (Shop, "found", lambda self, who, given=None: made.task(who, command="init")),
        (Shop, "etcd", lambda self, who, etcd: made.task(who, command="etcd")),
        (Shop, "placed", lambda *given: made.placed(*given)),
        (etcd_fleet, "look", made.etcd),
        (Shop, "prepare", lambda self, who: made.task(who)),
        (Shop, "join", lambda self, who, cluster: made.task(who)),
        (Shop, "examine", lambda self, task, cluster: ()),
        (work.Shift, "work", made.work),
        (work, "look", made.look),
        (survey, "_see", made.see),
        (survey, "_answering", made.answering),
        (survey, "GRACE", 0.05),
        (turns, "GRACE", 0.05),
        (departing, "find", lambda cluster, inventory: ()),
        (health, "awaited", lambda cluster, stop, scale, etcd, dead: made.judged(dead)),
        (record, "task", lambda *_: record_task),
    ):
        monkeypatch.setattr(where, name, stand_in)
    monkeypatch.setattr(work.Shift, "work", lambda self, task, stage: made.work(self, task, stage))
    return made


def done(world: World) -> list[str]:
    """Who was worked on, in order; the cluster's own record does not count."""
    return [name for name, _ in world.worked if name != "kept"]


@pytest.mark.parametrize("verb", [up.up, planning.plan])
def test_a_bundle_that_is_not_there_is_told_before_any_machine_is_reached(world: World, verb: Verb) -> None:
    wanted = world.options(("cp-1", "w-1"), ())
    lacking = ClusterSpec(artifacts=Artifacts(bundle="/nonexistent/k.bundle"))
    with pytest.raises(errors.ConfigInvalid, match="there is no bundle /nonexistent/k"):
        verb(dataclasses.replace(wanted, spec=lacking), world.told.append, _nobody)
    assert not world.told


def _nobody(machine: Machine) -> Any:
    raise AssertionError(f"{machine.name} was reached")


def test_a_new_cluster_is_made_while_the_others_get_ready_and_they_join_then(world: World) -> None:
    world.members.clear()
    result = world.up("cp-1", "cp-2", "w-1")
    stages = {name: [s for n, s in world.worked if n == name] for name in ("cp-1", "cp-2", "w-1")}
    assert stages == {"cp-1": ["making the cluster"], "cp-2": ["preparing", "joining"],
                      "w-1": ["preparing", "joining"]}  # fmt: skip
    assert world.states(result) == dict.fromkeys(("cp-1", "cp-2", "w-1"), "changed")
    assert world.worked[-1] == ("kept", "finishing")


def test_nobody_joins_what_was_not_made(world: World) -> None:
    world.members.clear()
    world.failing.add("cp-1")
    result = world.up("cp-1", "cp-2", "w-1")
    assert world.states(result) == {"cp-1": "failed", "cp-2": "skipped", "w-1": "skipped"}
    assert not any(stage == "joining" for _, stage in world.worked)


def test_one_dead_machine_stops_nobody_and_is_left_for_the_next_run(world: World) -> None:
    world.members.clear()
    world.dead.add("w-1")
    result = world.up("cp-1", "w-1", "w-2")
    assert world.states(result) == {"cp-1": "changed", "w-1": "unreachable", "w-2": "changed"}
    assert [host.host for host in result.failed] == ["w-1"] and result.failed[0].hint
    world.dead.clear()
    world.worked.clear()
    assert world.states(world.up("cp-1", "w-1", "w-2"))["w-1"] == "changed" and done(world) == ["w-1"]


def test_a_dead_machine_is_waited_for_by_nobody(world: World) -> None:
    world.members |= {*PLANES}
    world.dead.add("w-1")
    world.slow["w-1"] = ("w-2", "joining")
    result = world.up(*PLANES, "w-1", "w-2")
    assert (world.held_up, world.states(result)["w-1"]) == ([], "unreachable")


def test_nor_is_a_control_plane_and_a_plan_tells_of_it_too(world: World) -> None:
    world.members |= {*PLANES}
    world.dead.add("cp-3")
    world.slow["cp-3"] = ("w-1", "joining")
    result = world.up(*PLANES, "w-1")
    assert world.held_up == [] and done(world) == ["w-1"]
    assert world.states(result) == {"cp-1": "ok", "cp-2": "ok", "cp-3": "unreachable", "w-1": "changed"}
    assert world.states(world.plan(*PLANES, "w-1"))["cp-3"] == "unreachable"


@pytest.mark.parametrize(("living", "held_up"), [(("10.0.0.2", "10.0.0.3"), []), (("10.0.0.1",), ["cp-1"])])
def test_of_a_dead_one_that_might_lead_the_cluster_says_whether_it_serves(
    world: World, living: tuple[str, ...], held_up: list[str]
) -> None:
    world.members |= {*PLANES}
    world.lead, world.living = "cp-2", living
    world.addresses = {"cp-1": "10.0.0.1", "cp-2": "10.0.0.2", "cp-3": "10.0.0.3"}
    world.dead.add("cp-1")
    world.slow["cp-1"] = ("w-1", "joining")
    world.patience = 0.5 if held_up else world.patience
    result = world.up(*PLANES, "w-1")
    assert world.held_up == held_up and world.locked == ["cp-2", "w-1"]
    assert world.states(result) == {"cp-1": "unreachable", "cp-2": "ok", "cp-3": "ok", "w-1": "changed"}


def test_a_control_plane_that_comes_late_is_changed_in_its_turn(world: World) -> None:
    world.members |= {*PLANES, *WORKERS}
    world.dirty |= {*PLANES, "w-1"}
    world.slow["cp-2"] = ("w-4", "joining")
    world.up(*PLANES, *WORKERS, "w-4")
    assert world.held_up == [] and done(world)[:2] == ["w-4", "cp-1"]
    assert set(done(world)[2:4]) == {"cp-2", "cp-3"} and done(world)[4:] == ["w-1"]


def test_a_dead_control_plane_is_not_waited_for_before_the_others_are_changed(world: World) -> None:
    world.members |= {*PLANES}
    world.dirty |= {"cp-2"}
    world.dead.add("cp-1")
    world.lead, world.living = "cp-2", ("10.0.0.2", "10.0.0.3")
    world.addresses = {"first": "10.0.0.1", "cp-2": "10.0.0.2", "cp-3": "10.0.0.3"}
    world.at["cp-1"] = "10.0.0.1"
    world.unhealthy = "it is not well"
    result = world.up(*PLANES)
    assert set(world.mourned) == {"cp-1", "first"} and "kubeboot node remove first" in world.mourned["first"]
    assert world.states(result) == {"cp-1": "unreachable", "cp-2": "skipped", "cp-3": "ok"}


def test_a_new_control_plane_that_comes_late_joins_when_the_others_are_changed(world: World) -> None:
    world.members |= {"cp-1", "cp-2"}
    world.dirty |= {"cp-2"}
    world.slow["cp-3"] = ("w-1", "joining")
    world.up(*PLANES, "w-1")
    assert world.held_up == [] and done(world) == ["w-1", "cp-2", "cp-3"]


def test_a_new_cluster_is_made_before_a_dead_machine_is_given_up(world: World) -> None:
    world.members.clear()
    world.dead.add("w-1")
    world.slow["w-1"] = ("cp-1", "making the cluster")
    result = world.up("cp-1", "w-1", "w-2")
    assert world.held_up == []
    assert world.states(result) == {"cp-1": "changed", "w-1": "unreachable", "w-2": "changed"}


def test_nor_does_anybody_wait_for_it_whose_cluster_is_taken_away_or_who_runs_a_command(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.dead.add("w-1")
    world.slow["w-1"] = ("w-2", "resetting")
    monkeypatch.setattr(departing, "reset", lambda who, hooks: world.task(who, command="reset"))
    options = world.options(("cp-1", "w-1", "w-2"), ())
    assert world.states(down.down(options, world.told.append, world._open))["w-2"] == "changed"
    world.slow["w-1"] = ("w-2", "command")
    monkeypatch.setattr(remote, "_run", lambda who, *_: world.worked.append((who.name, "command")) or 0)
    wanted = ExecOptions(options.inventory, ("true",))
    assert [end.state for end in remote.execute(wanted, lambda *_: None, world._open)] == [
        "ok",
        "unreachable",
        "ok",
    ]
    assert world.held_up == []


def test_who_is_new_joins_before_the_others_are_looked_at(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "GRACE", 60.0)
    world.members |= {*PLANES, "w-1"}
    world.addresses = {name: f"10.0.0.{number}" for number, name in enumerate((*PLANES, "w-1"), 1)}
    result = world.up("w-1", *PLANES, "w-2")
    assert world.looks[:4] == [("w-2", "joining")] * 4 and world.states(result)["w-1"] == "ok"
    assert done(world) == ["w-2"]


def test_they_are_looked_at_while_it_waits_for_its_node(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "GRACE", 60.0)
    world.members |= {*PLANES, "w-1"}
    world.addresses = {name: f"10.0.0.{number}" for number, name in enumerate((*PLANES, "w-1"), 1)}
    world.awaiting["w-2"] = 4
    result = world.up("w-1", *PLANES, "w-2")
    assert world.held_up == [] and world.states(result)["w-2"] == "changed"


def test_one_that_hangs_holds_up_nobody_for_long(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "PATIENCE", 0.05)
    world.members |= {*PLANES, "w-1"}
    world.addresses = {"w-1": "10.0.0.4"}
    world.hanging["w-2"] = 1
    world.up(*PLANES, "w-1", "w-2")
    assert world.held_up == []


def test_who_is_new_has_joined_before_anybody_is_changed(world: World) -> None:
    world.members |= {*PLANES, "w-1"}
    world.dirty |= {"cp-1", "w-1"}
    world.up(*PLANES, "w-1", "w-2")
    assert done(world) == ["w-2", "cp-1", "w-1"]


def test_workers_that_need_a_new_balancer_join_after_it(world: World) -> None:
    world.members |= {"cp-1"}
    world.up("cp-1", "w-1", "lb-1")
    assert done(world) == ["lb-1", "w-1"]


def test_another_run_keeps_the_whole_fleet(world: World) -> None:
    world.members |= {"cp-1"}
    world.occupied.add("cp-1")
    with pytest.raises(errors.Occupied):
        world.up("cp-1", "w-1")
    assert world.worked == []


def test_a_worker_of_another_cluster_is_left_alone_when_one_is_made(world: World) -> None:
    world.members.clear()
    world.elsewhere.add("w-1")
    result = world.up("cp-1", "w-1", "w-2")
    assert world.states(result) == {"cp-1": "changed", "w-1": "unreachable", "w-2": "changed"}
    assert "w-1" not in done(world) and result.failed[0].reason == "KB_NO_CONTROL_PLANE"


def test_nothing_to_do_locks_and_touches_nothing(world: World) -> None:
    world.members |= {*PLANES, *WORKERS}
    result = world.up(*PLANES, *WORKERS)
    assert result.clean and world.worked == [] and world.locked == []


def test_who_is_new_joins_and_nobody_else_is_touched(world: World) -> None:
    world.members |= {*PLANES, "w-1"}
    world.up(*PLANES, "w-1", "w-2")
    assert done(world) == ["w-2"] and world.locked == ["cp-1", "w-2"]


def test_a_change_rolls_the_lead_first_then_control_planes_then_one_worker_then_the_rest(
    world: World,
) -> None:
    world.members |= {*PLANES, *WORKERS}
    world.dirty |= {*PLANES, *WORKERS}
    world.lead = "cp-2"
    world.up(*PLANES, *WORKERS)
    assert done(world)[:4] == ["cp-2", "cp-1", "cp-3", "w-1"] and set(done(world)[4:]) == {"w-2", "w-3"}


def test_a_failure_ends_the_roll(world: World) -> None:
    world.members |= {*PLANES, *WORKERS}
    world.dirty |= {*PLANES, *WORKERS}
    world.failing.add("cp-2")
    result = world.up(*PLANES, *WORKERS)
    assert done(world) == ["cp-1", "cp-2"]
    skipped = dict.fromkeys(("cp-3", *WORKERS), "skipped")
    assert world.states(result) == {"cp-1": "changed", "cp-2": "failed", **skipped}


def test_no_control_plane_is_changed_while_the_cluster_is_ill(world: World) -> None:
    world.members |= {*PLANES}
    world.dirty |= {*PLANES}
    world.unhealthy = "Node cp-3 is not Ready"
    result = world.up(*PLANES)
    assert done(world) == [] and set(world.states(result).values()) == {"skipped"}
    assert "Node cp-3 is not Ready" in result.hosts[0].message


def test_a_machine_that_another_run_holds_is_out_and_the_others_are_not(world: World) -> None:
    world.members |= {"cp-1"}
    world.occupied.add("w-1")
    result = world.up("cp-1", "w-1", "w-2")
    assert world.states(result) == {"cp-1": "ok", "w-1": "failed", "w-2": "changed"}


def test_a_limit_leaves_the_others_alone(world: World) -> None:
    world.members |= {"cp-1"}
    result = world.up("cp-1", "w-1", "w-2", limit=("w-2",))
    assert done(world) == ["w-2"] and "w-1" not in world.states(result)


def test_a_plan_tells_what_differs_and_works_on_nothing(world: World) -> None:
    world.members |= {*PLANES, "w-1"}
    world.dirty.add("cp-2")
    world.dead.add("cp-3")
    result = world.plan(*PLANES, "w-1")
    wanted = {"cp-1": "ok", "cp-2": "drift", "cp-3": "unreachable", "w-1": "ok"}
    assert world.states(result) == wanted and world.worked == [] and not result.clean


def test_etcd_is_made_first_then_the_first_control_plane_then_balancers_then_workers(world: World) -> None:
    world.members.clear()
    result = world.up("cp-1", "cp-2", *VOTERS, "lb-1", "w-1")
    stages = [stage for name, stage in world.worked if name in ("e-1", "e-2", "cp-1", "lb-1", "w-1")]
    order = [(name, stage) for name, stage in world.worked if stage not in ("preparing", "finishing")]
    assert order[0] == ("e-1", "making etcd") and {n for n, _ in order[1:3]} == {"e-2", "e-3"}
    assert order[3] == ("cp-1", "making the cluster")
    assert {n for n, _ in order[4:6]} == {"cp-2", "lb-1"} and order[6] == ("w-1", "joining")
    assert stages.count("preparing") == 4
    assert set(world.states(result).values()) == {"changed"}


def test_without_etcd_there_is_no_control_plane(world: World) -> None:
    world.members.clear()
    world.failing.add("e-1")
    result = world.up("cp-1", "e-1", "e-2", "w-1")
    assert world.states(result) == {"cp-1": "skipped", "e-1": "failed", "e-2": "skipped", "w-1": "skipped"}


def test_a_member_more_joins_before_the_control_planes_are_told(world: World) -> None:
    world.members |= {*PLANES, "e-1", "e-2", "lb-1", "w-1"}
    world.dirty |= {*PLANES, "e-1", "lb-1", "w-1"}
    world.up(*PLANES, *VOTERS, "lb-1", "w-1")
    assert done(world) == ["e-1", "e-3", *PLANES, "lb-1", "w-1"]
    assert len(world.urls[0][0]) == 1


def test_control_planes_are_left_alone_when_a_member_cannot_join(world: World) -> None:
    world.members |= {*PLANES, "e-1"}
    world.dirty |= {*PLANES}
    world.failing.add("e-2")
    result = world.up(*PLANES, "e-1", "e-2")
    assert done(world) == ["e-2"]
    assert world.states(result) == {**dict.fromkeys(PLANES, "skipped"), "e-1": "ok", "e-2": "failed"}


def test_control_planes_are_told_of_no_member_that_is_not_fit_to_be_one(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.members |= {*PLANES, "e-1"}
    unfit = preflight.Finding("PeerUnreachable-2380", "e-2 → 192.0.2.11:2380: filtered", "open TCP 2380")
    monkeypatch.setattr(Shop, "examine", lambda self, task, cluster: (unfit,) if task.name == "e-2" else ())
    result = world.up(*PLANES, "e-1", "e-2")
    assert world.urls == [([], [])] and done(world) == []
    assert world.states(result) == {**dict.fromkeys(PLANES, "ok"), "e-1": "ok", "e-2": "failed"}


def test_an_inventory_without_any_of_etcds_machines_is_refused(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.members |= {*PLANES}
    monkeypatch.setattr(departing, "find", lambda *_: (Machine("e-1", frozenset({"etcd"})),))
    for verb in (world.up, world.plan):
        with pytest.raises(errors.ConfigInvalid) as raised:
            verb(*PLANES)
        assert raised.value.reason == "KB_FLEET_ROLE" and "e-1" in raised.value.message
    assert world.worked == []


def test_silent_machines_of_etcd_stop_only_what_is_about_etcd(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def silent(*_: object) -> None:
        raise errors.Unreachable("etcd does not answer", reason="KB_ETCD_SILENT")

    world.members |= {"cp-1", "e-1"}
    monkeypatch.setattr(etcd_fleet, "look", silent)
    assert world.states(world.up("cp-1", "e-1", "w-1"))["w-1"] == "changed"
    world.members.clear()
    with pytest.raises(errors.Unreachable):
        world.up("cp-1", "e-1", "w-1")


def test_a_plan_of_a_new_cluster_on_machines_of_all_kinds(world: World) -> None:
    world.members.clear()
    world.dirty |= {"cp-1", "e-1"}
    result = world.plan("cp-1", *VOTERS, "lb-1", "w-1")
    assert set(world.states(result).values()) == {"drift"} and world.worked == []
    joins = {e.host: e.title for e in world.told if isinstance(e, StepFinished) and e.step == "join"}
    assert joins == {"e-2": "Join as a member of etcd", "e-3": "Join as a member of etcd",
                     "lb-1": "Join as a balancer", "w-1": "Join as a worker"}  # fmt: skip


def test_a_hook_that_fails_on_the_first_control_plane_stops_only_that(world: World) -> None:
    world.members.clear()
    world.failing.add("cp-1")
    world.reasons["cp-1"] = "KB_HOOK"
    result = world.up("cp-1", "w-1")
    assert world.states(result) == {"cp-1": "failed", "w-1": "changed"}


def _lockable(host: Any) -> Reached:
    return Reached(Machine(host.name, frozenset({_role(host.name)})), host, Facts(host.name))


def test_a_machine_whose_lock_is_slow_to_be_had_holds_up_no_others() -> None:
    asked, other = threading.Event(), threading.Event()

    @dataclasses.dataclass
    class Slow:
        name: str

        @contextlib.contextmanager
        def lock(self, path: str, holder: str) -> Iterator[None]:
            if self.name == "w-1":
                asked.set()
                assert other.wait(60.0), "the others wait for it"
            elif self.name == "w-2":
                other.set()
            yield

    lead, slow, quick = (_lockable(Slow(name)) for name in ("cp-1", "w-1", "w-2"))
    with locking.Locks(lead, "up") as locks, ThreadPoolExecutor(1) as aside:
        waiting = aside.submit(locks.take, slow)
        assert asked.wait(60.0)
        locks.take(quick)
        waiting.result()


def test_one_run_holds_the_locks_of_so_many_machines_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locking, "MOST", 2)
    held: list[str] = []

    @dataclasses.dataclass
    class Locked:
        name: str

        @contextlib.contextmanager
        def lock(self, path: str, holder: str) -> Iterator[None]:
            held.append(self.name)
            yield

    people = [_lockable(Locked(name)) for name in ("cp-1", "w-2", "w-1", "w-3")]
    with locking.Locks(people[0], "up") as locks:
        assert held == []
        refused = locks.those(people)
        assert held == ["cp-1", "w-2", "w-1"]
    assert {name: error.reason for name, error in refused.items()} == {"w-3": "KB_FLEET_SIZE"}
