"""What comes of a run's steps: told as they end, and counted."""

from __future__ import annotations

import dataclasses
import time
from collections import Counter

from kubeboot import errors
from kubeboot.engine.events import RunFinished, State, StepFinished
from kubeboot.engine.execute import Context
from kubeboot.engine.plan import Node
from kubeboot.engine.step import Drift, Step, impact
from kubeboot.engine.values import Values


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How a run ended. `failures` are in the order in which they happened."""

    ok: int
    changed: int
    skipped: int
    failures: tuple[errors.KubebootError, ...]
    seconds: float
    interrupted: bool
    values: Values

    def raise_for_failure(self) -> None:
        """Raise the first failure, or Interrupted."""
        if self.failures:
            raise self.failures[0]
        if self.interrupted:
            raise errors.Interrupted("stopped", hint="run the same command again; finished steps are kept")


@dataclasses.dataclass(frozen=True)
class Done:
    """How a step ended."""

    node: Node
    state: State
    seconds: float
    drift: Drift | None = None
    error: BaseException | None = None


class Tally:
    """Of one run; only the thread that runs the plan touches it. `bug` is an error that nobody foresaw."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._counts: Counter[State] = Counter()
        self._failures: list[errors.KubebootError] = []
        self._began = time.monotonic()
        self.bug: BaseException | None = None

    def add(self, step: Step, done: Done) -> None:
        """Count a step that has ended, and tell of it."""
        self._counts[done.state] += 1
        drift, error = done.drift, done.error
        self._context.emit(
            StepFinished(
                step=step.id,
                host=step.on,
                title=step.title,
                state=done.state,
                seconds=done.seconds,
                at=time.monotonic() - self._began,
                summary=drift.summary if drift else str(error or ""),
                change=drift.change if drift else "",
                impact=impact(step, drift),
                diff=drift.diff if drift else None,
                reason=error.reason if isinstance(error, errors.KubebootError) else None,
            )
        )

    def fail(self, step: Step, error: BaseException) -> None:
        """Keep what a step failed with. One that was stopped has not failed."""
        if not isinstance(error, errors.KubebootError):
            self.bug = self.bug or error
        elif not isinstance(error, errors.Interrupted):
            self._failures.append(_placed(error, step))
            self._context.failed.set()

    def outcome(self) -> Outcome:
        """Tell of the run's end, and how it was. Raises the bug, if there was one."""
        seconds, count = time.monotonic() - self._began, self._counts
        stopped = self._context.stop.is_set()
        self._context.emit(
            RunFinished(count["ok"], count["changed"], count["failed"], count["skipped"], seconds, stopped)
        )
        if self.bug is not None:
            raise self.bug
        return Outcome(
            ok=count["ok"],
            changed=count["changed"],
            skipped=count["skipped"],
            failures=tuple(self._failures),
            seconds=seconds,
            interrupted=stopped,
            values=self._context.vals,
        )


def _placed(error: errors.KubebootError, step: Step) -> errors.KubebootError:
    error.host = error.host or step.on
    error.step = error.step or step.id
    return error
