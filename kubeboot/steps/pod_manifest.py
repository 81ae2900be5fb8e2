"""The step that keeps a static pod's manifest, and restarts it when what its process reads has changed."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Sequence

from kubeboot.engine.step import Check, Drift, Impact, Ok, Step, Target, View
from kubeboot.engine.undo import Undo
from kubeboot.engine.values import Values
from kubeboot.host.api import HostView
from kubeboot.steps import basic, paths
from kubeboot.steps.static_pod import STARTUP, StaticPod

INPUTS = "kubeboot.io/inputs"
"""The annotation that holds the digest of what a static pod's process was started from."""
UNKNOWN = "known once the files that it reads are there"
_MODE = 0o600
_INPUTS = re.compile(rf'^( +{INPUTS}: )"[^"]*?(?:\+(\d+))?"$', re.MULTILINE)
_STARTUP = re.compile(rb"^ +startupProbe:\n +failureThreshold: (\d+)$", re.MULTILINE)


@dataclasses.dataclass(frozen=True, kw_only=True)
class EnsureStaticPod(Step):
    """A manifest whose annotation changes with every file that its process reads at start.

    The kubelet restarts a static pod when its manifest changes, so that the annotation is what makes a
    renewed authority or kubeconfig take effect, also after a run that was killed between the two.
    How often one of them was mended (PodReader) is counted in it, and kept.
    What a patient run (`timeout_scale`) allowed for starting stays: a restart for less would help nobody.
    """

    pod: StaticPod
    timeout_scale: float = 1.0
    impact: Impact = Impact.RESTART

    def check(self, see: View, vals: Values) -> Check:
        path, found = self.pod.path, see.host.read(self.pod.path)
        wanted = self._manifest(see.host, found)
        if found is None:
            return Drift(f"create {path}", "create", basic.unified(path, b"", wanted))
        if found != wanted:
            return Drift(f"change {path}", "change", basic.unified(path, found, wanted))
        stat = see.host.stat(path)
        wrong = paths.mode_drift(stat, _MODE, "root:root") if stat else None
        return Drift(f"{path}: {wrong}", "change", quiet=True) if wrong else Ok()

    def undo(self, see: View) -> Sequence[Undo]:
        return paths.undo(see, self.pod.path)

    def apply(self, do: Target, vals: Values) -> None:
        do.host.write(self.pod.path, self._manifest(do.host, do.host.read(self.pod.path)), _MODE)

    def _manifest(self, host: HostView, found: bytes | None) -> bytes:
        pod = self.pod.enduring(max(math.ceil(STARTUP * self.timeout_scale), _allowed(found or b"")))
        present = tuple(v.path for v in pod.volumes if v.optional and host.stat(v.path))
        sums = tuple(host.sha256(path) for path in pod.inputs)
        mended = _mended((found or b"").decode(errors="replace"))
        inputs = _inputs(pod, sums, present) + (f"+{mended}" if mended else "")
        return pod.render(inputs, present).encode()


@dataclasses.dataclass(frozen=True)
class PodReader:
    """A static pod whose process reads files at its start only.

    Where one of them was changed by hand, the process may have read that: its manifest is changed before the
    file is mended, and stays changed, so that the kubelet restarts the pod whenever it next looks.
    """

    manifest: str

    def end(self, do: Target) -> None:
        """Count in the manifest that a file is mended; without a manifest no process has read it."""
        found = (do.host.read(self.manifest) or b"").decode(errors="replace")
        if found:
            count = _mended(found) + 1
            do.host.write(self.manifest, _INPUTS.sub(rf'\1"mended+{count}"', found).encode(), _MODE)

    def undo_end(self, see: View) -> Sequence[Undo]:
        """The manifest as it is now."""
        return paths.undo(see, self.manifest) if see.host.stat(self.manifest) else ()


def _inputs(pod: StaticPod, sums: Sequence[str | None], present: Sequence[str]) -> str:
    known = [s for s in sums if s is not None]
    if len(known) != len(sums):
        return UNKNOWN
    return basic.digest(pod.render("", present), *known)[:32]


def _mended(manifest: str) -> int:
    """How often a file that its process reads was mended."""
    found = _INPUTS.search(manifest)
    return int(found[2] or 0) if found else 0


def _allowed(manifest: bytes) -> int:
    """Seconds that a manifest allows for starting; its probe looks every second."""
    found = _STARTUP.search(manifest)
    return int(found[1]) if found else 0
