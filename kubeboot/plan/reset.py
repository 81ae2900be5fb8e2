"""What it takes to make a machine as it was before kubeboot came."""

from __future__ import annotations

import dataclasses

from kubeboot.engine import journal
from kubeboot.engine.plan import Plan
from kubeboot.engine.step import CLUSTER, Step
from kubeboot.engine.undo import Undo
from kubeboot.host.api import HostView
from kubeboot.steps import sweep, undoing

ETCD = "leave/etcd"


def touched(see: HostView) -> bool:
    """Whether anything of kubeboot's own is here, be it what a killed reset has not forgotten."""
    return any(sweep.doomed(see, path) for path in (journal.HOME, journal.LOCK))


def plan(
    host: str,
    undo_list: tuple[tuple[str, Undo], ...],
    touched: bool = False,
    leave: tuple[Step, ...] = (),
    force: bool = False,
) -> Plan:
    """Stop and sweep what runs, take back every journalled change, newest first, then forget the journal.

    On a machine that kubeboot never touched nothing is swept: what runs there is someone else's.
    `touched`: a reset was killed while it forgot, and what is left is kubeboot's own. `leave`: what the
    cluster must be told first; nothing is touched when etcd cannot do without this machine, but by `force`.
    """
    if not undo_list and not touched:
        return Plan("reset", f"{host}: take kubeboot off this machine", (), {host: "worker"})
    swept = sweep.steps(host) if undo_list else ()
    undone = undoing.steps(host, undo_list, frozenset({step.id for step in swept[-1:]}))
    home = sweep.Gone(
        id="reset/journal",
        title="Forget the journal",
        on=host,
        after=frozenset({"undo/", "sweep/"}),
        path=journal.HOME,
    )
    lock = sweep.Gone(
        id="reset/lock",
        title="Remove the lock, which this run holds to its end",
        on=host,
        after=frozenset({home.id}),
        path=journal.LOCK,
    )
    steps = (*leave, *(_left(step, leave, force) for step in (*swept, *undone, home, lock)))
    return Plan("reset", f"{host}: take kubeboot off this machine", steps, {host: "worker"})


def _left(step: Step, leave: tuple[Step, ...], force: bool) -> Step:
    """Behind all of it; and not at all when etcd was not left, unless by force."""
    behind = step.behind | {f"{CLUSTER}:{one.id}" for one in leave}
    first = frozenset(f"{CLUSTER}:{one.id}" for one in leave if one.id == ETCD and not force)
    return dataclasses.replace(step, behind=behind, after=step.after | first)
