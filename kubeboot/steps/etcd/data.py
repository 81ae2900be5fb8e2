"""etcd's data directory under repair: a copy that is kept, or a new one made of a snapshot."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from kubeboot.engine.step import Blocked, Check, Drift, Ok, Step, Target, View
from kubeboot.engine.undo import RemoveTree, Undo
from kubeboot.engine.values import Values
from kubeboot.host.api import HostView
from kubeboot.host.model import EtcdTool
from kubeboot.steps.etcd.local import Note

_LOG = 128 << 20
"""Bytes that etcd takes for its log at once."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class KeepCopy(Step):
    """The data as it was before a recovery, beside itself."""

    data_dir: str
    kept: str

    def check(self, see: View, vals: Values) -> Check:
        if see.host.stat(self.kept):
            return Ok()
        return _room(see.host, self.data_dir, size(see.host, self.data_dir)) or Drift(f"copy to {self.kept}")

    def undo(self, see: View) -> Sequence[Undo]:
        return (RemoveTree(self.kept), RemoveTree(f"{self.kept}.partial"))

    def apply(self, do: Target, vals: Values) -> None:
        partial = f"{self.kept}.partial"
        if do.host.stat(self.kept):
            return
        do.host.remove_tree(partial)
        do.host.copy_tree(f"{self.data_dir}/member", partial)
        do.host.rename(partial, self.kept)


@dataclasses.dataclass(frozen=True, kw_only=True)
class RestoreData(Step):
    """A data directory made of a snapshot; the old data moves aside. Revisions only go up."""

    data_dir: str
    snapshot: str
    note: Note
    tool: EtcdTool

    def check(self, see: View, vals: Values) -> Check:
        if self._is_new(see.host):
            left = see.host.stat(self._fresh)
            return Drift(f"remove {self._fresh}", "remove") if left else Ok()
        stat = see.host.stat(self.snapshot)
        if stat is None:
            return Blocked(f"there is no {self.snapshot}", "name a snapshot that exists", "KB_SNAPSHOT")
        kept = f", keep the old data in {self.note.kept}" if self.note.had_data else ""
        return _room(see.host, self.data_dir, stat.size + _LOG) or Drift(
            f"make {self.data_dir} from {self.snapshot}{kept}", "change"
        )

    def undo(self, see: View) -> Sequence[Undo]:
        return (RemoveTree(self._fresh),)

    def apply(self, do: Target, vals: Values) -> None:
        """The old data stays where it is until the new is whole."""
        do.host.remove_tree(self._fresh)
        if not self._is_new(do.host):
            do.host.restore_snapshot(self.snapshot, self._fresh, self.tool)
            if do.host.stat(self.note.kept) is None and self.note.had_data:
                do.host.rename(f"{self.data_dir}/member", self.note.kept)
            do.host.rename(f"{self._fresh}/member", f"{self.data_dir}/member")
            do.host.remove_tree(self._fresh)

    def _is_new(self, see: HostView) -> bool:
        moved = see.stat(self.note.kept) is not None or not self.note.had_data
        return moved and see.stat(f"{self.data_dir}/member") is not None

    @property
    def _fresh(self) -> str:
        return f"{self.data_dir}/restoring"


def size(see: HostView, data_dir: str) -> int:
    """Bytes of a member's database and log."""
    folders = (f"{data_dir}/member/snap", f"{data_dir}/member/wal")
    found = (see.stat(f"{folder}/{name}") for folder in folders for name in see.listdir(folder))
    return sum(stat.size for stat in found if stat is not None)


def _room(see: HostView, path: str, needed: int) -> Blocked | None:
    free = see.free_bytes(path)
    if free >= needed:
        return None
    return Blocked(
        f"{path} has {free >> 20} MiB free and {needed >> 20} MiB are needed",
        f"make room there: older copies of etcd's data are {path}/before-*",
        "KB_DISK",
    )
