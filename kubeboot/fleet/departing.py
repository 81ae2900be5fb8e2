"""Machines that leave: drained, out of etcd and the API, reset; as much of it as can be done."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping, Sequence

from kubeboot import errors
from kubeboot.engine import journal
from kubeboot.engine.events import HostFinished, Notice
from kubeboot.fleet import locking, record, recorded, whose
from kubeboot.fleet.etcd.fleet import EtcdMachines
from kubeboot.fleet.hooks import Hooks
from kubeboot.fleet.ledger import GOOD, Ledger
from kubeboot.fleet.reach import Reached
from kubeboot.fleet.survey import Cluster
from kubeboot.fleet.tasks import Task
from kubeboot.fleet.work import Shift
from kubeboot.inventory.model import Inventory, Machine
from kubeboot.kube.api import NoApi
from kubeboot.plan import etcd_machine as leaving_etcd
from kubeboot.plan import remove
from kubeboot.plan import reset as resetting

BEFORE = "before_reset"
"""The one of the user's playbooks that runs here."""
DRAIN = 300.0
"""Seconds for a machine's pods to go elsewhere, as their budgets allow."""


def find(cluster: Cluster, inventory: Inventory) -> tuple[Machine, ...]:
    """Those that an earlier run had, and that the inventory does not have any more."""
    stay = {machine.name for machine in inventory.machines}
    gone = (machine for machine in record.read(cluster.api) if machine.name not in stay)
    return tuple(recorded.as_the_others(machine, inventory) for machine in gone)


def leave(
    cluster: Cluster,
    etcd: EtcdMachines | None,
    gone: Sequence[Machine],
    there: Mapping[str, Reached],
    shift: Shift,
    hooks: Hooks,
) -> tuple[HostFinished, ...]:
    """One after the other: etcd must be able to do without each of them. `there`: those that answer."""
    ledger = Ledger(shift.emit)

    def go(machine: Machine, who: Reached | None) -> None:
        for task in (*_forget(cluster, etcd, machine, who), *([reset(who, hooks)] if who else ())):
            if ledger.is_good(machine.name):
                end = shift.work(task, task.plan.title)
                ledger.add(dataclasses.replace(end, host=machine.name), last=False)
        if who is None and ledger.is_good(machine.name):
            told = "does not answer: it is out of the cluster, but was not reset"
            shift.emit(Notice("warning", told, machine.name))

    for machine in gone:
        try:
            with _held(there.get(machine.name)) as who:
                go(machine, who)
        except errors.KubebootError as error:
            ledger.fail({machine.name: error})
    return ledger.ends(machine.name for machine in gone)


@contextlib.contextmanager
def _held(who: Reached | None) -> Iterator[Reached | None]:
    """Nobody else works on a machine from before it leaves until it is reset."""
    with locking.locked(who, "up") if who else contextlib.nullcontext():
        yield who


def done(ends: tuple[HostFinished, ...]) -> frozenset[str]:
    """Those that have left."""
    return frozenset(end.host for end in ends if end.state in GOOD)


def _forget(
    cluster: Cluster, etcd: EtcdMachines | None, machine: Machine, there: Reached | None
) -> tuple[Task, ...]:
    """What the others must be told; of a balancer they know nothing."""
    if machine.role == "lb":
        return ()
    if machine.role == "etcd":
        return (_leave_etcd(etcd, machine, whose.addresses(machine, there)),)
    return (_leave_cluster(cluster, machine, there),)


def _leave_etcd(etcd: EtcdMachines | None, machine: Machine, addresses: tuple[str, ...]) -> Task:
    """A member that leaves without a word is one that the others wait for: then it stays as it is."""
    if etcd is None or etcd.invited is None:
        raise errors.KubebootError(
            f"{machine.name} cannot leave etcd: no other machine of etcd answers; nothing was done to it",
            hint="make sure that etcd's other machines can be reached (`kubeboot doctor` on one of them),"
            " then run the same command again",
            reason="KB_ETCD_SILENT",
        )
    plan = leaving_etcd.removal(etcd.first.name, machine.name, addresses)
    titled = dataclasses.replace(plan, title="leaving etcd")
    return Task(etcd.first, etcd.first.name, titled, NoApi(), etcd.others)


def _leave_cluster(cluster: Cluster, machine: Machine, there: Reached | None) -> Task:
    node = whose.node(cluster, machine, there)
    name, addresses = node.name, node.addresses
    stays = next(a for a, _ in cluster.facts.control_planes if a not in addresses)
    authority, stacked = cluster.given["ca.crt"], cluster.facts.spec.etcd.external is None
    going = remove.Going(name, addresses, stays, authority, stacked)
    plan = remove.plan(cluster.lead.name, going, DRAIN)
    lead, titled = cluster.lead, dataclasses.replace(plan, title="leaving the cluster")
    return Task(lead, lead.name, titled, cluster.api, cluster.others(lead.name))


def reset(who: Reached, hooks: Hooks) -> Task:
    """Take everything off a machine that the cluster has forgotten, or that goes with its cluster."""
    host = who.host
    plan = resetting.plan(host.name, journal.undo_list(host), resetting.touched(host))
    whole = hooks.around(plan, who, host.name, before=(BEFORE,))
    return Task(who, host.name, whole, NoApi())
