"""`kubeboot plan`: what `up` would do on each machine, and nothing of it done."""

from __future__ import annotations

import time
from collections.abc import Mapping

from kubeboot.engine.events import HostFinished, HostStage, StepFinished
from kubeboot.fleet import departing, reach, record, survey, work
from kubeboot.fleet.ledger import Ledger
from kubeboot.fleet.orders import FleetOptions, FleetResult
from kubeboot.fleet.reach import Reached
from kubeboot.fleet.run import Emit
from kubeboot.fleet.supply import Supply
from kubeboot.fleet.survey import Cluster
from kubeboot.fleet.tasks import Shop, Task
from kubeboot.fleet.up import chosen, finished, started
from kubeboot.fleet.work import Looked


def plan(wanted: FleetOptions, emit: Emit, opener: reach.Open = reach.open_host) -> FleetResult:
    """Look at every machine that can be reached. What differs has the state `drift`."""
    began = time.monotonic()
    machines = chosen(wanted)
    emit(started("plan", wanted, machines))
    ledger = Ledger(emit)
    with reach.crew(machines, emit, opener) as crew:
        ledger.fail(crew.lost)
        found = survey.look(wanted.inventory, crew, wanted.spec)
        shop = Shop(wanted.spec, Supply(wanted.spec, emit, peek=True), skip=wanted.skip)
        names = {machine.name for machine in wanted.inventory.limited(wanted.limit)}
        people = {reached.name: reached for reached in crew.reached if reached.name in names}
        looked = _looked(shop, people, found, ledger, emit)
        for one in looked.values():
            _tell(one, emit, ledger)
        gone = _leaving(found.cluster, wanted, emit) if found.cluster else ()
    result = FleetResult((*ledger.ends(m.name for m in machines), *gone), time.monotonic() - began)
    emit(finished(result))
    return result


def _looked(
    shop: Shop, people: Mapping[str, Reached], found: survey.Found, ledger: Ledger, emit: Emit
) -> dict[str, Looked]:
    def look(who: Reached) -> Looked:
        emit(HostStage(who.name, "looking"))
        return work.look(_task(shop, who, found))

    looked, failed = reach.each(people, look)
    ledger.fail(failed)
    return looked


def _task(shop: Shop, who: Reached, found: survey.Found) -> Task:
    if found.cluster is not None:
        return shop.join(who, found.cluster)
    return shop.found(who) if found.first is not None and who.name == found.first.name else shop.prepare(who)


def _tell(one: Looked, emit: Emit, ledger: Ledger) -> None:
    """A machine's steps; and that it joins, where there is nothing to join yet."""
    name, task = one.task.name, one.task
    later: tuple[StepFinished, ...] = ()
    if task.node is not None and not task.member and task.others.api is None and task.plan.command == "join":
        later = (
            StepFinished("join", name, f"Join as a {task.node.role.replace('_', ' ')}", "later", 0.0, 0.0),
        )
    for step in (*one.steps, *later):
        emit(step)
    changes = sum(step.state != "ok" for step in one.steps) + len(later)
    ok = len(one.steps) + len(later) - changes
    ledger.add(HostFinished(name, "drift" if changes else "ok", ok, changes))


def _leaving(cluster: Cluster, wanted: FleetOptions, emit: Emit) -> tuple[HostFinished, ...]:
    """Those that would be removed, and whether the inventory that the cluster keeps is this one."""
    if wanted.limit:
        return ()
    gone = departing.find(cluster, wanted.inventory)
    ends = tuple(HostFinished(m.name, "drift", message="would be removed from the cluster") for m in gone)
    kept = work.look(record.task(cluster, wanted.inventory))
    for end in ends:
        emit(end)
    for step in kept.steps if not kept.clean else ():
        emit(step)
    return (*ends, *((HostFinished("@cluster", "drift", changed=1),) if not kept.clean else ()))
