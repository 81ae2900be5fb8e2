"""`kubeboot up`: the machines become what the description says, from one workstation."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterable

from kubeboot import errors
from kubeboot.artifacts import sources
from kubeboot.engine.events import Emit, RunFinished, RunStarted
from kubeboot.fleet import changing, hooks, layout, logins, making, meeting, reach, turns
from kubeboot.fleet.etcd import fleet as etcd_fleet
from kubeboot.fleet.etcd.fleet import EtcdMachines
from kubeboot.fleet.ledger import Ledger
from kubeboot.fleet.orders_fleet import FleetOptions, FleetResult
from kubeboot.fleet.run import stoppable
from kubeboot.fleet.supply import Supply
from kubeboot.fleet.survey import Found
from kubeboot.fleet.tasks import Shop
from kubeboot.fleet.work import Shift
from kubeboot.fleet.works import Works
from kubeboot.inventory.model import Machine


def up(given: FleetOptions, emit: Emit, opener: logins.Open = logins.open_host) -> FleetResult:
    """Every machine that can be reached; what happened on the others is in the result.

    Raises when nothing can be done at all: no way to the cluster, another run, no first control plane.
    """
    began = time.monotonic()
    sources.require(given.spec.artifacts)
    wanted = completed(given)
    machines = chosen(wanted)
    books = hooks.find(wanted.spec, wanted.inventory, emit, wanted.timeout_scale)
    emit(started("up", wanted, machines))
    with reach.approach(machines, emit, opener) as way, stoppable(emit) as stop:
        way.set_out(turns.newest(machines))
        crew, found = meeting.meet(wanted.inventory, way, wanted.spec)
        supply = Supply(wanted.spec, emit, peek=False, kept=wanted.catalogs)
        shop = Shop(wanted.spec, supply, books, wanted.ignore_preflight, wanted.skip)
        works = Works(wanted, shop, Shift(emit, stop, wanted.timeout_scale), way, crew, opener)
        way.set_out(turns.ahead(found.cluster, works.followers))
        etcd = separate_etcd(wanted, crew, found, works.ledger)
        if found.cluster is not None:
            changing.change(works, found.cluster, etcd)
        elif found.first is not None:
            making.make(works, found.first, etcd)
    ends = works.ledger.ends(machine.name for machine in machines)
    result = FleetResult((*ends, *works.gone), time.monotonic() - began)
    emit(finished(result, interrupted=stop.is_set()))
    return result


def completed(wanted: FleetOptions) -> FleetOptions:
    """With what machines of their own for etcd and balancers mean."""
    return dataclasses.replace(wanted, spec=layout.described(wanted.spec, wanted.inventory))


def chosen(wanted: FleetOptions) -> tuple[Machine, ...]:
    """The machines that are meant, and in any case those by which the cluster is reached."""
    meant = {machine.name for machine in wanted.inventory.limited(wanted.limit)}
    machines = wanted.inventory.machines
    return tuple(m for m in machines if m.name in meant or m.role in ("control_plane", "etcd"))


def separate_etcd(
    wanted: FleetOptions, crew: reach.Crew, found: Found, ledger: Ledger
) -> EtcdMachines | None:
    """etcd's machines; where none of them answers a cluster goes on without a change to them."""
    try:
        return etcd_fleet.look(wanted.inventory, crew)
    except errors.Unreachable as error:
        if found.cluster is None:
            raise
        here = [reached.name for reached in crew.reached if reached.machine.role == "etcd"]
        ledger.fail(dict.fromkeys(here, error))
        return None


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
