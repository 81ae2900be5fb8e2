"""Machines that leave: drained, out of etcd and the API, reset; as much of it as can be done."""

from __future__ import annotations

import dataclasses

from kubeboot.engine import journal
from kubeboot.engine.events import HostFinished, Notice
from kubeboot.engine.plan import Plan
from kubeboot.fleet import reach, record
from kubeboot.fleet.ledger import GOOD, Ledger
from kubeboot.fleet.reach import Reached
from kubeboot.fleet.survey import Cluster
from kubeboot.fleet.tasks import Task
from kubeboot.fleet.work import Shift
from kubeboot.inventory.model import Inventory, Machine
from kubeboot.kube.api import NoApi
from kubeboot.plan import remove
from kubeboot.plan import reset as resetting

DRAIN = 300.0
"""Seconds for a machine's pods to go elsewhere, as their budgets allow."""


def find(cluster: Cluster, inventory: Inventory) -> tuple[Machine, ...]:
    """Those that an earlier run had, and that the inventory does not have any more."""
    stay = {machine.name for machine in inventory.machines}
    return tuple(machine for machine in record.read(cluster.api) if machine.name not in stay)


def leave(
    cluster: Cluster, gone: tuple[Machine, ...], shift: Shift, opener: reach.Open
) -> tuple[HostFinished, ...]:
    """One after the other: etcd must be able to do without each of them."""
    ledger = Ledger(shift.emit)
    with reach.crew(gone, shift.emit, opener) as crew:
        there = {reached.name: reached for reached in crew.reached}
        for machine in gone:
            for task in _tasks(cluster, machine, there.get(machine.name)):
                if ledger.is_good(machine.name):
                    end = shift.work(task, task.plan.title)
                    ledger.add(dataclasses.replace(end, host=machine.name), last=False)
            if machine.name not in there and ledger.is_good(machine.name):
                told = "does not answer: it is out of the cluster, and not reset"
                shift.emit(Notice("warning", told, machine.name))
    return ledger.ends(machine.name for machine in gone)


def done(ends: tuple[HostFinished, ...]) -> frozenset[str]:
    """Those that have left."""
    return frozenset(end.host for end in ends if end.state in GOOD)


def _tasks(cluster: Cluster, machine: Machine, there: Reached | None) -> tuple[Task, ...]:
    known = cluster.node_of(there.facts) if there else None
    name = known.name if known else machine.name
    node = next((n for n in cluster.around.peers if n.name == name), None)
    addresses = node.addresses if node else ()
    stays = next(a for a, _ in cluster.facts.control_planes if a not in addresses)
    authority, stacked = cluster.given["ca.crt"], cluster.facts.spec.etcd.external is None
    plan = remove.plan(cluster.lead.name, name, addresses, stays, authority, DRAIN, stacked)
    forget = _of_lead(cluster, dataclasses.replace(plan, title="leaving the cluster"))
    return (forget, reset(there)) if there else (forget,)


def _of_lead(cluster: Cluster, plan: Plan) -> Task:
    lead = cluster.lead
    return Task(lead, lead.name, plan, cluster.api, cluster.others(lead.name))


def reset(who: Reached) -> Task:
    """Take everything off a machine that the cluster has forgotten, or that goes with its cluster."""
    host = who.host
    touched = any(host.stat(path) for path in (journal.HOME, journal.LOCK))
    plan = resetting.plan(host.name, journal.undo_list(host), touched)
    return Task(who, host.name, plan, NoApi())
