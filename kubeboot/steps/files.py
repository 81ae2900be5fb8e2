"""Generic steps: files, directories, links."""

from __future__ import annotations

import dataclasses
import difflib
import hashlib
from collections.abc import Sequence

from kubeboot.engine.step import Blocked, Check, Drift, Ok, Step, Target, View
from kubeboot.engine.undo import RemoveDir, RestoreMode, RestoreUnit, Undo
from kubeboot.engine.values import Values
from kubeboot.steps import paths, trees
from kubeboot.steps.units import Reads


@dataclasses.dataclass(frozen=True, kw_only=True)
class EnsureFile(Step):
    """A regular file with these bytes, mode and owner. A `secret` is never shown, not even as a diff.

    `reader` reads it at its start.
    """

    path: str
    data: bytes = dataclasses.field(repr=False)
    mode: int = 0o644
    owner: str = "root:root"
    secret: bool = False
    reader: Reads | None = None

    def check(self, see: View, vals: Values) -> Check:
        stat = see.host.stat(self.path)
        if stat is None:
            return Drift(f"create {self.path}", "create", self._diff(b""))
        if stat.kind == "dir":
            return Blocked(f"{self.path} is a directory", f"move it away: mv {self.path} {self.path}.old")
        if stat.kind != "file":
            return Drift(f"replace {self.path}, which is not a plain file", "change")
        old = see.host.read(self.path) or b""
        if old != self.data:
            return Drift(f"change {self.path}", "change", self._diff(old))
        wrong = paths.mode_drift(stat, self.mode, self.owner)
        return Drift(f"{self.path}: {wrong}", "change", quiet=True) if wrong else Ok()

    def _diff(self, old: bytes) -> str | None:
        return None if self.secret else unified(self.path, old, self.data)

    def undo(self, see: View) -> Sequence[Undo]:
        ended = self.reader.undo_end(see) if self.reader and see.host.read(self.path) != self.data else ()
        return (*ended, *paths.undo(see, self.path, hashlib.sha256(self.data).hexdigest()))

    def apply(self, do: Target, vals: Values) -> None:
        if self.reader and do.host.read(self.path) != self.data:
            self.reader.end(do)
        do.host.write(self.path, self.data, self.mode, self.owner)


def unified(path: str, old: bytes, new: bytes) -> str | None:
    """A unified diff of two texts; None when one of them is no text."""
    try:
        before, after = (data.decode().splitlines(keepends=True) for data in (old, new))
    except UnicodeDecodeError:
        return None
    lines = difflib.unified_diff(before, after, path if old else "/dev/null", path)
    return "".join(line if line.endswith("\n") else line + "\n" for line in lines)


@dataclasses.dataclass(frozen=True, kw_only=True)
class EnsureDir(Step):
    """A directory with this mode. `tree`: all that will be in it is ours, and goes with it."""

    path: str
    mode: int = 0o755
    owner: str = "root:root"
    tree: bool = False

    def check(self, see: View, vals: Values) -> Check:
        stat = see.host.stat(paths.followed(see, self.path))
        if stat is None:
            return Drift(f"create {self.path}/", "create")
        if stat.kind != "dir":
            return Blocked(f"{self.path} is not a directory", f"move it away: mv {self.path} {self.path}.old")
        wrong = paths.mode_drift(stat, self.mode, self.owner)
        return Drift(f"{self.path}/: {wrong}", "change", quiet=True) if wrong else Ok()

    def undo(self, see: View) -> Sequence[Undo]:
        path = paths.followed(see, self.path)
        stat = see.host.stat(path)
        ours = trees.tree_undo(see, path) if self.tree else ()
        if stat is None:
            return paths.missing_dirs(see, self.path) + (ours or (RemoveDir(self.path),))
        return (RestoreMode(path, stat.mode, f"{stat.uid}:{stat.gid}"), *ours)

    def claim(self, see: View) -> Sequence[Undo]:
        return trees.tree_undo(see, paths.followed(see, self.path)) if self.tree else ()

    def apply(self, do: Target, vals: Values) -> None:
        path = paths.followed(do.see, self.path)
        do.host.mkdir(path, self.mode)
        do.host.chmod(path, self.mode, self.owner)


@dataclasses.dataclass(frozen=True, kw_only=True)
class EnsureLink(Step):
    """A symbolic link."""

    path: str
    target: str

    def check(self, see: View, vals: Values) -> Check:
        stat = see.host.stat(self.path)
        if stat is None:
            return Drift(f"link {self.path} → {self.target}", "create")
        if stat.kind == "dir":
            return Blocked(f"{self.path} is a directory", f"move it away: mv {self.path} {self.path}.old")
        return Ok() if stat.target == self.target else Drift(f"link {self.path} → {self.target}", "change")

    def undo(self, see: View) -> Sequence[Undo]:
        return paths.undo(see, self.path)

    def apply(self, do: Target, vals: Values) -> None:
        do.host.symlink(self.path, self.target)


@dataclasses.dataclass(frozen=True, kw_only=True)
class EnsureUnitFile(EnsureFile):
    """A unit's own file. Where a unit of that name ran before, it runs again once all of ours is gone.

    Other files of the unit come after this one, so that its undo is the last.
    """

    unit: str

    def undo(self, see: View) -> Sequence[Undo]:
        found = see.host.unit(self.unit)
        ran = found.active == "active" or found.enabled
        again = (RestoreUnit(self.unit, found.active == "active", found.enabled),) if ran else ()
        return (*again, *super().undo(see))
