"""The whole bundle, sent once to a machine that takes everything from it then."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import posixpath
from collections.abc import Iterator
from pathlib import Path

from kubeboot.artifacts.api import CHUNK
from kubeboot.artifacts.bundle import Bundle
from kubeboot.engine import journal
from kubeboot.engine.plan import Plan
from kubeboot.engine.step import Check, Drift, Ok, Step, Target, View
from kubeboot.engine.values import Values
from kubeboot.steps.offered import EnsureBinary, EnsureImage

FOLDER = f"{journal.HOME}/bundles"
SENT = "artifacts/bundle"


@dataclasses.dataclass(frozen=True, kw_only=True)
class EnsureBundle(Step):
    """The bundle is on the machine, where `reset` forgets it with all of kubeboot's home.

    By its name and size: its contents have sums of their own, which are checked whenever they are used.
    """

    bundle: Bundle = dataclasses.field(repr=False, compare=False)

    def check(self, see: View, vals: Values) -> Check:
        found = see.host.stat(path(self.bundle))
        size = self.bundle.path.stat().st_size
        same = found is not None and found.size == size
        return Ok() if same else Drift(f"send {self.bundle.path.name}, {size >> 20} MiB")

    def apply(self, do: Target, vals: Values) -> None:
        do.host.mkdir(FOLDER, 0o700)
        do.host.put(path(self.bundle), _chunks(self.bundle.path), _sum(self.bundle.path), 0o600)


def path(bundle: Bundle) -> str:
    """Where it lies on a machine: another bundle has another name."""
    return posixpath.join(FOLDER, hashlib.sha256(repr(bundle.catalog()).encode()).hexdigest()[:16])


def first(plan: Plan, on: str, bundle: Bundle) -> Plan:
    """The plan with the bundle before everything that is taken from it."""
    needed = any(isinstance(step, EnsureBinary | EnsureImage) for step in plan.steps)
    step = EnsureBundle(
        id=SENT,
        title="Send the bundle",
        on=on,
        after=frozenset({"trees/"}),
        cost=10.0,
        bundle=bundle,
    )
    return dataclasses.replace(plan, steps=(step, *map(_after, plan.steps))) if needed else plan


def _after(step: Step) -> Step:
    taken = isinstance(step, EnsureBinary | EnsureImage)
    return dataclasses.replace(step, after=step.after | {SENT}) if taken else step


def _chunks(file: Path) -> Iterator[bytes]:
    with file.open("rb") as stream:
        while data := stream.read(CHUNK):
            yield data


@functools.cache
def _sum(file: Path) -> str:
    """Of the whole file, once for all machines."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
