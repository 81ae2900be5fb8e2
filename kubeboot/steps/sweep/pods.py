"""What pods leave behind: containers and their shims, control groups, mounts."""

from __future__ import annotations

import dataclasses
import signal
from collections.abc import Sequence

from kubeboot.engine.step import Check, Drift, Ok, Step, Target, View
from kubeboot.engine.values import Values
from kubeboot.host.api import CommandFailed
from kubeboot.host.model import OURS, Container, Mount

NETNS = "/run/netns/cni-"
MOUNT_ROOTS = ("/var/lib/kubelet/", "/run/containerd/", "/var/lib/containerd/", NETNS)
CGROUPS = "/sys/fs/cgroup"
PASSES = 3


@dataclasses.dataclass(frozen=True, kw_only=True)
class NoPods(Step):
    """No container of a pod exists, nor one that a run of ours that died has left.

    A machine without containerd has none.
    """

    def check(self, see: View, vals: Values) -> Check:
        found = _pods(see)
        return Drift(f"remove {len(found)} containers", "remove") if found else Ok()

    def apply(self, do: Target, vals: Values) -> None:
        """A shim that ends while it is asked to (`ttrpc: closed`) has nothing to say the next time."""
        for left in reversed(range(PASSES)):
            failure = _remove_all(do)
            if failure is None:
                return
            if not left:
                raise failure


def _remove_all(do: Target) -> CommandFailed | None:
    """Containers before their sandboxes; each is tried, the last failure is returned."""
    failure: CommandFailed | None = None
    for container in sorted(_pods(do.see), key=lambda c: c.sandbox):
        try:
            do.host.remove_container(container.id)
        except CommandFailed as error:
            failure = error
    return failure


def _pods(see: View) -> tuple[Container, ...]:
    if see.host.unit("containerd.service").active != "active":
        return ()
    return tuple(c for c in see.host.containers() if c.pod or c.sandbox or c.id.startswith(OURS))


@dataclasses.dataclass(frozen=True, kw_only=True)
class NoMounts(Step):
    """Nothing is mounted below the kubelet's and containerd's directories; they themselves may be mounts."""

    def check(self, see: View, vals: Values) -> Check:
        found = _mounts(see)
        return Drift(f"unmount {len(found)} mounts", "remove") if found else Ok()

    def apply(self, do: Target, vals: Values) -> None:
        for mount in sorted(_mounts(do.see), key=lambda m: m.point, reverse=True):
            do.host.unmount(mount.point)
            if mount.point.startswith(NETNS):
                do.host.remove(mount.point)


def _mounts(see: View) -> Sequence[Mount]:
    return [m for m in see.host.mounts() if m.point.startswith(MOUNT_ROOTS)]


@dataclasses.dataclass(frozen=True, kw_only=True)
class NoShims(Step):
    """No shim of a pod's container lives on: one that a killed run left has no container to be found by."""

    def check(self, see: View, vals: Values) -> Check:
        found = _shims(see)
        return Drift(f"end {len(found)} containerd-shim processes", "remove") if found else Ok()

    def apply(self, do: Target, vals: Values) -> None:
        for pid in _shims(do.see):
            do.host.kill(pid, signal.SIGKILL)


@dataclasses.dataclass(frozen=True)
class ShimsEnded:
    """A process that is killed is there a moment longer."""

    sentence: str = "the pods' shims to end"
    deadline: float = 10.0

    def look(self, see: View, vals: Values) -> str | None:
        left = _shims(see)
        return f"{len(left)} of them are left" if left else None

    def explain(self, see: View) -> str:
        return ""


def _shims(see: View) -> tuple[int, ...]:
    return tuple(
        process.pid
        for process in see.host.processes()
        if process.name.startswith("containerd-shim") and "k8s.io" in process.cmdline
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class NoCgroups(Step):
    """The pods' control groups are gone, also those of cgroup v1 that systemd does not look after."""

    def check(self, see: View, vals: Values) -> Check:
        found = _cgroups(see)
        return Drift(f"remove {len(found)} control groups", "remove") if found else Ok()

    def apply(self, do: Target, vals: Values) -> None:
        for path in _cgroups(do.see):
            do.host.remove_cgroup(path)


def _cgroups(see: View) -> tuple[str, ...]:
    places = (CGROUPS, *(f"{CGROUPS}/{name}" for name in see.host.listdir(CGROUPS)))
    return tuple(path for place in places if see.host.stat(path := f"{place}/kubepods.slice"))
