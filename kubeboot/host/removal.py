"""What goes from this machine's disk: an entry, durably, or a tree except what is mounted in it."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
from collections.abc import Iterable
from pathlib import Path

from kubeboot.host.durable import sync_directory
from kubeboot.host.files import ABSENT, naming


def remove(path: str) -> None:
    """A file, a link or an empty directory."""
    with naming(path), contextlib.suppress(*ABSENT):
        if stat.S_ISDIR(os.lstat(path).st_mode):
            Path(path).rmdir()
        else:
            Path(path).unlink()
        sync_directory(os.path.dirname(path))


def remove_tree(path: str, points: Iterable[str]) -> tuple[str, ...]:
    """Everything at and below a path, but nothing of a mount; answers the mount points that are left."""
    real = path if os.path.islink(path) else os.path.realpath(path)
    left = points_below(real, points)
    with naming(path):
        if os.path.isdir(real) and not os.path.islink(real):
            _remove_below(real, left)
        elif os.path.lexists(real) and real not in left:
            Path(real).unlink()
    return left


def points_below(real: str, points: Iterable[str]) -> tuple[str, ...]:
    """Those mount points that are at or below a path."""
    return tuple(sorted({point for point in points if point == real or point.startswith(f"{real}/")}))


def _remove_below(path: str, left: tuple[str, ...]) -> None:
    if not any(point == path or point.startswith(f"{path}/") for point in left):
        shutil.rmtree(path)
        return
    if path in left:
        return
    for name in os.listdir(path):
        below = f"{path}/{name}"
        if os.path.isdir(below) and not os.path.islink(below):
            _remove_below(below, left)
        elif below not in left:
            Path(below).unlink()
