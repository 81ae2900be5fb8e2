"""Look at what a plan would do: every check, no change. What it is given has no way to change anything."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping

from kubeboot import errors
from kubeboot.engine.events import Emit, RunFinished, RunStarted, State, StepFinished
from kubeboot.engine.plan import Node, Plan, edges, node
from kubeboot.engine.plan import ordered as in_order
from kubeboot.engine.step import CLUSTER, Blocked, Check, Drift, Later, Ok, Step, View, impact
from kubeboot.engine.values import Values
from kubeboot.host.api import Unread


def inspect(
    plan: Plan,
    views: Mapping[str, View],
    emit: Emit,
    fetch: Callable[[], None] = lambda: None,
) -> bool:
    """Report every step in the order of the run; True when a run would change nothing.

    `fetch` gets what the views could not tell yet (Unread), all of it at once; then it is looked again.
    """
    began = time.monotonic()
    hosts = tuple(h for h in views if h != CLUSTER)
    emit(RunStarted(plan.command, plan.title, len(plan.steps), hosts))
    looking = _Looking(plan, views, began)
    while not looking.again():
        fetch()
    counts: dict[State, int] = {}
    for event in looking.events():
        counts[event.state] = counts.get(event.state, 0) + 1
        emit(event)
    count = counts.get
    changes = count("drift", 0) + count("later", 0)
    emit(RunFinished(count("ok", 0), changes, count("blocked", 0), 0, time.monotonic() - began))
    return count("ok", 0) == len(plan.steps)


class _Looking:
    """The checks of a plan. What is unread, or waits for what is, is looked at again; the rest is not."""

    def __init__(self, plan: Plan, views: Mapping[str, View], began: float) -> None:
        self._steps = {node(s): s for s in plan.steps}
        self._order = in_order(edges(plan))
        self._views = views
        self._began = began
        self._vals = Values()
        self._found: dict[Node, StepFinished] = {}
        self._open = set(self._order)
        self._loud: set[Node] = set()

    def again(self) -> bool:
        """Look; True when nothing is unread."""
        unread = [n for n in self._order if n in self._open and not self._look(n)]
        return not unread

    def _look(self, n: Node) -> bool:
        step, start = self._steps[n], time.monotonic()
        try:
            found = _checked(step, self._views[n[0]], self._vals)
        except Unread:
            return False
        self._found[n] = _event(step, found, start, self._began)
        if isinstance(found, Drift) and not found.quiet:
            self._loud.add(n)
        if not isinstance(found, Later) and all(self._vals.get(key) is not None for key in step.needs):
            self._open.discard(n)
        return True

    def events(self) -> list[StepFinished]:
        """What was found, in the order of the run."""
        return [self._after_all(n) for n in self._order]

    def _after_all(self, n: Node) -> StepFinished:
        """What is as it should be now acts all the same when what it follows has changed."""
        event, step = self._found[n], self._steps[n]
        because = sorted(ref for ref in step.follows if (n[0], ref) in self._loud)
        if event.state != "ok" or not because:
            return event
        return dataclasses.replace(
            event, state="drift", change="change", summary=f"restart, because of {', '.join(because)}"
        )


def _event(step: Step, found: Check, start: float, began: float) -> StepFinished:
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
        impact=impact(step, found if isinstance(found, Drift) else None),
        diff=found.diff if isinstance(found, Drift) else None,
        reason=found.reason if isinstance(found, Blocked) else None,
    )


def _checked(step: Step, see: View, vals: Values) -> Check:
    try:
        found = step.check(see, vals)
        if isinstance(found, Ok) or (isinstance(found, Drift) and found.quiet):
            for key in step.gives:
                vals.put(key, step.read(see, key))
    except errors.KubebootError as error:
        return Blocked(error.message, error.hint, error.reason)
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
