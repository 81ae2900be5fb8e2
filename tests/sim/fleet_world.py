"""A fleet whose machines only note their work.

Who is `slow` answers when another machine's work has been done: a world where that waits for it is held up.
"""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Iterator
from typing import Any

import pytest

from kubeboot import errors
from kubeboot.config.node import NodeSettings, Role
from kubeboot.config.spec import ClusterSpec
from kubeboot.engine.events import Event, HostFinished, StepFinished, StepStarted
from kubeboot.engine.plan import Plan
from kubeboot.fleet import departing, health, meeting, planning, record, survey, turns, up, work
from kubeboot.fleet.etcd import fleet as etcd_fleet
from kubeboot.fleet.orders_fleet import FleetOptions, FleetResult
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


@dataclasses.dataclass
class Silent:
    """A machine that tells its facts, or does not answer."""

    name: str
    world: World

    def facts(self) -> Facts:
        self.world.wait_for(self.name, self.world.slow)
        if self.name in self.world.dead:
            raise errors.Unreachable(f"{self.name}: no answer", hint="check the address", host=self.name)
        return Facts(
            self.name,
            machine_id=self.world.clones.get(self.name, self.name),
            joined=self.name in self.world.elsewhere,
            clock=time.time() + self.world.clocks.get(self.name, 0.0),
        )

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
    clones: dict[str, str] = dataclasses.field(default_factory=dict)
    clocks: dict[str, float] = dataclasses.field(default_factory=dict)
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
        roles = {name: "lb" if name.startswith("lb-") else role_of(name) for name in names}
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
        role = role_of(who.name)
        node = NodeSettings(who.name, f"10.0.{len(self.worked)}.{sum(who.name.encode()) % 250}", role)
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

    def see(self, reached: Reached) -> survey.Seen:
        return survey.Seen(reached, {}, reached.name in self.members, False)

    def answering(self, seen: list[survey.Seen], port: int) -> Any:
        serving = sorted((one.who for one in seen if one.serves), key=lambda who: who.name != self.lead)
        nodes = tuple(
            surroundings.Machine(name, addresses=(at,), control_plane=role_of(name) == "control_plane")
            for name, at in self.addresses.items()
        )
        facts = surroundings.heard(_serving(self.living), nodes)
        return _Cluster(serving[0], facts, preflight.Surroundings(nodes)) if serving else None

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


ROLES: dict[str, Role] = {"cp": "control_plane", "w": "worker", "e": "etcd", "lb": "load_balancer"}


def role_of(name: str) -> Role:
    """What a machine of this name is."""
    return ROLES.get(name.partition("-")[0], "control_plane")


def noted(monkeypatch: pytest.MonkeyPatch) -> World:
    """A fleet of which all that `up` would do to it comes here."""
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
        (survey, "see_part", made.see),
        (survey, "answering", made.answering),
        (meeting, "GRACE", 0.05),
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
