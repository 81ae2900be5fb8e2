"""A cluster that is there: who is new joins, what differs is changed, who is missing leaves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor

from kubeboot import errors
from kubeboot.engine.events import Notice
from kubeboot.fleet import departing, followers, health, reach, survey, turns
from kubeboot.fleet.etcd.fleet import EtcdMachines
from kubeboot.fleet.locking import Locks
from kubeboot.fleet.orders_fleet import FleetOptions
from kubeboot.fleet.reach import HEADS
from kubeboot.fleet.survey import Cluster
from kubeboot.fleet.tasks import Task
from kubeboot.fleet.works import Works
from kubeboot.inventory.model import Machine
from kubeboot.kube.remembered import Answers


def change(works: Works, cluster: Cluster, etcd: EtcdMachines | None) -> None:
    """Nothing is locked or touched where nothing is to be done."""
    gone = _agreed(works, left_out(works.wanted, cluster))
    with Locks(cluster.lead, "up") as locks, reach.crew(gone, works.shift.emit, works.opener) as crew:
        there = {who.name: who for who in crew.reached}
        if dead := tuple(machine for machine in gone if machine.name not in there):
            locks.lead()
            works.gone = departing.leave(cluster, etcd, dead, there, works.shift, works.shop.hooks)
            cluster = survey.again(cluster)
        living = tuple(machine for machine in gone if machine.name in there)
        if not _change(works, cluster, etcd, gone, locks) and not gone and works.recorded(cluster).clean:
            return
        locks.lead()
        works.gone += departing.leave(cluster, etcd, living, there, works.shift, works.shop.hooks)
        left = tuple(m for m in gone if m.name not in departing.done(works.gone))
        works.record(cluster, left)


def _change(
    works: Works, cluster: Cluster, etcd: EtcdMachines | None, gone: tuple[Machine, ...], locks: Locks
) -> bool:
    """Who is new joins, who differs is changed; whether there was anything to do."""
    voters = etcds(works, cluster, etcd)
    works.examine({name: task for name, task in voters.items() if not task.member}, cluster)
    tasks = planned(works, cluster, etcd, gone, works.ledger.good(voters))
    dirty, new, joined = _found(works, cluster, tasks, locks)
    if not (dirty or new or joined):
        return False
    works.ledger.fail(locks.those(task.who for task in (*dirty.values(), *new.values())))
    voters = {name: task for name, task in new.items() if _is_etcd(task)}
    _roll(works, cluster, etcd, works.ledger.good(dirty), works.ledger.good(voters))
    works.join(works.ledger.good({name: task for name, task in new.items() if name not in voters}))
    return True


def _found(
    works: Works, cluster: Cluster, tasks: Mapping[str, Task], locks: Locks
) -> tuple[dict[str, Task], dict[str, Task], bool]:
    """Who differs, who is still to join, and whether someone has joined by now."""
    whose = turns.Turns(machine.name for machine in turns.newcomers(cluster, works.followers))
    with Answers() as answers, ThreadPoolExecutor(1) as aside:
        following = aside.submit(followers.join, works, cluster, locks, answers, whose)
        new = {name: task for name, task in tasks.items() if not task.member}
        works.examine({name: task for name, task in new.items() if not _is_etcd(task)}, cluster)
        whose.wait()
        dirty = works.dirty({name: task for name, task in tasks.items() if task.member}, answers)
        came = following.result()
    return {**dirty, **came.dirty}, {**works.ledger.good(new), **came.later}, came.any_new


def etcds(works: Works, cluster: Cluster, etcd: EtcdMachines | None) -> dict[str, Task]:
    """A task for each of etcd's own machines."""
    people = works.ledger.good(works.people)
    voters = {name: who for name, who in people.items() if who.machine.role == "etcd"}
    return works.tasks(voters, works.joiner(cluster, etcd))


def planned(
    works: Works,
    cluster: Cluster,
    etcd: EtcdMachines | None,
    gone: tuple[Machine, ...],
    voters: Mapping[str, Task],
) -> dict[str, Task]:
    """A task for each machine; the control planes are told where the members of etcd will be."""
    if etcd is not None:
        joining = [task.node.address for task in voters.values() if task.node and not task.member]
        leaving = [machine.name for machine in gone]
        works.shop = works.shop.placed(etcd, cluster.facts.spec, joining, leaving)
    people = works.ledger.good(works.people)
    rest = {name: who for name, who in people.items() if who.machine.role != "etcd"}
    return {**voters, **works.tasks(rest, works.joiner(cluster, etcd))}


def left_out(wanted: FleetOptions, cluster: Cluster) -> tuple[Machine, ...]:
    """Those that the inventory has no more. ConfigInvalid when etcd's machines are all among them.

    They hold the cluster: that they have left is a mistake in the inventory.
    """
    gone = () if wanted.limit else departing.find(cluster, wanted.inventory)
    leaving = [machine.name for machine in gone if machine.role == "etcd"]
    if leaving and not wanted.inventory.of("etcd"):
        raise errors.ConfigInvalid(
            f"the inventory no longer has any etcd machine: {', '.join(leaving)} hold this cluster's data",
            hint="put them back into the group etcd; `kubeboot down` removes the whole cluster",
            reason="KB_FLEET_ROLE",
        )
    return gone


def _agreed(works: Works, gone: tuple[Machine, ...]) -> tuple[Machine, ...]:
    """Those that the user wants to leave."""
    names = tuple(machine.name for machine in gone)
    if not gone or works.wanted.ask(names):
        return gone
    told = f"no longer in the inventory, and left as they are: {', '.join(names)}; --yes removes them"
    works.shift.emit(Notice("warning", told))
    return ()


def _roll(
    works: Works,
    cluster: Cluster,
    etcd: EtcdMachines | None,
    dirty: Mapping[str, Task],
    voters: Mapping[str, Task],
) -> None:
    """etcd, control planes, balancers, workers, wave by wave; never past a failure."""
    waves = [wave for wave in (*_waves(cluster, dirty, voters),) if wave]
    for number, wave in enumerate(waves):
        problem = _gate(works, cluster, etcd) if _is_vital(wave[0]) else None
        if problem is None:
            works.run({task.name: task for task in wave}, _stage)
            bad = [task.name for task in wave if not works.ledger.is_good(task.name)]
            problem = f"{', '.join(bad)} failed before" if bad else None
        if problem is not None:
            works.ledger.skip([task.name for rest in waves[number:] for task in rest], problem)
            return


def _waves(cluster: Cluster, dirty: Mapping[str, Task], voters: Mapping[str, Task]) -> Iterator[list[Task]]:
    """What others need one at a time, of the control planes the lead first; and one worker ahead."""
    tasks = list(dirty.values())
    planes = sorted((t for t in tasks if t.plane), key=lambda task: task.name != cluster.lead.name)
    balancers = [task for task in tasks if task.who.machine.role == "lb"]
    workers = [task for task in tasks if task.who.machine.role == "worker"]
    yield from ([task] for task in tasks if _is_etcd(task))
    yield list(voters.values())
    yield from ([task] for task in (*planes, *balancers))
    yield workers[:1]
    yield workers[1:]


def _is_etcd(task: Task) -> bool:
    return task.who.machine.role == "etcd"


def _is_vital(task: Task) -> bool:
    return task.plane or _is_etcd(task)


def _stage(task: Task) -> str:
    return "changing" if task.member else "joining etcd"


def _gate(works: Works, cluster: Cluster, etcd: EtcdMachines | None) -> str | None:
    members = etcd.others.etcd if etcd else None
    dead = _dead(works, cluster)
    problem = health.awaited(cluster, works.shift.stop, works.wanted.timeout_scale, members, dead)
    return f"the cluster is not healthy: {problem}" if problem else None


def _dead(works: Works, cluster: Cluster) -> dict[str, str]:
    """Those that did not answer, by their names in the cluster, and what is to be done about each."""
    machines = works.wanted.inventory.machines
    silent = [m for m in machines if m.role in HEADS and works.ledger.is_silent(m.name)]
    return {name: _remedy(m, name) for m in silent for name in _names(m, cluster)}


def _names(machine: Machine, cluster: Cluster) -> Iterator[str]:
    yield machine.name
    yield from (peer.name for peer in cluster.around.peers if machine.address in peer.addresses)


def _remedy(machine: Machine, name: str) -> str:
    out = "take it out of the inventory"
    if machine.role == "control_plane":
        out = f"remove it with `kubeboot node remove {name} --force` on another control plane"
    return f"{name} does not answer: bring it back, or {out}"
