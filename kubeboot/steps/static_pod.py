"""A static pod as data: kubeadm's command and probes, with what the description adds and patches."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Literal

from kubeboot import render
from kubeboot.config import patching
from kubeboot.config.components import Argument, Component, HostPathMount
from kubeboot.config.spec import ClusterSpec, Patch

MANIFESTS = "/etc/kubernetes/manifests"
PKI = "/etc/kubernetes/pki"
STARTUP = 240
"""Seconds that a process may take to start, before scaling by the run's timeout scale."""


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
