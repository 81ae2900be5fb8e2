"""`kubeboot plan`: what `up` would do on each machine, and nothing of it done."""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from kubeboot.artifacts import sources
from kubeboot.config.node import Role
from kubeboot.engine.events import Emit, HostFinished, StepFinished
from kubeboot.fleet import changing, followers, hooks, logins, meeting, reach, survey, work
from kubeboot.fleet.etcd.fleet import EtcdMachines
from kubeboot.fleet.orders_fleet import FleetOptions, FleetResult
from kubeboot.fleet.reach import Approach, Reached
from kubeboot.fleet.supply import Supply
from kubeboot.fleet.survey import Cluster
from kubeboot.fleet.tasks import Shop, Task
from kubeboot.fleet.up import chosen, completed, finished, separate_etcd, started
from kubeboot.fleet.work import Looked, Shift
from kubeboot.fleet.works import Works
from kubeboot.inventory.model import Machine
from kubeboot.steps import hooks as hook_steps


def plan(given: FleetOptions, emit: Emit, opener: logins.Open = logins.open_host) -> FleetResult:
    """Look at every machine that can be reached. What differs has the state `drift`."""
    began = time.monotonic()
    sources.require(given.spec.artifacts)
    wanted = completed(given)
    machines = chosen(wanted)
    books = hooks.find(wanted.spec, wanted.inventory, emit)
    emit(started("plan", wanted, machines))
    with reach.approach(machines, emit, opener) as way:
        way.set_out(machine for machine in machines if machine.role not in reach.HEADS)
        crew, found = meeting.meet(wanted.inventory, way, wanted.spec)
        shop = Shop(
            wanted.spec, Supply(wanted.spec, emit, peek=True, kept=wanted.catalogs), books, skip=wanted.skip
        )
        works = Works(wanted, shop, Shift(emit, threading.Event()), way, crew, opener)
        etcd = separate_etcd(wanted, crew, found, works.ledger)
        gone = changing.left_out(wanted, found.cluster) if found.cluster else ()
        tasks = _tasks(works, found, etcd, gone)
        for one in _looked(works, machines, tasks, _follower(works, way, found, etcd)).values():
            _tell(one, works)
        ends = tuple(HostFinished(m.name, "drift", message="would be removed from the cluster") for m in gone)
        for end in ends:
            emit(end)
        kept = _record(found.cluster, works) if found.cluster else ()
    result = FleetResult(
        (*works.ledger.ends(m.name for m in machines), *ends, *kept), time.monotonic() - began
    )
    emit(finished(result))
    return result


def _tasks(
    works: Works, found: survey.Found, etcd: EtcdMachines | None, gone: tuple[Machine, ...]
) -> dict[str, Task]:
    if found.cluster is not None:
        voters = changing.etcds(works, found.cluster, etcd)
        return changing.planned(works, found.cluster, etcd, gone, voters)
    return _new(works, found.first.name if found.first else "", etcd)


def _new(works: Works, first: str, etcd: EtcdMachines | None) -> dict[str, Task]:
    """No cluster yet: where etcd will be follows from its machines' addresses."""
    members = {n: who for n, who in works.people.items() if etcd and who.machine.role == "etcd"}
    tasks: dict[str, Task] = {}
    if etcd is not None:
        tasks = works.tasks(members, lambda who: _member(works.shop, who, etcd))
        joining = [task.node.address for task in tasks.values() if task.node and not task.member]
        works.shop = works.shop.placed(etcd, works.shop.spec, joining)
    given = etcd.given if etcd else {}
    rest = {name: who for name, who in works.people.items() if name not in members}

    def make(who: Reached) -> Task:
        return works.shop.found(who, given) if who.name == first else works.shop.prepare(who)

    return {**tasks, **works.tasks(rest, make)}


def _member(shop: Shop, who: Reached, etcd: EtcdMachines) -> Task:
    return shop.etcd(who, etcd) if etcd.invited or who.name == etcd.first.name else shop.prepare(who)


def _follower(
    works: Works, way: Approach, found: survey.Found, etcd: EtcdMachines | None
) -> Callable[[Machine], Task]:
    """Makes the task of a machine that has no say in what the cluster is: it is reached only now."""

    make = works.joiner(found.cluster, etcd) if found.cluster else functools.partial(followers.fresh, works)
    return lambda machine: make(way.reach(machine))


def _looked(
    works: Works, machines: Iterable[Machine], tasks: Mapping[str, Task], follow: Callable[[Machine], Task]
) -> dict[str, Looked]:
    """In the machines' order. A dead one holds up nobody but itself."""
    todo = {m.name: m for m in machines if m.name in tasks or m in works.followers}

    def task(machine: Machine) -> Task:
        return tasks[machine.name] if machine.name in tasks else follow(machine)

    looked, failed = work.looks(todo, task, works.shift.emit)
    works.ledger.fail(failed)
    return looked


def _tell(one: Looked, works: Works) -> None:
    """A machine's steps; and what comes when there is something to join."""
    later = tuple(_later(one.task, works.shop.hooks.books)) if _waits(one.task) else ()
    for step in (*one.steps, *later):
        works.shift.emit(step)
    changes = sum(step.state != "ok" for step in one.steps) + len(later)
    ok = len(one.steps) + len(later) - changes
    works.ledger.add(HostFinished(one.task.name, "drift" if changes else "ok", ok, changes))


def _waits(task: Task) -> bool:
    """Whether it is made ready only."""
    return (
        task.node is not None and not task.member and task.others.api is None and task.plan.command == "join"
    )


def _later(task: Task, books: Mapping[str, Path]) -> Iterator[StepFinished]:
    role = task.node.role if task.node else "worker"
    yield StepFinished("join", task.name, f"Join as a {_ROLES[role]}", "later", 0.0, 0.0)
    if "after_host" in books:
        said = hook_steps.summary(books["after_host"].name, "after_host")
        yield StepFinished("hook/after_host", task.name, said, "later", 0.0, 0.0)


_ROLES: Mapping[Role, str] = {
    "control_plane": "control plane",
    "worker": "worker",
    "etcd": "member of etcd",
    "load_balancer": "balancer",
}


def _record(cluster: Cluster, works: Works) -> tuple[HostFinished, ...]:
    kept = works.recorded(cluster)
    if works.wanted.limit or kept.clean:
        return ()
    for step in kept.steps:
        works.shift.emit(step)
    return (HostFinished("@cluster", "drift", changed=1),)
