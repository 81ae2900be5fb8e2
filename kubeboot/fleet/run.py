"""Run a plan on this machine: lock it, open its journal, run, and say how it ended."""

from __future__ import annotations

import dataclasses
import getpass
import os
import platform
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from kubeboot.engine import failpoints, journal
from kubeboot.engine import inspect as looking
from kubeboot.engine.events import Emit, Event, Notice, StepStarted
from kubeboot.engine.plan import Plan
from kubeboot.engine.run import Site, run
from kubeboot.engine.step import CLUSTER, Target, View
from kubeboot.engine.tally import Outcome
from kubeboot.host.api import HostTarget, HostView
from kubeboot.kube.api import Api, ApiView
from kubeboot.kube.etcd import Etcd, NoEtcd


@dataclasses.dataclass(frozen=True)
class Others:
    """What a plan reaches beyond this machine: an API that others serve, etcd's members."""

    api: Api | None = None
    etcd: Etcd = dataclasses.field(default_factory=NoEtcd)


def dry_run(
    plan: Plan, name: str, host: HostView, api: ApiView, emit: Emit, *, others: Others | None = None
) -> bool:
    """Report what the plan would do; True when that is nothing."""
    also = others or Others()
    cluster = View(host, also.api or api, also.etcd)
    return looking.inspect(plan, {name: View(host, api, also.etcd), CLUSTER: cluster}, emit)


def on_this_machine(
    plan: Plan,
    host: HostTarget,
    api: Api,
    emit: Emit,
    *,
    timeout_scale: float = 1.0,
    others: Others | None = None,
) -> Outcome:
    """Run the plan here. Raises Occupied when another run holds the machine, else the first failure."""
    outcome = attempt(plan, host, api, emit, timeout_scale=timeout_scale, others=others)
    outcome.raise_for_failure()
    return outcome


def attempt(
    plan: Plan,
    host: HostTarget,
    api: Api,
    emit: Emit,
    *,
    timeout_scale: float = 1.0,
    others: Others | None = None,
) -> Outcome:
    """Run the plan here and tell how it went, failures included. Raises Occupied."""
    if not plan.steps:
        return run(plan, {}, emit)
    watch = failpoints.watch(os.environ, {step.id for step in plan.steps})
    with host.lock(journal.LOCK, holder(plan.command)), stoppable(emit) as stop:
        book = journal.Journal(host)
        book.begin(plan.command)
        also = others or Others()
        sites = {
            host.name: Site(Target(host, api, also.etcd), book),
            CLUSTER: Site(Target(host, also.api or api, also.etcd), book),
        }
        told = telling(host, emit)
        return run(plan, sites, told, stop=stop, timeout_scale=timeout_scale, watch=watch)


def holder(command: str) -> str:
    """Who holds a lock, in words for the one who does not."""
    since = datetime.now().astimezone().strftime("%H:%M:%S")
    return f"{getpass.getuser()}@{platform.node()} pid {os.getpid()} since {since}: kubeboot {command}"


def telling(host: HostTarget, emit: Emit) -> Emit:
    """Whoever comes while the machine is held is told at which step the run is."""

    def tell(event: Event) -> None:
        if isinstance(event, StepStarted):
            host.say(journal.LOCK, f"at step {event.step}")
        emit(event)

    return tell


@contextmanager
def stoppable(emit: Emit) -> Iterator[threading.Event]:
    """The first Ctrl-C ends the run after what is being done; the second ends it at once."""
    stop = threading.Event()

    def interrupt(number: int, frame: object) -> None:
        if stop.is_set():
            os._exit(130)
        stop.set()
        emit(Notice("warning", "stopping after the current steps; press Ctrl-C again to stop at once"))

    before = signal.signal(signal.SIGINT, interrupt)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)
