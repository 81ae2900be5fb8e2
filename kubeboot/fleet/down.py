"""`kubeboot down`: every machine is as it was before kubeboot came, and the cluster is gone."""

from __future__ import annotations

import time

from kubeboot import errors
from kubeboot.engine.events import Emit, HostFinished
from kubeboot.fleet import departing, hooks, locking, logins, reach
from kubeboot.fleet.ledger import Ledger
from kubeboot.fleet.orders_fleet import FleetOptions, FleetResult
from kubeboot.fleet.run import stoppable
from kubeboot.fleet.up import finished, started
from kubeboot.fleet.work import Shift
from kubeboot.inventory.model import Machine


def down(wanted: FleetOptions, emit: Emit, opener: logins.Open = logins.open_host) -> FleetResult:
    """Reset all machines at once; nobody is told of anybody's leaving, because nobody stays."""
    began = time.monotonic()
    machines = wanted.inventory.machines
    if wanted.limit:
        raise errors.UsageProblem(
            "`down` takes the whole cluster down",
            hint="to remove some machines, take them out of the inventory",
        )
    books = hooks.find(wanted.spec, wanted.inventory, emit, wanted.timeout_scale, (departing.BEFORE,))
    emit(started("down", wanted, machines))
    ledger = Ledger(emit)
    with reach.approach(machines, emit, opener) as way, stoppable(emit) as stop:
        shift = Shift(emit, stop, wanted.timeout_scale)

        def reset(machine: Machine) -> HostFinished:
            who = way.reach(machine)
            with locking.locked(who, "down"):
                return shift.work(departing.reset(who, books), "resetting")

        ends, failed = reach.each({machine.name: machine for machine in machines}, reset)
        ledger.fail(failed)
        for end in ends.values():
            ledger.add(end)
    result = FleetResult(ledger.ends(machine.name for machine in machines), time.monotonic() - began)
    emit(finished(result, interrupted=stop.is_set()))
    return result
