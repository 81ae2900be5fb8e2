"""Taking a change back, from the closed set of engine.undo: the steps of `reset`."""

from __future__ import annotations

import dataclasses
import hashlib

from kubeboot import errors
from kubeboot.engine import undo as undos
from kubeboot.engine.journal import BEFORE, PATH
from kubeboot.engine.step import Check, Drift, Ok, Step, Target, View
from kubeboot.engine.undo import (
    DeleteObject,
    EmptyTree,
    RemoveDir,
    RemoveImage,
    RemovePath,
    RemoveTree,
    RestoreFile,
    RestoreLink,
    RestoreMode,
    RestoreSysctl,
    RestoreUnit,
    Undo,
)
from kubeboot.engine.values import Values
from kubeboot.steps import paths

_UNITS = "/etc/systemd/"


@dataclasses.dataclass(frozen=True, kw_only=True)
class TakeBack(Step):
    """One undo from the journal, as a step."""

    undoing: Undo

    def check(self, see: View, vals: Values) -> Check:
        return Ok() if is_done(self.undoing, see) else Drift(describe(self.undoing), "remove")

    def apply(self, do: Target, vals: Values) -> None:
        perform(self.undoing, do)


def describe(undo: Undo) -> str:
    """In a few words, for the plan."""
    match undo:
        case RemovePath(path) | RemoveTree(path) | RemoveDir(path):
            return f"remove {path}"
        case EmptyTree(path):
            return f"empty {path}"
        case RestoreFile(path) | RestoreLink(path) | RestoreMode(path):
            return f"restore {path}"
        case RestoreUnit(unit, active, enabled):
            return f"{unit}: {'running' if active else 'stopped'}, {'enabled' if enabled else 'disabled'}"
        case RestoreSysctl(key, value):
            return f"{key} = {value}"
        case RemoveImage(name):
            return f"remove image {name}"
        case DeleteObject():
            return f"delete {undo.kind} {undo.name}"


def is_done(undo: Undo, see: View) -> bool:
    """Whether the machine already is as it was before."""
    match undo:
        case RemovePath(path) | RemoveTree(path):
            return see.host.stat(path) is None
        case EmptyTree(path):
            return not paths.content(see.host, path)
        case RemoveDir(path):
            return see.host.stat(path) is None or bool(see.host.listdir(path))
        case RestoreFile(path, sha256, mode):
            stat = see.host.stat(path)
            return stat is not None and stat.mode == mode and see.host.sha256(path) == sha256
        case RestoreLink(path, target):
            stat = see.host.stat(path)
            return stat is not None and stat.target == target
        case RestoreMode(path, mode):
            stat = see.host.stat(path)
            return stat is None or stat.mode == mode
        case RestoreUnit(unit, active, enabled):
            found = see.host.unit(unit)
            return found.active == "active" if active else not found.pid and found.enabled <= enabled
        case RestoreSysctl(key, value):
            return see.host.sysctl(key) in (value, None)
        case RemoveImage() | DeleteObject():
            return True


def perform(undo: Undo, do: Target) -> None:
    """Take one change back; safe to repeat. KubebootError names what could not be removed."""
    match undo:
        case RemovePath(path):
            do.host.remove(path)
            _reload(path, do)
        case RestoreLink(path, target):
            do.host.symlink(path, target)
        case RestoreMode(path, mode, owner):
            do.host.chmod(path, mode, owner)
        case RemoveTree(path) | EmptyTree(path):
            _clear(undo, path, do)
        case RemoveDir(path):
            if not is_done(undo, do.see):
                do.host.remove_tree(path)
        case RestoreFile():
            _restore(undo, do)
        case RestoreUnit():
            _unit(undo, do)
        case RestoreSysctl(key, value):
            do.host.set_sysctl(key, value)
        case RemoveImage(name):
            do.host.remove_image(name)
        case DeleteObject():
            do.api.delete(undo.api_version, undo.kind, undo.name, undo.namespace)


def _clear(undo: RemoveTree | EmptyTree, path: str, do: Target) -> None:
    inside = (f"{path}/{name}" for name in paths.content(do.host, path))
    doomed = (path,) if isinstance(undo, RemoveTree) else tuple(inside)
    left = tuple(kept for each in doomed for kept in do.host.remove_tree(each))
    if left:
        raise errors.KubebootError(
            f"could not remove {', '.join(left[:5])}: a mount, or in use; nothing under it was deleted",
            hint=f"see what uses it with `fuser -vm {left[0]}`, unmount it, then run `kubeboot reset` again",
            reason="KB_RESET_LEFT",
        )


def _restore(undo: RestoreFile, do: Target) -> None:
    old = do.host.read(f"{BEFORE}/{undo.sha256}")
    if old is None or hashlib.sha256(old).hexdigest() != undo.sha256:
        raise errors.KubebootError(
            f"the saved bytes of {undo.path} in {BEFORE} are {'missing' if old is None else 'damaged'}",
            hint=f"put {undo.path} back from a backup, or leave it as it is: sed -i /{undo.sha256}/d "
            f"{PATH}; then run `kubeboot reset` again",
            reason="KB_JOURNAL",
        )
    do.host.write(undo.path, old, undo.mode, undo.owner)
    _reload(undo.path, do)


def _reload(path: str, do: Target) -> None:
    if path.startswith(_UNITS):
        do.host.daemon_reload()


def _unit(undo: RestoreUnit, do: Target) -> None:
    (do.host.start if undo.active else do.host.stop)(undo.unit)
    (do.host.enable if undo.enabled else do.host.disable)(undo.unit)


def steps(host: str, undo_list: tuple[tuple[str, Undo], ...], after: frozenset[str]) -> tuple[Step, ...]:
    """One step an undo, in the order given (newest first); each is tried whatever came of the others."""
    made: list[Step] = []
    for number, (step_id, undo) in enumerate(undo_list):
        made.append(
            TakeBack(
                id=f"undo/{number:03d}-{step_id}",
                title=f"Take back {undos.subject(undo)}",
                on=host,
                behind=frozenset({made[-1].id}) if made else after,
                undoing=undo,
            )
        )
    return tuple(made)
