"""A new cluster: etcd first where it has machines of its own, then a first control plane, then the others."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from kubeboot.fleet import followers, leaving, locking, playbooks, survey
from kubeboot.fleet.etcd import fleet as etcd_fleet
from kubeboot.fleet.etcd.fleet import EtcdMachines
from kubeboot.fleet.reach import Reached
from kubeboot.fleet.tasks import Task
from kubeboot.fleet.works import Works


def make(works: Works, first: Reached, etcd: EtcdMachines | None) -> None:
    """All others get ready while the first machine is made, and join then."""
    begin = etcd.first if etcd else first
    people = {begin.name: begin, first.name: first, **works.people}
    if etcd is not None:
        works.shop = works.shop.placed(etcd, works.shop.spec, () if etcd.invited else _addresses(works))
    tasks = works.tasks(people, lambda who: _begun(works, who, begin, first, etcd))
    works.examine(tasks, None)
    rest = [name for name in people if name not in (begin.name, first.name)]
    rest += [machine.name for machine in works.followers]
    if not (works.ledger.is_good(begin.name) and works.ledger.is_good(first.name)):
        return _unfounded(works, first, rest)
    with locking.locked(first, "up") as locks:
        works.ledger.fail(locks.those(people.values()))
        with ThreadPoolExecutor(1) as aside:
            arriving = aside.submit(followers.prepare, works, locks)
            works.run(works.ledger.good(tasks), lambda t: _stage(t, begin, etcd), last=(begin.name,))
            founded = etcd is None or _founded_on_etcd(works, first)
            people |= arriving.result()
        if not founded:
            return works.ledger.skip([first.name, *rest], f"etcd does not answer on {begin.name}")
        return _joined(works, first, [who for name, who in people.items() if name in rest])


def _stage(task: Task, begin: Reached, etcd: EtcdMachines | None) -> str:
    if task.name != begin.name:
        return "preparing"
    return "making etcd" if etcd else "making the cluster"


def _begun(works: Works, who: Reached, begin: Reached, first: Reached, etcd: EtcdMachines | None) -> Task:
    """A machine's first task: an etcd that answers can be joined, and has a way in for control planes."""
    if etcd is None:
        return works.shop.found(who) if who.name == begin.name else works.shop.prepare(who)
    if who.machine.role == "etcd" and (who.name == begin.name or etcd.invited):
        return works.shop.etcd(who, etcd)
    known = etcd.invited is not None and who.name == first.name
    return dataclasses.replace(works.shop.prepare(who), given=etcd.given, early=not known)


def _addresses(works: Works) -> list[str]:
    """Where etcd will be: whoever is examined must know that it will not be on the control planes."""
    machines = (who for who in works.crew.reached if who.machine.role == "etcd")
    return [who.machine.address or next(iter(leaving.of_nics(who.facts)), who.name) for who in machines]


def _founded_on_etcd(works: Works, first: Reached) -> bool:
    """etcd's other machines join, and the first control plane is made; False where there is no etcd."""
    etcd = etcd_fleet.look(works.wanted.inventory, works.crew)
    if etcd is None or etcd.invited is None:
        return False
    _further_members(works, etcd)
    etcd = etcd_fleet.look(works.wanted.inventory, works.crew) or etcd
    works.shop, given = works.shop.placed(etcd, works.shop.spec), etcd.given
    founding = works.tasks({first.name: first}, lambda who: works.shop.found(who, given))
    works.run(founding, lambda task: "making the cluster")
    return True


def _further_members(works: Works, etcd: EtcdMachines) -> None:
    members = {name: who for name, who in works.people.items() if who.machine.role == "etcd"}
    later = {name: who for name, who in works.ledger.good(members).items() if name != etcd.first.name}
    works.run(works.tasks(later, lambda who: works.shop.etcd(who, etcd)), lambda task: "joining etcd")


def _joined(works: Works, first: Reached, others: Iterable[Reached]) -> None:
    cluster = survey.look(works.wanted.inventory, works.crew, works.shop.spec).cluster
    rest = {who.name: who for who in others if who.machine.role != "etcd"}
    if cluster is None or works.ledger.reason(first.name) not in (None, playbooks.HookFailed.reason):
        return _unfounded(works, first, rest)
    works.join(works.tasks(works.ledger.good(rest), works.joiner(cluster, None)))
    return works.record(cluster)


def _unfounded(works: Works, first: Reached, others: Iterable[str]) -> None:
    works.ledger.skip(others, f"{first.name} has not become a control plane")
