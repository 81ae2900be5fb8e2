"""Run a plan: every step as soon as what it needs is done, the longest remaining path first."""

from __future__ import annotations

import dataclasses
import graphlib
import heapq
import queue
import threading
import time
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

from kubeboot.engine.events import Emit, RunStarted, State, StepStarted
from kubeboot.engine.execute import Context, Intents, execute
from kubeboot.engine.places import UNWATCHED, Watch
from kubeboot.engine.plan import Node, Plan, edges, node, remaining, requirements
from kubeboot.engine.step import CLUSTER, Slot, Step, Target
from kubeboot.engine.tally import Done, Outcome, Tally
from kubeboot.engine.values import Values
from kubeboot.host.slots import URGENCY

WORKERS = 24
"""Threads; most of them wait for a machine or an API."""


@dataclasses.dataclass(frozen=True)
class Site:
    """A machine that steps run on, with its journal."""

    target: Target
    journal: Intents


def run(
    plan: Plan,
    sites: Mapping[str, Site],
    emit: Emit,
    *,
    stop: threading.Event | None = None,
    values: Values | None = None,
    timeout_scale: float = 1.0,
    watch: Watch = UNWATCHED,
) -> Outcome:
    """Run every step of the plan; `sites` has each host by name, and `@cluster`.

    A failed step takes its followers with it and nothing else. An error that is not a KubebootError is a
    bug and is raised once the steps that run have ended.
    """
    context = Context(values or Values(), emit, stop or threading.Event(), timeout_scale, watch)
    emit(RunStarted(plan.command, plan.title, len(plan.steps), tuple(h for h in sites if h != CLUSTER)))
    return _Run(plan, sites, context).go()


class _Run:
    """The state of one run; only the thread that calls `go` touches it."""

    def __init__(self, plan: Plan, sites: Mapping[str, Site], context: Context) -> None:
        self._steps = {node(s): s for s in plan.steps}
        order = edges(plan)
        self._sorter = graphlib.TopologicalSorter(order)
        self._requires = requirements(plan)
        self._weight = remaining(plan, order)
        self._sites = sites
        self._context = context
        self._waiting: list[tuple[float, Node]] = []
        self._held: Counter[tuple[str, Slot]] = Counter()
        self._running: set[Node] = set()
        self._lost: set[Node] = set()
        self._finished: queue.SimpleQueue[Done] = queue.SimpleQueue()
        self._tally = Tally(context)

    def go(self) -> Outcome:
        self._sorter.prepare()
        with ThreadPoolExecutor(WORKERS, thread_name_prefix="step") as pool:
            while self._sorter.is_active():
                self._collect()
                self._start(pool)
                if self._running:
                    self._end(self._finished.get())
                elif not self._waiting:
                    break
        return self._tally.outcome()

    def _collect(self) -> None:
        """Move what has become ready into the heap; what follows a lost step is lost too."""
        while ready := self._sorter.get_ready():
            for n in ready:
                if self._stopped() or self._requires[n] & self._lost:
                    self._lose(n, "skipped")
                else:
                    heapq.heappush(self._waiting, (-self._weight[n], n))

    def _stopped(self) -> bool:
        return self._context.stop.is_set() or self._tally.bug is not None

    def _lose(self, n: Node, state: State, seconds: float = 0.0, error: BaseException | None = None) -> None:
        self._lost.add(n)
        self._tally.add(self._steps[n], Done(n, state, seconds, error=error))
        self._sorter.done(n)

    def _start(self, pool: ThreadPoolExecutor) -> None:
        later: list[tuple[float, Node]] = []
        while self._waiting and len(self._running) < WORKERS:
            entry = heapq.heappop(self._waiting)
            n = entry[1]
            if self._stopped():
                self._lose(n, "skipped")
            elif any(self._held[place] >= place[1].room for place in self._slots(n)):
                later.append(entry)
            else:
                self._held.update(self._slots(n))
                self._running.add(n)
                pool.submit(self._work, self._steps[n])
        for entry in later:
            heapq.heappush(self._waiting, entry)

    def _slots(self, n: Node) -> set[tuple[str, Slot]]:
        return {(n[0] if s.scope == "host" else CLUSTER, s) for s in self._steps[n].holds}

    def _work(self, step: Step) -> None:
        """In a worker thread: never raises, always reports."""
        began = time.monotonic()
        try:
            URGENCY.set(self._weight[node(step)])
            self._context.emit(StepStarted(step.id, step.on, step.title))
            site = self._sites[step.on]
            drift = execute(step, site.target, site.journal, self._context)
            done = Done(node(step), "changed" if drift else "ok", time.monotonic() - began, drift)
        except BaseException as error:
            done = Done(node(step), "failed", time.monotonic() - began, error=error)
        self._finished.put(done)

    def _end(self, done: Done) -> None:
        self._running.discard(done.node)
        self._held.subtract(self._slots(done.node))
        if done.error is None:
            self._tally.add(self._steps[done.node], done)
            self._sorter.done(done.node)
            return
        self._tally.fail(self._steps[done.node], done.error)
        self._lose(done.node, "failed", done.seconds, done.error)
