"""Machines that have no say in what the cluster is: workers, balancers, and control planes that come late.

Each is reached, looked at and worked on by itself, so that one that is dead or slow holds up nobody else.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import TypeVar

from kubeboot.config import balancing
from kubeboot.fleet import reach, survey
from kubeboot.fleet.locking import Locks
from kubeboot.fleet.reach import Reached
from kubeboot.fleet.survey import Cluster
from kubeboot.fleet.tasks import Task
from kubeboot.fleet.turns import Turns
from kubeboot.fleet.works import Works
from kubeboot.host.ssh.pool import ROOM
from kubeboot.inventory.model import Machine
from kubeboot.kube.remembered import Answers

T = TypeVar("T")


@dataclasses.dataclass(frozen=True)
class Came:
    """`dirty` are nodes on which something differs, `later` those that join when others have.

    `any_new`: someone was, whatever came of it.
    """

    dirty: Mapping[str, Task]
    later: Mapping[str, Task]
    any_new: bool


def fresh(works: Works, who: Reached) -> Task:
    """What a machine gets ready by, where there is no cluster yet; Unreachable if it has one."""
    if who.facts.joined:
        raise survey.orphaned((who.name,))
    return works.shop.prepare(who)


def prepare(works: Works, locks: Locks) -> dict[str, Reached]:
    """Get those ready that answer, for a cluster that is being made; who they are."""

    def one(who: Reached) -> Reached:
        task = fresh(works, who)
        works.fit(task, None)
        locks.take(who)
        works.done(task, "preparing", last=False)
        return who

    return _each(works, one, Turns(()))


def join(works: Works, cluster: Cluster, locks: Locks, answers: Answers, turns: Turns) -> Came:
    """Who is new joins as soon as it is there; the others are looked at when it is their turn."""
    make, waiting = works.joiner(cluster, None), not balancing.runs_haproxy(works.shop.spec, "worker")
    new: set[str] = set()

    def one(who: Reached) -> Task | None:
        task = make(who)
        if task.member:
            return works.differing(task, answers)
        new.add(who.name)
        works.fit(task, cluster)
        if task.plane or (waiting and who.machine.role == "worker"):
            return task
        locks.take(who)
        shift = dataclasses.replace(works.shift, emit=turns.hearing(who.name, works.shift.emit))
        works.ledger.add(shift.work(task, "joining"))
        return None

    left = {name: task for name, task in _each(works, one, turns).items() if task is not None}
    later = {name: task for name, task in left.items() if not task.member}
    return Came({n: t for n, t in left.items() if n not in later}, later, bool(new))


def _each(works: Works, one: Callable[[Reached], T], turns: Turns) -> dict[str, T]:
    def arrive(machine: Machine) -> T:
        with turns.turn(machine.name):
            who = works.way.reach(machine)
            turns.reached(machine.name)
            return one(who)

    ordered = sorted(works.followers, key=lambda machine: not turns.is_first(machine.name))
    done, failed = reach.each({machine.name: machine for machine in ordered}, arrive, ROOM)
    works.ledger.fail(failed)
    return done
