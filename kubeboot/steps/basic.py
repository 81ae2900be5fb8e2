"""The generic steps: files, directories, links, kernel settings, units, binaries, images, waiting."""

from __future__ import annotations

import dataclasses
import difflib
import hashlib
from collections.abc import Sequence

from kubeboot import errors
from kubeboot.artifacts.api import Binary, Image, Source
from kubeboot.engine.step import Blocked, Check, Condition, Drift, Impact, Later, Ok, Step, Target, View
from kubeboot.engine.undo import RemoveImage, RestoreMode, RestoreSysctl, RestoreUnit, Undo
from kubeboot.engine.values import Values
from kubeboot.host import api as host
from kubeboot.steps import paths, trees

INPUTS = "KUBEBOOT_INPUTS"
"""The variable in a unit's environment that holds the digest of what its process was started from."""
CONTAINERD = "containerd.service"
IMPORT_BYTES_PER_SECOND = 50e6


def digest(*parts: bytes | str) -> str:
    """One sum over several inputs; moving a byte from one to the next changes it."""
    total = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        total.update(len(data).to_bytes(8, "big") + data)
    return total.hexdigest()


@dataclasses.dataclass(frozen=True, kw_only=True)
class EnsureFile(Step):
    """A regular file with these bytes, mode and owner. A `secret` is never shown, not even as a diff."""

    path: str
    data: bytes = dataclasses.field(repr=False)
    mode: int = 0o644
    owner: str = "root:root"
    secret: bool = False

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
        return Drift(f"{self.path}: {wrong}", "change") if wrong else Ok()

    def _diff(self, old: bytes) -> str | None:
        return None if self.secret else unified(self.path, old, self.data)

    def undo(self, see: View) -> Sequence[Undo]:
        return paths.undo(see, self.path, hashlib.sha256(self.data).hexdigest())

    def apply(self, do: Target, vals: Values) -> None:
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
        return Drift(f"{self.path}/: {wrong}", "change") if wrong else Ok()

    def undo(self, see: View) -> Sequence[Undo]:
        stat = see.host.stat(paths.followed(see, self.path))
        if self.tree and (ours := trees.tree_undo(see, self.path)):
            return (*paths.missing_dirs(see, self.path), *ours)
        if stat is None:
            return paths.missing_dirs(see, f"{self.path}/")
        return (RestoreMode(self.path, stat.mode, f"{stat.uid}:{stat.gid}"),)

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
class EnsureModule(Step):
    """A kernel module, loaded or built in; `sysctl` is a key that only exists with it."""

    name: str
    sysctl: str = ""

    def check(self, see: View, vals: Values) -> Check:
        if see.host.module(self.name) or (self.sysctl and see.host.sysctl(self.sysctl) is not None):
            return Ok()
        return Drift(f"load the module {self.name}", "create")

    def apply(self, do: Target, vals: Values) -> None:
        try:
            do.host.load_module(self.name)
        except host.CommandFailed as error:
            error.hint = f"install the running kernel's modules (reboot after a kernel update), then `modprobe {self.name}`"
            raise


@dataclasses.dataclass(frozen=True, kw_only=True)
class EnsureSysctl(Step):
    """A kernel setting's effective value. `at_least`: a larger one is left alone.

    `optional`: a kernel without the key, or that shows it read-only (a container), is left as it is.
    `module` is what brings the key, where it is not always there.
    """

    key: str
    value: str
    at_least: bool = False
    optional: bool = False
    module: str = ""

    def check(self, see: View, vals: Values) -> Check:
        present = see.host.sysctl(self.key)
        if present is not None and self._enough(present):
            return Ok()
        if self.optional and not self._settable(see, present):
            return Ok()
        if present is None:
            return self._absent()
        return Drift(f"{self.key}: {present} → {self.value}", "change")

    def _enough(self, present: str) -> bool:
        if self.at_least:
            return int(present) >= int(self.value)
        return present.split() == self.value.split()

    def _settable(self, see: View, present: str | None) -> bool:
        stat = see.host.stat("/proc/sys/" + self.key.replace(".", "/"))
        if stat is None:
            return present is not None
        return bool(stat.mode & 0o200)

    def _absent(self) -> Check:
        if self.module:
            return Later(f"the kernel module {self.module}")
        return Blocked(f"this kernel has no {self.key}", "boot a kernel that a distribution supports")

    def undo(self, see: View) -> Sequence[Undo]:
        return (RestoreSysctl(self.key, see.host.sysctl(self.key) or ""),)

    def apply(self, do: Target, vals: Values) -> None:
        do.host.set_sysctl(self.key, self.value)


@dataclasses.dataclass(frozen=True, kw_only=True)
class EnsureUnit(Step):
    """A unit, enabled and active, whose running process was started from the inputs that `digest` sums up.

    `impact` is that of a change; a first start (Drift "create") disturbs nobody.
    """

    unit: str
    digest: str
    impact: Impact = Impact.RESTART
    cost: float = 0.5

    def check(self, see: View, vals: Values) -> Check:
        found = see.host.unit(self.unit)
        if found.active != "active":
            return Drift(f"start {self.unit}", "create")
        if found.environment.get(INPUTS) != self.digest:
            return Drift(f"restart {self.unit}: it was started from something else", "change")
        return Ok() if found.enabled else Drift(f"enable {self.unit}", "change")

    def undo(self, see: View) -> Sequence[Undo]:
        found = see.host.unit(self.unit)
        return (RestoreUnit(self.unit, found.active == "active", found.enabled),)

    def apply(self, do: Target, vals: Values) -> None:
        found = do.host.unit(self.unit)
        if found.enabled:
            do.host.daemon_reload()
        else:
            do.host.enable(self.unit)  # which reloads too
        if found.active == "active" and found.environment.get(INPUTS) == self.digest:
            return
        try:
            # also a unit that waits for its own restart, or has failed
            (do.host.start if found.active == "inactive" else do.host.restart)(self.unit)
        except host.CommandFailed as error:
            error.output = do.host.journal_tail(self.unit) or error.output
            error.hint = error.hint or f"see `journalctl -u {self.unit}`, then run the same command again"
            raise


@dataclasses.dataclass(frozen=True, kw_only=True)
class EnsureBinary(Step):
    """An executable with the catalog's sum, mode 0755."""

    binary: Binary
    source: Source = dataclasses.field(repr=False, compare=False)

    def check(self, see: View, vals: Values) -> Check:
        what = f"{self.binary.name} {self.binary.version}"
        stat = see.host.stat(self.binary.path)
        if stat is None:
            return Drift(f"install {what} as {self.binary.path}", "create")
        if stat.kind == "dir":
            return Blocked(f"{self.binary.path} is a directory", "move it away")
        if stat.kind != "file" or see.host.sha256(self.binary.path) != self.binary.sha256:
            return Drift(f"replace {self.binary.path} by {what}", "change")
        wrong = paths.mode_drift(stat, 0o755, "root:root")
        return Drift(f"{self.binary.path}: {wrong}", "change") if wrong else Ok()

    def undo(self, see: View) -> Sequence[Undo]:
        return paths.undo(see, self.binary.path, self.binary.sha256)

    def apply(self, do: Target, vals: Values) -> None:
        do.host.put(self.binary.path, self.source.binary(self.binary), self.binary.sha256, 0o755)
        do.host.chmod(self.binary.path, 0o755)


@dataclasses.dataclass(frozen=True, kw_only=True)
class EnsureImage(Step):
    """An image with the catalog's digest in containerd; pinned where no registry has it to fetch again."""

    image: Image
    source: Source = dataclasses.field(repr=False, compare=False)
    pinned: bool = True

    def check(self, see: View, vals: Values) -> Check:
        if see.host.unit(CONTAINERD).active != "active":
            return Later("containerd")
        found = _image(see, self.image.name)
        if found is None:
            return Drift(f"import {self.image.name}", "create")
        if found.digest != self.image.digest:
            return Drift(f"replace {self.image.name}, which is {found.digest[:19]}", "change")
        return Drift(f"pin {self.image.name}", "change") if self.pinned > found.pinned else Ok()

    def undo(self, see: View) -> Sequence[Undo]:
        return () if _image(see, self.image.name) else (RemoveImage(self.image.name),)

    def apply(self, do: Target, vals: Values) -> None:
        do.host.import_images(self.source.image(self.image), (self.image.name,), self.pinned)


def _image(see: View, name: str) -> host.Image | None:
    return next((image for image in see.host.images() if image.name == name), None)


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
