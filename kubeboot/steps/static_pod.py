"""A static pod as data, and the step that keeps its manifest and restarts it when what it reads changes."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Iterable, Sequence
from typing import Literal

from kubeboot import render
from kubeboot.config import patching
from kubeboot.config.components import Argument, Component, HostPathMount
from kubeboot.config.spec import ClusterSpec, Patch
from kubeboot.engine.step import Check, Drift, Impact, Ok, Step, Target, View
from kubeboot.engine.undo import Undo
from kubeboot.engine.values import Values
from kubeboot.host.api import HostView
from kubeboot.steps import basic, paths

MANIFESTS = "/etc/kubernetes/manifests"
PKI = "/etc/kubernetes/pki"
INPUTS = "kubeboot.io/inputs"
UNKNOWN = "known once the files that it reads are there"
STARTUP = 240
"""Seconds that a process may take to start, before scaling by the run's timeout scale."""
_MODE = 0o600
_INPUTS = re.compile(rf'^( +{INPUTS}: )"[^"]*?(?:\+(\d+))?"$', re.MULTILINE)
_STARTUP = re.compile(rb"^ +startupProbe:\n +failureThreshold: (\d+)$", re.MULTILINE)


@dataclasses.dataclass(frozen=True)
class Volume:
    """A path of the machine in the container (`path` empty: a directory in memory).

    `optional` ones are left out where the machine does not have the path.
    """

    name: str
    path: str
    mount_path: str
    read_only: bool = True
    kind: str = "DirectoryOrCreate"
    optional: bool = False


@dataclasses.dataclass(frozen=True)
class Probe:
    """An HTTP probe of the pod's port; times in seconds."""

    kind: Literal["liveness", "readiness", "startup"]
    path: str
    delay: int
    period: int
    failures: int
    timeout: int = 15


@dataclasses.dataclass(frozen=True)
class StaticPod:
    """One container on the host's network. `inputs` are files that the process reads only when it starts.

    `port` 0: there is none, and no probe.
    """

    name: str
    image: str
    command: tuple[str, ...]
    port: int
    probes: tuple[Probe, ...]
    volumes: tuple[Volume, ...]
    requests: tuple[tuple[str, str], ...]
    inputs: tuple[str, ...]
    probe_host: str = "127.0.0.1"
    probe_scheme: Literal["HTTP", "HTTPS"] = "HTTPS"
    annotations: tuple[tuple[str, str], ...] = ()
    variables: tuple[tuple[str, str], ...] = ()
    capabilities: tuple[str, ...] = ()
    tier: str = "control-plane"
    user: int | None = None
    grace: int | None = None
    patches: tuple[Patch, ...] = ()

    @property
    def path(self) -> str:
        """Where its manifest is."""
        return f"{MANIFESTS}/{self.name}.yaml"

    def enduring(self, seconds: int) -> StaticPod:
        """With at least so long to start."""
        return dataclasses.replace(
            self,
            probes=tuple(
                dataclasses.replace(probe, failures=max(probe.failures, seconds // probe.period))
                if probe.kind == "startup"
                else probe
                for probe in self.probes
            ),
        )

    def render(self, inputs: str, present: Iterable[str] = ()) -> str:
        """The manifest; `present` are the optional volumes' paths that the machine has."""
        there = frozenset(present)
        volumes = tuple(v for v in self.volumes if not v.optional or v.path in there)
        text = render.template("static-pods/pod.yaml.j2", pod=self, volumes=volumes, inputs=inputs)
        return render.dump(patching.apply(render.load(text), self.patches)) if self.patches else text


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

    Where one of them was changed by hand, the process may have read that: its manifest is made another
    before the file is mended, and stays another, so that the kubelet starts it anew, whenever it looks.
    """

    manifest: str

    def end(self, do: Target) -> None:
        """Count in the manifest that a file is mended; without a manifest there is nobody."""
        found = (do.host.read(self.manifest) or b"").decode(errors="replace")
        if found:
            count = _mended(found) + 1
            do.host.write(self.manifest, _INPUTS.sub(rf'\1"mended+{count}"', found).encode(), _MODE)

    def undo_end(self, see: View) -> Sequence[Undo]:
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


def patched(pod: StaticPod, spec: ClusterSpec) -> StaticPod:
    """The pod with its patches; ConfigInvalid when one does not fit, before anything is changed."""
    found = dataclasses.replace(pod, patches=patching.of(spec, pod.name))
    found.render("", tuple(volume.path for volume in pod.volumes))
    return found


def command(name: str, defaults: Iterable[tuple[str, str]], extra: Sequence[Argument]) -> tuple[str, ...]:
    """As kubeadm writes it: the defaults sorted, less those that `extra` names, then `extra` as it is."""
    named = {argument.name for argument in extra}
    kept = sorted((flag, value) for flag, value in defaults if flag not in named)
    given = [(argument.name, argument.value) for argument in extra]
    return (name, *(f"--{flag}={value}" for flag, value in [*kept, *given]))


def extended(pod: StaticPod, component: Component) -> StaticPod:
    """With what the description adds: volumes, of which the user's win, and variables.

    Of the volumes those that are files are read at start.
    """
    theirs = tuple(map(_volume, component.extra_volumes))
    named = {volume.name: volume for volume in (*pod.volumes, *theirs)}
    return dataclasses.replace(
        pod,
        volumes=tuple(named[name] for name in sorted(named)),
        inputs=(*pod.inputs, *(v.path for v in theirs if v.kind.startswith("File"))),
        variables=tuple((v.name, v.value) for v in component.extra_envs),
    )


def _volume(mount: HostPathMount) -> Volume:
    return Volume(mount.name, mount.host_path, mount.mount_path, mount.read_only, mount.path_type)


def probes(live: str, ready: str | None, start: str) -> tuple[Probe, ...]:
    """kubeadm's liveness and readiness probes, and a startup probe that notices within a second, not twenty.

    The budget for starting stays four minutes, times --timeout-scale.
    """
    readiness = (Probe("readiness", ready, 0, 1, 3),) if ready else ()
    return (Probe("liveness", live, 10, 10, 8), *readiness, Probe("startup", start, 0, 1, STARTUP))
