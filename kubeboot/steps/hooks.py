"""A user's own playbook, run once: a mark on the machine, or in the cluster, says which version has run."""

from __future__ import annotations

import dataclasses
import posixpath
from collections.abc import Callable

from kubeboot.engine import journal
from kubeboot.engine.step import Check, Drift, Ok, Step, Target, View
from kubeboot.engine.values import Values
from kubeboot.kube.api import Object
from kubeboot.kube.rbac import SYSTEM
from kubeboot.steps.objects import EnsureObject

MARKS = f"{journal.HOME}/hooks"
CONFIG_MAP = "kubeboot-hooks"

Play = Callable[[], None]
"""Runs the playbook to its end; HookFailed with the task's own words where that is not reached."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class MachineHook(Step):
    """A playbook has run on this machine. `reset` forgets the mark with all else in kubeboot's home."""

    playbook: str
    place: str
    digest: str
    play: Play = dataclasses.field(repr=False, compare=False)

    def check(self, see: View, vals: Values) -> Check:
        found = see.host.read(self._mark)
        if found == self.digest.encode():
            return Ok()
        return Drift(summary(self.playbook, self.place), "create" if found is None else "change")

    def apply(self, do: Target, vals: Values) -> None:
        self.play()
        do.host.mkdir(MARKS, 0o700)
        do.host.write(self._mark, self.digest.encode(), 0o600)

    @property
    def _mark(self) -> str:
        return posixpath.join(MARKS, self.place)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClusterHook(EnsureObject):
    """A playbook has run for this cluster. The mark is `mark`'s ConfigMap."""

    playbook: str
    place: str
    play: Play = dataclasses.field(repr=False, compare=False)

    def check(self, see: View, vals: Values) -> Check:
        found = super().check(see, vals)
        if not isinstance(found, Drift):
            return found
        return Drift(summary(self.playbook, self.place), found.change)

    def apply(self, do: Target, vals: Values) -> None:
        self.play()
        super().apply(do, vals)


def summary(playbook: str, place: str) -> str:
    """What a plan says of it."""
    return f"run {playbook} ({place})"


def mark(place: str, digest: str) -> Object:
    """What says in the cluster that a playbook has run."""
    metadata = {"name": CONFIG_MAP, "namespace": SYSTEM}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {place: digest}}
