"""Run a task on its machine, or look at what it would do; and say how it went in one event."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import threading
import time
from collections.abc import Callable, Mapping
from typing import TypeVar

from kubeboot import errors
from kubeboot.engine import failpoints, journal
from kubeboot.engine import inspect as looking
from kubeboot.engine.events import (
    Emit,
    Event,
    HostFinished,
    HostStage,
    HostState,
    RunFinished,
    RunStarted,
    StepFinished,
)
from kubeboot.engine.run import Site, run
from kubeboot.engine.step import CLUSTER, Target, View
from kubeboot.engine.tally import Outcome
from kubeboot.fleet.ledger import failure
from kubeboot.fleet.reach import Reached, each
from kubeboot.fleet.run import telling
from kubeboot.fleet.tasks import Task
from kubeboot.host.api import Lost
from kubeboot.host.looks import Fetches
from kubeboot.host.ssh.pool import ROOM
from kubeboot.kube.remembered import Answers, RememberedApi, RememberedEtcd

K = TypeVar("K")

TRIES = 3


@dataclasses.dataclass(frozen=True)
class Looked:
    """What a task would do: its steps in order, and whether it is nothing."""

    task: Task
    steps: tuple[StepFinished, ...]

    @property
    def clean(self) -> bool:
        """Nothing would be done."""
        return all(step.state == "ok" for step in self.steps)


def look(task: Task, answers: Answers) -> Looked:
    """Every check of the task; what is given to them can change nothing."""
    host, etcd = task.who.view(), RememberedEtcd(task.others.etcd, answers)
    own, shared = RememberedApi(task.api, answers), RememberedApi(task.others.api or task.api, answers)
    views = {task.on: View(host, own, etcd), CLUSTER: View(host, shared, etcd)}
    events: list[Event] = []

    def fetch() -> None:
        if isinstance(host, Fetches):
            host.fetch()
        for asking in (own.asking, shared.asking, etcd.asking):
            asking.settle()

    with task.who.staying():
        looking.inspect(task.plan, views, events.append, fetch)
    return Looked(task, tuple(event for event in events if isinstance(event, StepFinished)))


def looks(
    items: Mapping[str, K], make: Callable[[K], Task], emit: Emit
) -> tuple[dict[str, Looked], dict[str, errors.KubebootError]]:
    """Look at all of them at once, each question to an API asked once; and the errors of the others."""

    def one(item: K) -> Looked:
        task = make(item)
        emit(HostStage(task.name, "looking"))
        return look(task, answers)

    with Answers() as answers:
        return each(items, one, ROOM)


@dataclasses.dataclass(frozen=True)
class Shift:
    """What the work on all machines of one run shares."""

    emit: Emit
    stop: threading.Event
    timeout_scale: float = 1.0

    def work(self, task: Task, stage: str) -> HostFinished:
        """Run the task; a connection that was lost is made again, and what is left is done."""
        self.emit(HostStage(task.name, stage))
        began = time.monotonic()
        for left in reversed(range(TRIES)):
            outcome = self._once(task)
            lost = [error for error in outcome.failures if isinstance(error, Lost)]
            if not lost or not left or self.stop.is_set() or not self._back(task.who):
                break
        return _told(task, outcome, time.monotonic() - began)

    def _once(self, task: Task) -> Outcome:
        book = journal.Journal(task.who.host)
        book.begin(task.plan.command, sweeps=any(step.on != CLUSTER for step in task.plan.steps))
        host, others = task.who.host, task.others
        sites = {
            task.on: Site(Target(host, task.api, others.etcd), book),
            CLUSTER: Site(Target(host, others.api or task.api, others.etcd), book),
        }
        watch = failpoints.watch(os.environ, {step.id for step in task.plan.steps})
        told = telling(host, self._steps)
        return run(task.plan, sites, told, stop=self.stop, timeout_scale=self.timeout_scale, watch=watch)

    def _steps(self, event: Event) -> None:
        """The fleet's run begins and ends once, not with each machine."""
        if not isinstance(event, RunStarted | RunFinished):
            self.emit(event)

    def _back(self, who: Reached) -> bool:
        """Whether the machine answers again; its connection waits for that, once for all who ask."""
        self.emit(HostStage(who.name, "reconnecting"))
        with contextlib.suppress(errors.Unreachable):
            who.host.facts()
            return True
        return False


def _told(task: Task, outcome: Outcome, seconds: float) -> HostFinished:
    if outcome.failures:
        return failure(task.name, outcome.failures[0], outcome.ok, outcome.changed, seconds)
    state: HostState = "skipped" if outcome.interrupted else "changed" if outcome.changed else "ok"
    return HostFinished(task.name, state, outcome.ok, outcome.changed, seconds)
