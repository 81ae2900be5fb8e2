"""What every step owes: drift is found, apply converges, the second check is Ok, undo restores."""

from __future__ import annotations

from kubeboot.engine.journal import Journal
from kubeboot.engine.step import Drift, Ok, Step, Target
from kubeboot.engine.undo import Undo
from kubeboot.engine.values import Values
from kubeboot.kube.api import Api, NoApi
from kubeboot.steps import undoing


def converges(step: Step, host: object, vals: Values | None = None, api: Api | None = None) -> Drift:
    """Run the whole life of a step against a fake machine; the Drift that was found first."""
    target = Target(host, api or NoApi())  # type: ignore[arg-type]
    vals = vals or Values()
    before = host.snapshot()  # type: ignore[attr-defined]
    found = step.check(target.see, vals)
    assert isinstance(found, Drift), f"{step.id}: no drift on a machine that lacks it: {found}"
    changes = tuple(step.undo(target.see))
    journal = Journal(target.host)
    journal.begin("test")
    journal.intend(step.id, changes)
    step.apply(target, vals)
    assert step.check(target.see, vals) == Ok(), f"{step.id}: {step.check(target.see, vals)}"
    _restores(target, changes, before)
    step.apply(target, vals)
    return found


def _restores(target: Target, changes: tuple[Undo, ...], before: object) -> None:
    for change in reversed(changes):
        undoing.perform(change, target)
    target.host.remove_tree("/var/lib/kubeboot")
    assert target.host.snapshot() == before  # type: ignore[attr-defined]
