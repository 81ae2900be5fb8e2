"""What it takes to make a machine as it was before kubeboot came."""

from __future__ import annotations

from kubeboot.engine import journal
from kubeboot.engine.plan import Plan
from kubeboot.engine.undo import Undo
from kubeboot.steps import sweep, undoing


def plan(host: str, undo_list: tuple[tuple[str, Undo], ...]) -> Plan:
    """Stop and sweep what runs, take back every journalled change, newest first, then forget the journal.

    On a machine that kubeboot never touched nothing is swept: what runs there is somebody else's.
    """
    if not undo_list:
        return Plan("reset", f"{host}: take kubeboot off this machine", (), {host: "worker"})
    swept = sweep.steps(host)
    undone = undoing.steps(host, undo_list, frozenset({swept[-1].id}))
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
    steps = (*swept, *undone, home, lock)
    return Plan("reset", f"{host}: take kubeboot off this machine", steps, {host: "worker"})
