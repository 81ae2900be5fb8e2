"""The generic steps by one name, and waiting."""

from __future__ import annotations

import dataclasses
import hashlib

from kubeboot import errors
from kubeboot.engine.step import Check, Condition, Drift, Ok, Step, Target, View
from kubeboot.engine.values import Values
from kubeboot.steps.files import EnsureDir, EnsureFile, EnsureLink, EnsureUnitFile, unified
from kubeboot.steps.machine import EnsureModule, EnsureSysctl
from kubeboot.steps.offered import CONTAINERD, EnsureBinary, EnsureImage, LookForImages
from kubeboot.steps.units import INPUTS, EnsureActive, EnsureEnabled, EnsureUnit, Reader

__all__ = [
    "Await", "CONTAINERD", "EnsureActive", "EnsureBinary", "EnsureDir", "EnsureEnabled", "EnsureFile",
    "EnsureImage", "EnsureLink", "EnsureModule", "EnsureSysctl", "EnsureUnit", "EnsureUnitFile", "INPUTS",
    "LookForImages", "Reader", "digest", "unified",
]  # fmt: skip


def digest(*parts: bytes | str) -> str:
    """One sum over several inputs; moving a byte from one to the next changes it."""
    total = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        total.update(len(data).to_bytes(8, "big") + data)
    return total.hexdigest()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Await(Step):
    """Nothing but waiting for a condition."""

    condition: Condition

    def __post_init__(self) -> None:
        object.__setattr__(self, "settle", self.condition)

    def check(self, see: View, vals: Values) -> Check:
        waiting = Drift(f"wait for {self.condition.sentence}", "create")
        if any(vals.get(key) is None for key in self.needs):
            return waiting
        try:
            return Ok() if self.condition.look(see, vals) is None else waiting
        except errors.Unreachable:
            return waiting

    def apply(self, do: Target, vals: Values) -> None:
        """There is nothing to do: `settle` does the waiting."""
