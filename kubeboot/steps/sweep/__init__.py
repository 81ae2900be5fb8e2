"""What processes leave behind that no journal knows: containers, mounts, interfaces, nftables tables."""

from __future__ import annotations

import dataclasses

from kubeboot import errors
from kubeboot.engine.step import Check, Drift, Impact, Ok, Step, Target, View
from kubeboot.engine.values import Values
from kubeboot.host.api import HostView
from kubeboot.steps import paths
from kubeboot.steps.sweep.network import KeepalivedEnded, NoLinks, NoTables, NoVirtualAddress
from kubeboot.steps.sweep.pods import NoCgroups, NoMounts, NoPods, NoShims, ShimsEnded


@dataclasses.dataclass(frozen=True, kw_only=True)
class Stopped(Step):
    """A unit that does not run."""

    unit: str

    def check(self, see: View, vals: Values) -> Check:
        found = see.host.unit(self.unit)
        return Ok() if found.active in ("inactive", "failed") else Drift(f"stop {self.unit}", "remove")

    def apply(self, do: Target, vals: Values) -> None:
        do.host.stop(self.unit)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Gone(Step):
    """A directory of ours that does not exist any more, or is empty where a disk is mounted there.

    KubebootError names what holds it.
    """

    path: str

    def check(self, see: View, vals: Values) -> Check:
        return Drift(f"remove {self.path}", "remove") if doomed(see.host, self.path) else Ok()

    def apply(self, do: Target, vals: Values) -> None:
        left = tuple(kept for path in doomed(do.host, self.path) for kept in do.host.remove_tree(path))
        if left:
            raise errors.KubebootError(
                f"could not remove {', '.join(left[:5])}",
                hint=f"see what uses it with `fuser -vm {left[0]}`, then run `kubeboot reset` again",
                reason="KB_RESET_LEFT",
            )


def doomed(see: HostView, path: str) -> tuple[str, ...]:
    """What is to be removed of a path of ours: all of it, or what lies in it where a disk is mounted."""
    if see.stat(path) is None:
        return ()
    if not any(mount.point == path for mount in see.mounts()):
        return (path,)
    return tuple(f"{path}/{name}" for name in paths.content(see, path))


def steps(host: str) -> tuple[Step, ...]:
    """In order: the kubelet first, since it brings back what is stopped under it."""
    table: tuple[tuple[type[Step], str, str, dict[str, object]], ...] = (
        (Stopped, "sweep/kubelet", "Stop the kubelet", {"unit": "kubelet.service"}),
        (NoVirtualAddress, "sweep/virtual-ip", "Give up the virtual address", {"settle": KeepalivedEnded()}),
        (NoPods, "sweep/pods", "Remove the pods' containers", {}),
        (Stopped, "sweep/slice", "Stop the pods' slice", {"unit": "kubepods.slice"}),
        (Stopped, "sweep/containerd", "Stop containerd", {"unit": "containerd.service"}),
        (NoShims, "sweep/shims", "End the pods' shims", {"settle": ShimsEnded()}),
        (NoCgroups, "sweep/cgroups", "Remove what is left of the pods' cgroups", {}),
        (NoMounts, "sweep/mounts", "Unmount what pods left mounted", {}),
        (NoLinks, "sweep/links", "Delete the pod network's interfaces", {}),
        (NoTables, "sweep/nftables", "Delete the pod network's nftables tables", {}),
    )
    made: list[Step] = []
    for kind, step_id, title, fields in table:
        behind = frozenset({made[-1].id}) if made else frozenset()
        made.append(kind(id=step_id, title=title, on=host, behind=behind, impact=Impact.RESTART, **fields))  # type: ignore[arg-type]
    return tuple(made)
