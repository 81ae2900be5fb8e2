"""Places where a run can be made to die, for tests that run it again: KUBEBOOT_FAIL=STEP:OPERATION:MODE.

What a step acts with is wrapped, so that every call that changes something is a place by itself and a new
step is covered without anyone remembering. OPERATION is one of

    journal    how to take the step back is on the disk, and nothing is done yet
    before-N   before the step's N-th change (of a file, a unit, an object …)
    between-N  the new file is there under its temporary name, and not renamed yet
    after-N    the change is made, and the step does not know it yet
    settle     everything is done, and is being waited for

MODE is `kill` (SIGKILL, as by the kernel), `error` or `hang`. Of several, with commas between them, the one
that the run comes to first is meant; it is named on stderr. `KUBEBOOT_FAIL=record:FILE` writes every place
that a run passes into FILE, as STEP:OPERATION. Nothing is wrapped unless the variable is set.
"""

from __future__ import annotations

import dataclasses
import os
import re
import signal
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal, cast

from kubeboot import errors
from kubeboot.engine.places import UNWATCHED, Leave, Watch, Watched

VARIABLE = "KUBEBOOT_FAIL"
MODES = ("kill", "error", "hang")
_OPERATION = re.compile(r"journal|settle|(before|between|after)-[1-9]\d*")
_RECORD = "record:"
TOLD = "KUBEBOOT_FAIL: at "
_HINT = f"{VARIABLE}=STEP:OPERATION:MODE, as in {VARIABLE}=kubelet/config:between-1:kill"


@dataclasses.dataclass(frozen=True)
class Failpoint:
    """Where to fail, and how."""

    step: str
    operation: str
    mode: Literal["kill", "error", "hang"]

    def fail(self, leave: Leave) -> None:
        """As asked; stderr is told where, past everything that might hold the words back."""
        leave()
        os.write(2, f"{TOLD}{self.step}:{self.operation}\n".encode())
        if self.mode == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if self.mode == "error":
            raise errors.KubebootError(f"failing at {self.operation}, as asked", reason="KB_FAILPOINT")
        threading.Event().wait()


@dataclasses.dataclass(frozen=True)
class Failpoints:
    """Whichever is come to first."""

    points: tuple[Failpoint, ...]

    def reach(self, step: str, operation: str, leave: Leave) -> None:
        """Fail here if it is one of them."""
        for point in self.points:
            if (step, operation) == (point.step, point.operation):
                point.fail(leave)


@dataclasses.dataclass(frozen=True)
class Recorder:
    """Notes the places that a run passes."""

    path: str

    def reach(self, step: str, operation: str, leave: Leave) -> None:
        """One line a place; short appends from several threads do not mix."""
        with Path(self.path).open("a") as file:
            file.write(f"{step}:{operation}\n")


def parse(text: str) -> Failpoints | Recorder:
    """The variable's value. UsageProblem (exit 2) says what is wrong."""
    if text.startswith(_RECORD) and len(text) > len(_RECORD):
        return Recorder(text.removeprefix(_RECORD))
    return Failpoints(tuple(_point(entry, text) for entry in text.split(",")))


def _point(entry: str, text: str) -> Failpoint:
    """One place; a step's id may hold colons."""
    step, operation, mode = ("", "", *entry.rsplit(":", 2))[-3:]
    if not step or not _OPERATION.fullmatch(operation) or mode not in MODES:
        wrong = (
            f"{mode!r} is not one of {', '.join(MODES)}" if step and mode not in MODES else "no such place"
        )
        raise errors.UsageProblem(f"{VARIABLE}={text}: {wrong}", hint=_HINT, reason="KB_FAILPOINT")
    return Failpoint(step, operation, cast(Literal["kill", "error", "hang"], mode))


def watched(environ: Mapping[str, str]) -> Failpoints | Recorder | None:
    """What this process's environment asks for, if anything; UsageProblem for what it cannot mean."""
    text = environ.get(VARIABLE)
    return parse(text) if text else None


def watch(environ: Mapping[str, str], steps: Iterable[str]) -> Watch:
    """What the engine tells of this run. UsageProblem for a step that the plan does not have."""
    found = watched(environ)
    if found is None:
        return UNWATCHED
    known = frozenset(steps)
    unknown = [p.step for p in found.points if p.step not in known] if isinstance(found, Failpoints) else []
    if unknown:
        raise errors.UsageProblem(
            f"{VARIABLE}: the plan has no step {', '.join(unknown)}", hint=_HINT, reason="KB_FAILPOINT"
        )
    return Watched(found.reach)
