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
import itertools
import os
import posixpath
import re
import signal
import threading
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, Protocol, cast

from kubeboot import errors
from kubeboot.engine.step import Target
from kubeboot.host import sending
from kubeboot.host.api import HostTarget, HostView
from kubeboot.kube.api import Api, ApiView
from kubeboot.kube.etcd import Etcd, EtcdView

VARIABLE = "KUBEBOOT_FAIL"
MODES = ("kill", "error", "hang")
_OPERATION = re.compile(r"journal|settle|(before|between|after)-[1-9]\d*")
_RECORD = "record:"
TOLD = "KUBEBOOT_FAIL: at "
_HINT = f"{VARIABLE}=STEP:OPERATION:MODE, as in {VARIABLE}=kubelet/config:between-1:kill"

Leave = Callable[[], object]
"""What the machine looks like at a place, where stopping there is not enough to make it so."""
Reach = Callable[[str, str, Leave], None]
"""Called at each place with the step's id and the operation."""


def _writes(target: type, view: type) -> frozenset[str]:
    own = (name for name in vars(target) if not name.startswith("_"))
    return frozenset(name for name in own if name not in vars(view)) - {"lock", "say"}


HOST_WRITES = _writes(HostTarget, HostView)
API_WRITES = _writes(Api, ApiView)
ETCD_WRITES = _writes(Etcd, EtcdView) - {"exclusively"}
_RENAMED = frozenset({"write", "put", "symlink"})
"""Those that appear under a temporary name first."""


class Watch(Protocol):
    """What the engine tells of where a step is."""

    def reached(self, step: str, operation: str) -> None: ...
    def target(self, step: str, do: Target) -> Target:
        """What the step acts with."""
        ...


class Unwatched:
    """Every run but those of tests."""

    def reached(self, step: str, operation: str) -> None:
        """Goes on."""

    def target(self, step: str, do: Target) -> Target:
        """The machine itself."""
        return do


UNWATCHED = Unwatched()


@dataclasses.dataclass(frozen=True)
class Watched:
    """Calls `reach` at every place of every step."""

    reach: Reach

    def reached(self, step: str, operation: str) -> None:
        """Between the engine's own doings."""
        self.reach(step, operation, lambda: None)

    def target(self, step: str, do: Target) -> Target:
        """The machine, the API and etcd's members, their changes counted together."""
        count = itertools.count(1)
        return Target(
            cast(HostTarget, _Changes(do.host, HOST_WRITES, step, count, self.reach)),
            cast(Api, _Changes(do.api, API_WRITES, step, count, self.reach)),
            cast(Etcd, _Changes(do.etcd, ETCD_WRITES, step, count, self.reach)),
        )


class _Changes:
    """Something with methods, of which those in `writes` have a place before and after them."""

    def __init__(
        self,
        inner: HostTarget | Api | Etcd,
        writes: frozenset[str],
        step: str,
        count: Iterable[int],
        reach: Reach,
    ) -> None:
        self._inner = inner
        self._writes = writes
        self._step = step
        self._count = iter(count)
        self._reach = reach

    def __getattr__(self, name: str) -> object:
        found = getattr(self._inner, name)
        return self._watched(name, found) if name in self._writes else found

    def _watched(self, name: str, change: Callable[..., object]) -> Callable[..., object]:
        def call(*args: Any, **options: Any) -> object:  # noqa: ANN401 - passed on as they came
            number = next(self._count)
            self._reach(self._step, f"before-{number}", lambda: None)
            if name in _RENAMED:
                self._reach(self._step, f"between-{number}", lambda: self._half(name, *args, **options))
            done = change(*args, **options)
            self._reach(self._step, f"after-{number}", lambda: None)
            return done

        return call

    def _half(self, name: str, path: str, what: object, *_: object, **__: object) -> None:
        """The temporary file as it is before it is renamed; of a streamed one nothing has come yet."""
        folder, base = posixpath.split(path)
        left = posixpath.join(folder, sending.temporary(base, "0" * 8))
        to = cast(HostTarget, self._inner)
        if name == "symlink":
            to.symlink(left, str(what))
        else:
            to.write(left, what if isinstance(what, bytes) else b"", 0o600)


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
