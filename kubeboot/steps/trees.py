"""Directories that the cluster's processes fill: journalled before they are, so that `reset` empties them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from kubeboot.engine.step import Check, Drift, Ok, Step, Target, View
from kubeboot.engine.undo import EmptyTree, RemoveTree, RestoreMode, Undo
from kubeboot.engine.values import Values
from kubeboot.steps import paths

RUNTIME = (
    "/etc/cni/net.d",
    "/opt/cni",
    "/opt/containerd",
    "/run/containerd",
    "/run/flannel",
    "/run/netns",
    "/run/nri",
    "/var/lib/cni",
    "/var/lib/containerd",
    "/var/lib/kubelet",
    "/var/log/containers",
    "/var/log/pods",
    "/etc/kubernetes",
    "/etc/containerd",
    "/usr/libexec/kubernetes",
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class OwnTree(Step):
    """A directory whose later content is ours, whoever writes it. Mode and owner are its writer's affair."""

    path: str

    def check(self, see: View, vals: Values) -> Check:
        if see.host.stat(self.path) is None:
            return Drift(f"create {self.path}")
        return Ok()

    def undo(self, see: View) -> Sequence[Undo]:
        return (*paths.missing_dirs(see, self.path), *tree_undo(see, self.path))

    def claim(self, see: View) -> Sequence[Undo]:
        return tree_undo(see, self.path)

    def apply(self, do: Target, vals: Values) -> None:
        do.host.mkdir(self.path)


def tree_undo(see: View, path: str) -> tuple[Undo, ...]:
    """What makes `path` as it is now: absent, or empty, or with what someone put there before us."""
    stat = see.host.stat(path)
    if stat is None:
        return (RemoveTree(path),)
    mode = RestoreMode(path, stat.mode, f"{stat.uid}:{stat.gid}")
    return (mode,) if paths.content(see.host, path) else (EmptyTree(path), mode)


def steps(host: str, wanted: Sequence[str] = RUNTIME) -> tuple[Step, ...]:
    """One step a directory; everything else on the machine comes after `trees/`."""
    return tuple(
        OwnTree(id=f"trees{path}", title=f"Make the directory {path}", on=host, path=path) for path in wanted
    )
