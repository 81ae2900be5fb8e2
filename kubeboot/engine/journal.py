"""What was on the machine before kubeboot changed it: written and synced before each change.

Never consulted to skip a step: what the machine says now decides. It serves `reset`, which goes through
it backwards. The oldest undo of a subject wins, so a subject is written once.
"""

from __future__ import annotations

import hashlib
import json
import posixpath
import threading
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from kubeboot import errors
from kubeboot.engine import undo as undos
from kubeboot.engine.undo import RestoreFile, RestoreMode, Undo
from kubeboot.host.api import HostTarget, HostView
from kubeboot.host.sending import part_of, temporary_of

HOME = "/var/lib/kubeboot"
PATH = f"{HOME}/journal.jsonl"
BEFORE = f"{HOME}/before"
MODE = 0o700
LOCK = "/run/kubeboot.lock"


def entries(see: HostView) -> tuple[dict[str, Any], ...]:
    """The journal's lines; a last line that a power cut left half-written is not one."""
    lines = (see.read(PATH) or b"").splitlines()
    parsed = []
    for number, line in enumerate(lines, 1):
        try:
            parsed.append(json.loads(line.decode()))  # it would look for the encoding of each
        except ValueError:
            if number < len(lines):
                raise errors.KubebootError(
                    f"{PATH}:{number} is not JSON: the journal is damaged",
                    hint=f"look at {PATH}; a damaged line can be removed by hand",
                    reason="KB_JOURNAL",
                ) from None
    return tuple(parsed)


def undo_list(see: HostView) -> tuple[tuple[str, Undo], ...]:
    """(step id, undo), newest first, one for each subject: what `reset` does, in order."""
    oldest: dict[str, tuple[str, Undo]] = {}
    for entry in entries(see):
        for data in entry.get("undo", ()):
            undo = undos.decode(data)
            oldest.setdefault(undos.subject(undo), (entry["step"], undo))
    return tuple(reversed(oldest.values()))


class Journal:
    """The journal of one machine, open for writing. Safe to use from several threads.

    What several steps note at the same time is written and synced together: each of them waits for a disk.
    """

    def __init__(self, host: HostTarget) -> None:
        self._host = host
        self._lock = threading.Lock()
        self._turn = threading.Lock()
        self._subjects: set[str] = set()
        self._unwritten: list[dict[str, Any]] = []

    def begin(self, command: str, *, sweeps: bool = True) -> None:
        """Read what is there and note the start of a run, which `sweeps` unless it writes nothing here."""
        self._subjects = {undos.subject(u) for _, u in undo_list(self._host)}
        self._mend()
        self._own()
        if sweeps:
            self._sweep(parts=command == "reset")
        self._append([_now({"run": command})])

    def intend(self, step: str, changes: Sequence[Undo]) -> None:
        """Note how to take back what `step` is about to do; on return it is on disk."""
        for change in self._new(changes):
            self._keep(change)
        with self._lock:
            if new := self._new(changes):
                self._unwritten.append(_now({"step": step, "undo": [undos.encode(u) for u in new]}))
            self._subjects.update(undos.subject(u) for u in new)
        self._write()

    def _new(self, changes: Sequence[Undo]) -> list[Undo]:
        return [change for change in changes if undos.subject(change) not in self._subjects]

    def _write(self) -> None:
        """Whoever has the turn writes for all who wait; what could not be written is the next one's."""
        with self._turn:
            with self._lock:
                entries, self._unwritten = self._unwritten, []
            try:
                if entries:
                    self._append(entries)
            except BaseException:
                with self._lock:
                    self._unwritten = entries + self._unwritten
                raise

    def _keep(self, change: Undo) -> None:
        if not isinstance(change, RestoreFile):
            return
        old = self._host.read(change.path) or b""
        if hashlib.sha256(old).hexdigest() != change.sha256:
            raise errors.KubebootError(
                f"{change.path} was changed by something else while kubeboot looked at it",
                hint="find out what writes it, then run the same command again",
            )
        self._host.mkdir(BEFORE, MODE)
        self._host.write(f"{BEFORE}/{change.sha256}", old, 0o600)

    def _mend(self) -> None:
        """A half-written last line would swallow the next one."""
        found = self._host.read(PATH)
        if found and not found.endswith(b"\n"):
            whole, _, _ = found.rpartition(b"\n")
            self._host.write(PATH, whole + b"\n" if whole else b"", 0o600)

    def _own(self) -> None:
        """Nobody else may look in; a directory that was there, a disk's, gets its mode back by the reset."""
        there = self._host.stat(HOME)
        if there and there.kind == "dir" and there.mode != MODE:
            self.intend("journal", (RestoreMode(HOME, there.mode, f"{there.uid}:{there.gid}"),))
        self._host.mkdir(HOME, MODE)

    def _sweep(self, *, parts: bool) -> None:
        """What writes that were killed before their rename have left beside our paths.

        `parts`: of uploads too, which any other run goes on with.
        """
        subjects = (s.partition(":") for s in self._subjects)
        ours = {path for kind, _, path in subjects if kind in ("path", "mode")}
        for folder in sorted({HOME, BEFORE} | {posixpath.dirname(path) for path in ours}):
            for name in self._host.listdir(folder):
                of = temporary_of(name) or (part_of(name) if parts else None)
                if of and (folder in (HOME, BEFORE) or posixpath.join(folder, of) in ours):
                    self._host.remove(posixpath.join(folder, name))

    def _append(self, entries: Sequence[dict[str, Any]]) -> None:
        self._host.append(PATH, b"".join(json.dumps(entry).encode() + b"\n" for entry in entries), 0o600)


def _now(entry: dict[str, Any]) -> dict[str, Any]:
    """The entry with its time."""
    return {"at": datetime.now(UTC).isoformat(timespec="milliseconds"), **entry}
