"""Generic steps: kernel modules and settings."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from kubeboot.engine.step import Blocked, Check, Drift, Later, Ok, Step, Target, View
from kubeboot.engine.undo import RestoreSysctl, Undo
from kubeboot.engine.values import Values
from kubeboot.host import api as host


@dataclasses.dataclass(frozen=True, kw_only=True)
class EnsureModule(Step):
    """A kernel module, loaded or built in. It stays when kubeboot goes: others may use it by then."""

    name: str

    def check(self, see: View, vals: Values) -> Check:
        return Ok() if see.host.module(self.name) else Drift(f"load the module {self.name}", "create")

    def apply(self, do: Target, vals: Values) -> None:
        try:
            do.host.load_module(self.name)
        except host.CommandFailed as error:
            error.hint = "install the running kernel's modules, or reboot into the kernel that has them"
            raise


@dataclasses.dataclass(frozen=True, kw_only=True)
class EnsureSysctl(Step):
    """A kernel setting's effective value. `at_least`: a larger one is left alone.

    `optional`: a kernel without the key, or that shows it read-only (to a container), is left as it is.
    `module` is what brings the key.
    """

    key: str
    value: str
    at_least: bool = False
    optional: bool = False
    module: str = ""

    def check(self, see: View, vals: Values) -> Check:
        present = see.host.sysctl(self.key)
        if present is None:
            return self._absent(see)
        if self._enough(present) or (self.optional and self._read_only(see)):
            return Ok()
        return Drift(f"{self.key}: {present} → {self.value}", "change")

    def _enough(self, present: str) -> bool:
        if self.at_least:
            return int(present) >= int(self.value)
        return present.split() == self.value.split()

    def _absent(self, see: View) -> Check:
        if self.module and not see.host.module(self.module):
            return Later(f"the kernel module {self.module}")
        if self.optional:
            return Ok()
        return Blocked(f"this kernel has no {self.key}", "boot a kernel that a distribution supports")

    def _read_only(self, see: View) -> bool:
        stat = see.host.stat("/proc/sys/" + self.key.replace(".", "/"))
        return stat is not None and not stat.mode & 0o200

    def undo(self, see: View) -> Sequence[Undo]:
        return (RestoreSysctl(self.key, see.host.sysctl(self.key) or ""),)

    def apply(self, do: Target, vals: Values) -> None:
        do.host.set_sysctl(self.key, self.value)
