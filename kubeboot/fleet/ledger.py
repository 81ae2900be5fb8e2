"""How it went on each machine of a fleet, said once, when its last stage has ended."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Iterable, Mapping
from typing import TypeVar

from kubeboot import errors
from kubeboot.engine.events import Emit, HostFinished, HostState

T = TypeVar("T")
GOOD: tuple[HostState, ...] = ("ok", "changed")
AGAIN = "fix what failed, then run the same command again"


class Ledger:
    """Ends by machine; what several stages did adds up. Safe to use from several threads."""

    def __init__(self, emit: Emit) -> None:
        self._emit = emit
        self._lock = threading.Lock()
        self._ends: dict[str, HostFinished] = {}
        self._told: set[str] = set()

    def add(self, end: HostFinished, *, last: bool = True) -> None:
        """Note the end of a stage, and tell it if it is the machine's last, or went wrong."""
        with self._lock:
            before = self._ends.get(end.host)
            total = end if before is None else _sum(before, end)
            self._ends[end.host] = total
            tell = (last or total.state not in GOOD) and end.host not in self._told
            self._told |= {end.host} if tell else set()
        if tell:
            self._emit(total)

    def fail(self, failed: Mapping[str, errors.KubebootError]) -> None:
        """Machines that are out, and why."""
        for name, error in failed.items():
            self.add(failure(name, error))

    def skip(self, names: Iterable[str], why: str) -> None:
        """Machines that were not come to."""
        for name in names:
            if self.is_good(name):
                self.add(HostFinished(name, "skipped", message=why, hint=AGAIN))

    def is_good(self, name: str) -> bool:
        """Nothing has gone wrong there so far."""
        with self._lock:
            end = self._ends.get(name)
        return end is None or end.state in GOOD

    def is_silent(self, name: str) -> bool:
        """It could not be reached."""
        with self._lock:
            return name in self._ends and self._ends[name].state == "unreachable"

    def reason(self, name: str) -> str | None:
        """Why the machine is out; None when it is not."""
        with self._lock:
            end = self._ends.get(name)
        return None if end is None or end.state in GOOD else end.reason or end.state

    def good(self, items: Mapping[str, T]) -> dict[str, T]:
        """Those of the machines that are not out."""
        return {name: item for name, item in items.items() if self.is_good(name)}

    def ends(self, names: Iterable[str]) -> tuple[HostFinished, ...]:
        """How it went, in this order."""
        with self._lock:
            return tuple(self._ends[name] for name in names if name in self._ends)


def _sum(before: HostFinished, end: HostFinished) -> HostFinished:
    state = "changed" if end.state == "ok" and before.changed else end.state
    return dataclasses.replace(
        end,
        state=state,
        ok=before.ok + end.ok,
        changed=before.changed + end.changed,
        seconds=before.seconds + end.seconds,
    )


def failure(
    name: str, error: errors.KubebootError, ok: int = 0, changed: int = 0, seconds: float = 0.0
) -> HostFinished:
    """How a machine failed; one that never answered is told apart."""
    silent = isinstance(error, errors.Unreachable) and not (ok or changed)
    state: HostState = "unreachable" if silent else "failed"
    return HostFinished(name, state, ok, changed, seconds, error.message, error.hint, error.reason)
