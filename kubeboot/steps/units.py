"""Generic steps: systemd units, and who reads a file only when it starts."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Protocol

from kubeboot.engine.step import Check, Drift, Impact, Ok, Step, Target, View
from kubeboot.engine.undo import RestoreUnit, Undo
from kubeboot.engine.values import Values
from kubeboot.host import api as host

INPUTS = "KUBEBOOT_INPUTS"
"""The variable in a unit's environment that holds the digest of what its process was started from."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class EnsureActive(Step):
    """A unit without a process to look at, enabled and active: a timer, or what was done once.

    `starts`: a unit that it brings about, whose file systemd has to know as well.
    """

    unit: str
    starts: str = ""

    def check(self, see: View, vals: Values) -> Check:
        found = see.host.unit(self.unit)
        if found.active != "active":
            return Drift(f"start {self.unit}")
        if found.stale or (self.starts and see.host.unit(self.starts).stale):
            return Drift(f"restart {self.unit}: systemd has read another file", "change")
        return Ok() if found.enabled else Drift(f"enable {self.unit}", "change")

    def undo(self, see: View) -> Sequence[Undo]:
        return undo_unit(see, self.unit)

    def apply(self, do: Target, vals: Values) -> None:
        do.host.enable(self.unit)
        do.host.restart(self.unit)


@dataclasses.dataclass(frozen=True, kw_only=True)
class EnsureEnabled(Step):
    """A unit that starts with the machine: systemd reads all units again for it, before it is wanted."""

    unit: str
    cost: float = 0.2

    def check(self, see: View, vals: Values) -> Check:
        return Ok() if see.host.unit(self.unit).enabled else Drift(f"enable {self.unit}", "create")

    def undo(self, see: View) -> Sequence[Undo]:
        return undo_unit(see, self.unit)

    def apply(self, do: Target, vals: Values) -> None:
        do.host.enable(self.unit)


class Reads(Protocol):
    """Who reads a file at its start only. `end`: before the file is fixed, so that it starts again."""

    def end(self, do: Target) -> None: ...
    def undo_end(self, see: View) -> Sequence[Undo]:
        """What takes `end` back."""
        ...


@dataclasses.dataclass(frozen=True)
class Reader:
    """A unit that reads files at its start only. `digest`: what EnsureUnit knows a good start by.

    Where a file was changed by hand, the process may have read that, and says that it has not: nothing would
    restart it. It ends before the file is fixed, and is started later; a kill between the two is no harm.
    """

    unit: str
    digest: str

    def end(self, do: Target) -> None:
        """Stop it, if it says that it was started well."""
        if self._claims(do.see):
            do.host.stop(self.unit)

    def undo_end(self, see: View) -> Sequence[Undo]:
        return undo_unit(see, self.unit) if self._claims(see) else ()

    def _claims(self, see: View) -> bool:
        found = see.host.unit(self.unit)
        return found.active == "active" and found.environment.get(INPUTS) == self.digest


@dataclasses.dataclass(frozen=True, kw_only=True)
class EnsureUnit(Step):
    """A unit, enabled and active, whose running process was started from the inputs that `digest` sums up.

    `impact` is that of a change; a first start (Drift "create") disturbs nobody. `enables`: nobody else does.
    """

    unit: str
    digest: str
    enables: bool = True
    impact: Impact = Impact.RESTART
    cost: float = 0.5

    def check(self, see: View, vals: Values) -> Check:
        found = see.host.unit(self.unit)
        if found.active != "active":
            return Drift(f"start {self.unit}", "create")
        if found.environment.get(INPUTS) != self.digest:
            return Drift(f"restart {self.unit}: its inputs have changed", "change")
        missing = self.enables and not found.enabled
        return Drift(f"enable {self.unit}", "change", quiet=True) if missing else Ok()

    def undo(self, see: View) -> Sequence[Undo]:
        return undo_unit(see, self.unit)

    def apply(self, do: Target, vals: Values) -> None:
        found = do.host.unit(self.unit)
        if not found.enabled:
            do.host.enable(self.unit)  # which reloads too
        elif found.stale:
            do.host.daemon_reload()
        if found.active == "active" and found.environment.get(INPUTS) == self.digest:
            return
        try:
            # also a unit that waits for its own restart, or has failed
            (do.host.start if found.active == "inactive" else do.host.restart)(self.unit)
        except host.CommandFailed as error:
            error.output = do.host.journal_tail(self.unit) or error.output
            error.hint = error.hint or f"see `journalctl -u {self.unit}`, then run the same command again"
            raise


def undo_unit(see: View, unit: str) -> Sequence[Undo]:
    """The unit as it is now: running or not, enabled or not."""
    found = see.host.unit(unit)
    return (RestoreUnit(unit, found.active == "active", found.enabled),)
