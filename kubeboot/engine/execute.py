"""One step on one machine: check, journal, apply, settle, check again."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Callable
from typing import Protocol

from kubeboot import errors
from kubeboot.engine import causes
from kubeboot.engine.events import Event, StepWaiting
from kubeboot.engine.places import UNWATCHED, Watch
from kubeboot.engine.remembering import Memory
from kubeboot.engine.step import Blocked, Condition, Drift, Later, Ok, Step, Target
from kubeboot.engine.undo import Undo
from kubeboot.engine.values import Values
from kubeboot.host.api import Lost

_SEE_ABOVE = "see the lines above for the cause, fix it, then run the same command again"
ATTEMPTS = 5
"""At a step whose connection is lost; an upload goes on where it was cut."""
POLL = 0.1
"""Seconds between two looks at a condition; a look at a local API server takes about 3 ms."""
SHARE = 0.05
"""Of one CPU, at most, that a wait may take from what it waits for: on a slow machine it looks less often."""
GRACE = 15.0
"""Seconds, before scaling, that a wait may still take once another step has failed: that may be its cause."""


class Intents(Protocol):
    """The journal as a step's execution sees it."""

    def intend(self, step: str, changes: tuple[Undo, ...]) -> None: ...


@dataclasses.dataclass(frozen=True)
class Context:
    """What every step of a run shares.

    `stop` is set when the user wants the run to end, `failed` when a step failed on which it cannot end well.
    """

    vals: Values
    emit: Callable[[Event], None]
    stop: threading.Event
    timeout_scale: float = 1.0
    watch: Watch = UNWATCHED
    failed: threading.Event = dataclasses.field(default_factory=threading.Event)


def execute(step: Step, do: Target, journal: Intents, run: Context) -> Drift | None:
    """Bring the step about; the Drift that was found, or None when there was none."""
    memory = Memory(do.host)
    see = dataclasses.replace(do.see, host=memory.view())
    found = step.check(see, run.vals)
    if isinstance(found, Drift):
        journal.intend(step.id, tuple(step.undo(see)))
        run.watch.reached(step.id, "journal")
        _apply(step, do, memory, run)
    elif not isinstance(found, Ok):
        raise _refusal(step, found)
    elif claimed := tuple(step.claim(see)):
        journal.intend(step.id, claimed)
    if step.settle is not None:
        run.watch.reached(step.id, "settle")
        settle(step, step.settle, do, run)
    if isinstance(found, Drift):
        _confirm(step, do, run)
    for key in step.gives:
        run.vals.put(key, step.read(do.see, key))
    return found if isinstance(found, Drift) else None


def _apply(step: Step, do: Target, memory: Memory, run: Context) -> None:
    """After an error, look again first: what was brought about all the same counts as done.

    Where only the connection was lost, go on: every step is safe from any partial state of itself. What the
    check has seen just now is asked again only after that.
    """
    acting = run.watch.target(step.id, dataclasses.replace(do, host=memory.target()))
    for left in reversed(range(ATTEMPTS)):
        try:
            step.apply(acting, run.vals)
            return
        except errors.KubebootError as error:
            memory.forget()
            try:
                again = step.check(do.see, run.vals)
            except errors.KubebootError:
                raise error from None
            if isinstance(again, Ok):
                return
            if not left or not isinstance(error, Lost) or run.stop.is_set():
                raise


def _confirm(step: Step, do: Target, run: Context) -> None:
    again = step.check(do.see, run.vals)
    if isinstance(again, Drift):
        raise errors.KubebootError(
            f"{step.title}: done, and still not as it should be: {again.summary}",
            hint="something else on this machine may be changing it; run the same command again to find out",
            reason="KB_NOT_CONVERGED",
        )
    if not isinstance(again, Ok):
        raise _refusal(step, again)


def _refusal(step: Step, found: Later | Blocked) -> errors.KubebootError:
    if isinstance(found, Blocked):
        return errors.KubebootError(found.message, hint=found.hint, reason=found.reason)
    return errors.KubebootError(
        f"{step.title}: {found.needs} is not there yet",
        hint="run the same command again; finished steps are kept",
        reason="KB_NOT_READY",
    )


def settle(step: Step, condition: Condition, do: Target, run: Context) -> None:
    """Wait until the condition holds; TimedOut tells what was last seen and what the machine says of it."""
    allowed = condition.deadline * run.timeout_scale
    start = time.monotonic()
    end, told, failed = start + allowed, "", False
    while True:
        began = time.thread_time()
        last = condition.look(do.see, run.vals)
        if last is None:
            return
        if last != told:
            run.emit(StepWaiting(step.id, step.on, condition.sentence, allowed, last))
            told = last
        if run.failed.is_set() and not failed:
            end, failed = min(end, time.monotonic() + GRACE * run.timeout_scale), True
        if time.monotonic() > end:
            raise _late(condition, do, last, time.monotonic() - start)
        if run.stop.wait(max(POLL, (time.thread_time() - began) / SHARE)):
            raise errors.Interrupted(f"stopped while waiting for {condition.sentence}")


def _late(condition: Condition, do: Target, last: str, waited: float) -> errors.TimedOut:
    """What was last seen, the last words of whatever should have made it true, and what they speak for."""
    said = condition.explain(do.see)
    suspects = causes.diagnose(do.host, last, said)
    return errors.TimedOut(
        f"waited {waited:.0f}s for {condition.sentence}: {last}",
        hint=f"{suspects[0].cause.fix}; then run the same command again" if suspects else _SEE_ABOVE,
        output="\n".join((*filter(None, (said,)), *map(str, suspects))),
    )
