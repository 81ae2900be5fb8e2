"""`kubeboot up`: the machines become what the description says, from one workstation."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterable, Mapping

from kubeboot import errors
from kubeboot.engine.events import HostFinished, HostStage, Notice, RunFinished, RunStarted
from kubeboot.fleet import departing, health, here, reach, record, survey, work
from kubeboot.fleet.ledger import Ledger
from kubeboot.fleet.orders import FleetOptions, FleetResult
from kubeboot.fleet.reach import Crew, Reached
from kubeboot.fleet.run import Emit, stoppable
from kubeboot.fleet.supply import Supply
from kubeboot.fleet.survey import Cluster
from kubeboot.fleet.tasks import Shop, Task
from kubeboot.fleet.work import Shift
from kubeboot.inventory.model import Machine
from kubeboot.steps import preflight


def up(wanted: FleetOptions, emit: Emit, opener: reach.Open = reach.open_host) -> FleetResult:
    """Every machine that can be reached; what happened on the others is in the result.

    Raises when nothing can be done at all: no way to the cluster, another run, no first control plane.
    """
    began = time.monotonic()
    machines = chosen(wanted)
    emit(started("up", wanted, machines))
    with reach.crew(machines, emit, opener) as crew, stoppable(emit) as stop:
        shift = Shift(emit, stop, wanted.timeout_scale)
        run = _Up(wanted, Supply(wanted.spec, emit, peek=False), shift, crew, opener)
        run.go()
    ends = run.ledger.ends(machine.name for machine in machines)
    result = FleetResult((*ends, *run.gone), time.monotonic() - began)
    emit(finished(result, interrupted=stop.is_set()))
    return result


def chosen(wanted: FleetOptions) -> tuple[Machine, ...]:
    """The machines that are meant, and in any case the control planes: the way to the cluster is theirs."""
    inventory = wanted.inventory
    alone = [machine.name for machine in inventory.machines if machine.role in ("etcd", "lb")]
    alone = [name for name in alone if "control_plane" not in _roles(wanted, name)]
    if alone:
        raise errors.ConfigInvalid(
            f"{', '.join(alone)}: machines for etcd or balancers alone are not made by `up` yet",
            hint="put them into kube_control_plane or kube_node, or leave them out",
            reason="KB_FLEET_ROLE",
        )
    meant = {machine.name for machine in inventory.limited(wanted.limit)}
    return tuple(m for m in inventory.machines if m.name in meant or m.role == "control_plane")


def _roles(wanted: FleetOptions, name: str) -> frozenset[str]:
    return next(frozenset(m.roles) for m in wanted.inventory.machines if m.name == name)


def started(command: str, wanted: FleetOptions, machines: Iterable[Machine]) -> RunStarted:
    """The fleet's first event; how many steps there are is not known yet."""
    names = tuple(machine.name for machine in machines)
    return RunStarted(command, f"{wanted.spec.cluster_name}: {wanted.inventory.source}", 0, names, fleet=True)


def finished(result: FleetResult, *, interrupted: bool = False) -> RunFinished:
    """The fleet's last event: machines instead of steps."""
    count = [host.state for host in result.hosts].count
    bad = count("failed") + count("unreachable")
    some = count("changed") + count("drift")
    return RunFinished(count("ok"), some, bad, count("skipped"), result.seconds, interrupted)


@dataclasses.dataclass
class _Up:
    """One run."""

    wanted: FleetOptions
    supply: Supply
    shift: Shift
    crew: Crew
    opener: reach.Open
    gone: tuple[HostFinished, ...] = ()

    def __post_init__(self) -> None:
        self.ledger = Ledger(self.shift.emit)
        self.shop = Shop(self.wanted.spec, self.supply, self.wanted.ignore_preflight, self.wanted.skip)
        meant = {machine.name for machine in self.wanted.inventory.limited(self.wanted.limit)}
        self.people = {r.name: r for r in self.crew.reached if r.name in meant}

    def go(self) -> None:
        self.ledger.fail(self.crew.lost)
        found = survey.look(self.wanted.inventory, self.crew, self.wanted.spec)
        if found.cluster is not None:
            self._change(found.cluster)
        elif found.first is not None:
            self._make(found.first)

    def _make(self, first: Reached) -> None:
        """A new cluster: the others get ready while the first control plane is made, and join then."""
        rest = {name: who for name, who in self.people.items() if name != first.name}
        founding = self._tasks({first.name: first}, self.shop.found)
        preparing = self._tasks(rest, self.shop.prepare)
        self._examine({**founding, **preparing}, None)
        if not self.ledger.is_good(first.name):
            return self._unfounded(first, preparing)
        with work.locked(first, rest.values(), "up") as refused:
            self.ledger.fail(refused)
            todo = self.ledger.good({**founding, **preparing})
            self._run(
                todo, lambda t: "making the cluster" if t.name == first.name else "preparing", last=not rest
            )
            again = survey.look(self.wanted.inventory, self.crew, self.wanted.spec).cluster
            if again is None or not self.ledger.is_good(first.name):
                return self._unfounded(first, preparing)
            self._run(self._tasks(self.ledger.good(rest), self._joiner(again)), lambda t: "joining")
            self._record(again)
        return None

    def _unfounded(self, first: Reached, others: Iterable[str]) -> None:
        self.ledger.skip(others, f"{first.name} has not become a control plane")

    def _joiner(self, cluster: Cluster) -> Callable[[Reached], Task]:
        return lambda who: self.shop.join(who, cluster)

    def _change(self, cluster: Cluster) -> None:
        """A cluster that is there: who is new joins, what differs is changed, who is missing leaves."""
        gone = self._agreed(departing.find(cluster, self.wanted.inventory))
        tasks = self._tasks(self.people, self._joiner(cluster))
        joining = {name: task for name, task in tasks.items() if not task.member}
        self._examine(joining, cluster)
        dirty = self._dirty({name: task for name, task in tasks.items() if task.member})
        joining = self.ledger.good(joining)
        kept = record.task(cluster, self.wanted.inventory)
        if not (dirty or joining or gone) and work.look(kept).clean:
            return
        with work.locked(
            cluster.lead, [t.who for t in (*dirty.values(), *joining.values())], "up"
        ) as refused:
            self.ledger.fail(refused)
            self._roll(cluster, self.ledger.good(dirty))
            self._run(self.ledger.good(joining), lambda t: "joining")
            self.gone = departing.leave(cluster, gone, self.shift, self.opener)
            left = tuple(m for m in gone if m.name not in departing.done(self.gone))
            self._record(cluster, left)

    def _agreed(self, gone: tuple[Machine, ...]) -> tuple[Machine, ...]:
        """Those that the user wants to leave."""
        names = tuple(machine.name for machine in gone)
        if not gone or self.wanted.limit or self.wanted.ask(names):
            return () if self.wanted.limit else gone
        told = f"not in the inventory any more, and left as they are: {', '.join(names)}; --yes removes them"
        self.shift.emit(Notice("warning", told))
        return ()

    def _dirty(self, members: Mapping[str, Task]) -> dict[str, Task]:
        """The nodes on which something is to be changed; the others have been looked at, and are done."""

        def look(task: Task) -> work.Looked:
            self.shift.emit(HostStage(task.name, "looking"))
            return work.look(task)

        looked, failed = reach.each(members, look)
        self.ledger.fail(failed)
        for name, one in looked.items():
            if one.clean:
                self.ledger.add(HostFinished(name, "ok", ok=len(one.steps)))
        return {name: one.task for name, one in looked.items() if not one.clean}

    def _roll(self, cluster: Cluster, dirty: Mapping[str, Task]) -> None:
        """Control planes one at a time, the lead first; one worker, then the others; never past a failure."""
        planes = sorted(
            (t for t in dirty.values() if t.plane), key=lambda task: task.name != cluster.lead.name
        )
        workers = [task for task in dirty.values() if not task.plane]
        waves = [*([task] for task in planes), *filter(None, (workers[:1], workers[1:]))]
        for number, wave in enumerate(waves):
            problem = self._gate(cluster) if wave[0].plane else None
            if problem is None:
                self._run({task.name: task for task in wave}, lambda t: "changing")
                bad = [task.name for task in wave if not self.ledger.is_good(task.name)]
                problem = f"{', '.join(bad)} failed before" if bad else None
            if problem is not None:
                self.ledger.skip([task.name for rest in waves[number:] for task in rest], problem)
                return

    def _gate(self, cluster: Cluster) -> str | None:
        problem = health.awaited(cluster, self.shift.stop, self.wanted.timeout_scale)
        return f"the cluster is not healthy: {problem}" if problem else None

    def _tasks(self, who: Mapping[str, Reached], make: Callable[[Reached], Task]) -> dict[str, Task]:
        tasks, failed = reach.each(who, make)
        self.ledger.fail(failed)
        return tasks

    def _examine(self, tasks: Mapping[str, Task], cluster: Cluster | None) -> None:
        """Preflight everywhere before anything is written; a machine that is not fit is out."""

        def examine(task: Task) -> None:
            self.shift.emit(HostStage(task.name, "preflight"))
            found = self.shop.examine(task, cluster)
            here.tell(found, self.shift.emit)
            preflight.refuse(found)

        _, failed = reach.each(tasks, examine)
        self.ledger.fail(failed)

    def _run(self, tasks: Mapping[str, Task], stage: Callable[[Task], str], *, last: bool = True) -> None:
        """Work on all of them at once."""

        def run(task: Task) -> None:
            self.ledger.add(self.shift.work(task, stage(task)), last=last or task.name not in self.people)

        _, failed = reach.each(tasks, run)
        self.ledger.fail(failed)

    def _record(self, cluster: Cluster, leaving: tuple[Machine, ...] = ()) -> None:
        """Keep the inventory in the cluster."""
        end = self.shift.work(record.task(cluster, self.wanted.inventory, leaving), "finishing")
        if end.message:
            self.shift.emit(Notice("warning", f"the inventory was not kept in the cluster: {end.message}"))
