"""Look at what a plan would do: every check, no change. What it is given has no way to change anything."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from kubeboot import errors
from kubeboot.engine.events import Event, RunFinished, RunStarted, State, StepFinished
from kubeboot.engine.plan import Plan, edges, node
from kubeboot.engine.plan import ordered as in_order
from kubeboot.engine.step import CLUSTER, Blocked, Check, Drift, Later, Ok, Step, View
from kubeboot.engine.values import Values
from kubeboot.host.api import Unread


def inspect(plan: Plan, views: Mapping[str, View], emit: Callable[[Event], None]) -> bool:
    """Report every step in the order of the run; True when a run would change nothing."""
    began = time.monotonic()
    hosts = tuple(h for h in views if h != CLUSTER)
    emit(RunStarted(plan.command, plan.title, len(plan.steps), hosts))
    steps = {node(s): s for s in plan.steps}
    vals = Values()
    counts: dict[State, int] = {}
    for n in in_order(edges(plan)):
        event = _look(steps[n], views[n[0]], vals, began)
        counts[event.state] = counts.get(event.state, 0) + 1
        emit(event)
    count = counts.get
    changes = count("drift", 0) + count("later", 0)
    emit(RunFinished(count("ok", 0), changes, count("blocked", 0), 0, time.monotonic() - began))
    return count("ok", 0) == len(plan.steps)


def _look(step: Step, see: View, vals: Values, began: float) -> StepFinished:
    start = time.monotonic()
    found = _checked(step, see, vals)
    now = time.monotonic()
    return StepFinished(
        step=step.id,
        host=step.on,
        title=step.title,
        state=_state(found),
        seconds=now - start,
        at=now - began,
        summary=_summary(found),
        change=found.change if isinstance(found, Drift) else "",
        impact=step.impact.value,
        diff=found.diff if isinstance(found, Drift) else None,
        reason=found.reason if isinstance(found, Blocked) else None,
    )


def _checked(step: Step, see: View, vals: Values) -> Check:
    try:
        found = step.check(see, vals)
        if isinstance(found, Ok):
            for key in step.gives:
                vals.put(key, step.read(see, key))
    except errors.KubebootError as error:
        return Blocked(error.message, error.hint, error.reason)
    except Unread:
        return Later("a look at the machine")
    return found


def _state(found: Check) -> State:
    match found:
        case Ok():
            return "ok"
        case Drift():
            return "drift"
        case Later():
            return "later"
        case Blocked():
            return "blocked"


def _summary(found: Check) -> str:
    match found:
        case Drift(summary):
            return summary
        case Later(needs):
            return f"after {needs}"
        case Blocked(message):
            return message
        case Ok():
            return ""
