"""One run of `up`: what its stages share, whether a cluster is made or changed."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Mapping

from kubeboot.config import balancing
from kubeboot.engine.events import HostFinished, HostStage, Notice
from kubeboot.fleet import arrivals, here, logins, reach, record, work
from kubeboot.fleet.etcd.fleet import EtcdMachines
from kubeboot.fleet.ledger import Ledger
from kubeboot.fleet.orders_fleet import FleetOptions
from kubeboot.fleet.reach import Approach, Crew, Reached
from kubeboot.fleet.survey import Cluster
from kubeboot.fleet.tasks import Shop, Task
from kubeboot.fleet.work import Shift
from kubeboot.host.ssh.pool import ROOM
from kubeboot.inventory.model import Machine
from kubeboot.kube.remembered import Answers

Stage = Callable[[Task], str]


@dataclasses.dataclass
class Works:
    """`crew` are those that tell what there is; of these, `people` are meant. `followers` are to be reached:
    workers, balancers, and control planes that had not answered when the cluster was known.

    `gone` is how it went with those that left.
    """

    wanted: FleetOptions
    shop: Shop
    shift: Shift
    way: Approach
    crew: Crew
    opener: logins.Open
    gone: tuple[HostFinished, ...] = ()

    def __post_init__(self) -> None:
        self.ledger = Ledger(self.shift.emit)
        self.arrivals = arrivals.Arrivals()
        self.ledger.fail(self.crew.lost)
        meant = self.wanted.inventory.limited(self.wanted.limit)
        names = {machine.name for machine in meant}
        self.people = {r.name: r for r in self.crew.reached if r.name in names}
        come = {*self.crew.lost, *(reached.name for reached in self.crew.reached)}
        self.followers = tuple(machine for machine in meant if machine.name not in come)

    def tasks(self, who: Mapping[str, Reached], make: Callable[[Reached], Task]) -> dict[str, Task]:
        """What is to be done on each of them; who cannot be planned for is out."""
        tasks, failed = reach.each(who, make)
        self.ledger.fail(failed)
        return tasks

    def joiner(self, cluster: Cluster, etcd: EtcdMachines | None) -> Callable[[Reached], Task]:
        """Makes a machine's task in a cluster that is there."""

        def make(who: Reached) -> Task:
            if who.machine.role == "etcd" and etcd is not None:
                return self.shop.etcd(who, etcd)
            return self.shop.join(who, cluster)

        return make

    def examine(self, tasks: Mapping[str, Task], cluster: Cluster | None) -> None:
        """Preflight of all of them before anything is written; a machine that is not fit is out."""
        for task in tasks.values():
            self.arrivals.add(task)
        _, failed = reach.each(tasks, lambda task: self.fit(task, cluster))
        self.ledger.fail(failed)

    def fit(self, task: Task, cluster: Cluster | None) -> None:
        """Preflight of one machine; PreflightFailed where it is not fit."""
        self.shift.emit(HostStage(task.name, "preflight"))
        earlier, found = self.arrivals.add(task), self.shop.examine(task, cluster)
        if "preflight" not in self.shop.skip:
            found += arrivals.compared(task, earlier, self.shop.ignored)
        here.judge(found, self.shift.emit)

    def dirty(self, members: Mapping[str, Task], answers: Answers) -> dict[str, Task]:
        """The members on which something is to be changed; the others have been looked at, and are done."""
        looked, failed = reach.each(members, lambda task: self.differing(task, answers), ROOM)
        self.ledger.fail(failed)
        return {name: task for name, task in looked.items() if task is not None}

    def differing(self, task: Task, answers: Answers) -> Task | None:
        """The task of a member, unless it would change nothing: then the machine is done."""
        self.shift.emit(HostStage(task.name, "looking"))
        looked = work.look(task, answers)
        if not looked.clean:
            return task
        self.ledger.add(HostFinished(task.name, "ok", ok=len(looked.steps)))
        return None

    def run(self, tasks: Mapping[str, Task], stage: Stage, last: Collection[str] | None = None) -> None:
        """Work on all of them at once. `last`: those for which it is the last stage; all by default."""

        def run(task: Task) -> None:
            self.done(task, stage(task), last=last is None or task.name in last)

        _, failed = reach.each(tasks, run)
        self.ledger.fail(failed)

    def done(self, task: Task, stage: str, *, last: bool = True) -> None:
        """Work on one machine. `last`: for this run."""
        self.ledger.add(self.shift.work(task, stage), last=last)

    def join(self, tasks: Mapping[str, Task]) -> None:
        """All at once; workers after the balancers, where only those lead them to the API."""
        by_others = not balancing.runs_haproxy(self.shop.spec, "worker")
        workers = {n: t for n, t in tasks.items() if by_others and t.who.machine.role == "worker"}
        self.run({n: t for n, t in tasks.items() if n not in workers}, lambda task: "joining")
        self.run(workers, lambda task: "joining")

    def recorded(self, cluster: Cluster) -> work.Looked:
        """Whether the inventory that the cluster keeps is this one."""
        with Answers() as answers:
            return work.look(self._record(cluster), answers)

    def record(self, cluster: Cluster, leaving: tuple[Machine, ...] = ()) -> None:
        """Keep the inventory in the cluster."""
        end = self.shift.work(self._record(cluster, leaving), "finishing")
        if end.message:
            self.shift.emit(Notice("warning", f"the inventory was not kept in the cluster: {end.message}"))

    def _record(self, cluster: Cluster, leaving: tuple[Machine, ...] = ()) -> Task:
        shown = self.way.verified_keys()
        return record.task(cluster, self.wanted.inventory, self.shop, shown, leaving)
