"""What every step that leaves something at a path shares: what is there now, and how to put it back."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator

from kubeboot.engine.step import View
from kubeboot.engine.undo import RemoveDir, RemovePath, RestoreFile, RestoreLink, RestoreMode, Undo
from kubeboot.host.api import HostView
from kubeboot.host.model import Stat


def undo(see: View, path: str, sha256: str | None = None) -> tuple[Undo, ...]:
    """What makes `path` as it is now; a file that keeps its bytes (`sha256`) gets its mode back only."""
    stat = see.host.stat(path)
    if stat is None:
        return (*missing_dirs(see, path), RemovePath(path))
    if stat.kind == "link":
        return (RestoreLink(path, stat.target or ""),)
    owner = f"{stat.uid}:{stat.gid}"
    present = see.host.sha256(path) if stat.kind == "file" else sha256
    if present is None or present == sha256:
        return (RestoreMode(path, stat.mode, owner),)
    return (RestoreFile(path, present, stat.mode, owner),)


def content(see: HostView, path: str) -> tuple[str, ...]:
    """What lies in a directory; a file system's own lost+found, where a disk is mounted there, is nothing."""
    return tuple(name for name in see.listdir(path) if name != "lost+found")


def missing_dirs(see: View, path: str) -> tuple[RemoveDir, ...]:
    """The directories above `path` that writing it will make, outermost first."""
    return tuple(RemoveDir(above) for above in reversed([*_missing(see, path)]))


def _missing(see: View, path: str) -> Iterator[str]:
    above = posixpath.dirname(path)
    while above != "/" and see.host.stat(above) is None:
        yield above
        above = posixpath.dirname(above)


def followed(see: View, path: str) -> str:
    """Where links lead; the path itself when it is none. An administrator may have moved a directory."""
    for _ in range(8):
        stat = see.host.stat(path)
        if stat is None or stat.kind != "link":
            return path
        path = posixpath.join(posixpath.dirname(path), stat.target or "")
    return path


def mode_drift(stat: Stat, mode: int, owner: str) -> str | None:
    """What is wrong with mode and owner, in words; None when nothing is. Owners by name cannot be seen."""
    words = [f"mode {stat.mode:04o} → {mode:04o}"] if stat.mode != mode else []
    wanted = {"root:root": "0:0"}.get(owner, owner)
    present = f"{stat.uid}:{stat.gid}"
    if wanted.replace(":", "").isdigit() and wanted != present:
        words.append(f"owner {present} → {wanted}")
    return ", ".join(words) or None
