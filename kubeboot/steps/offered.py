"""Generic steps: binaries and images from a source."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from kubeboot.artifacts.api import Binary, Image, Source
from kubeboot.engine.step import Blocked, Check, Drift, Later, Ok, Step, Target, View
from kubeboot.engine.undo import RemoveImage, Undo
from kubeboot.engine.values import Key, Values
from kubeboot.host import model
from kubeboot.steps import paths
from kubeboot.steps.units import Reader

CONTAINERD = "containerd.service"
SEEN: Key[frozenset[model.Image]] = Key("images")
"""The images that containerd had when this run looked, once for all: a look takes a tenth of a second."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class EnsureBinary(Step):
    """An executable with the catalog's sum, mode 0755. `reader` is the unit that runs it."""

    binary: Binary
    source: Source = dataclasses.field(repr=False, compare=False)
    reader: Reader | None = None

    def check(self, see: View, vals: Values) -> Check:
        what = f"{self.binary.name} {self.binary.version}"
        stat = see.host.stat(self.binary.path)
        if stat is None:
            return Drift(f"install {what} as {self.binary.path}", "create")
        if stat.kind == "dir":
            return Blocked(f"{self.binary.path} is a directory", "move it away")
        if stat.kind != "file" or self._differs(see):
            return Drift(f"replace {self.binary.path} by {what}", "change")
        wrong = paths.mode_drift(stat, 0o755, "root:root")
        return Drift(f"{self.binary.path}: {wrong}", "change", quiet=True) if wrong else Ok()

    def undo(self, see: View) -> Sequence[Undo]:
        ended = self.reader.undo_end(see) if self.reader and self._differs(see) else ()
        return (*ended, *paths.undo(see, self.binary.path, self.binary.sha256))

    def _differs(self, see: View) -> bool:
        return see.host.sha256(self.binary.path) != self.binary.sha256

    def apply(self, do: Target, vals: Values) -> None:
        if self.reader and self._differs(do.see):
            self.reader.end(do)
        do.host.put(self.binary.path, self.source.binary(self.binary), self.binary.sha256, 0o755)


@dataclasses.dataclass(frozen=True, kw_only=True)
class LookForImages(Step):
    """Nothing but looking which images are there."""

    gives: frozenset[Key[Any]] = frozenset({SEEN})

    def check(self, see: View, vals: Values) -> Check:
        return Ok()

    def read(self, see: View, key: Key[Any]) -> frozenset[model.Image]:
        return frozenset(see.host.images())


@dataclasses.dataclass(frozen=True, kw_only=True)
class EnsureImage(Step):
    """An image with the catalog's digest in containerd; pinned where no registry has it to fetch again."""

    image: Image
    source: Source = dataclasses.field(repr=False, compare=False)
    pinned: bool = True

    def check(self, see: View, vals: Values) -> Check:
        if model.Image(self.image.name, self.image.digest, self.pinned) in (vals.get(SEEN) or ()):
            return Ok()
        found = _image(see, self.image.name)
        if found is None and see.host.unit(CONTAINERD).active != "active":
            return Later("containerd")
        if found is None:
            return Drift(f"import {self.image.name}", "create")
        if found.digest != self.image.digest:
            return Drift(f"replace {self.image.name}, which is {found.digest[:19]}", "change")
        return Drift(f"pin {self.image.name}", "change") if self.pinned > found.pinned else Ok()

    def undo(self, see: View) -> Sequence[Undo]:
        return () if _image(see, self.image.name) else (RemoveImage(self.image.name),)

    def apply(self, do: Target, vals: Values) -> None:
        do.host.import_images(self.source.image(self.image), (self.image.name,), self.pinned)


def _image(see: View, name: str) -> model.Image | None:
    return next((image for image in see.host.images() if image.name == name), None)
