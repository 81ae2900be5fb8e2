"""The engine's journal: written before the change, together, once, whole."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Sequence

import pytest

from kubeboot import errors
from kubeboot.engine import journal as journals
from kubeboot.engine.journal import Journal
from kubeboot.engine.undo import RemovePath, RestoreFile
from kubeboot.host.api import CommandFailed
from tests.fakes.host import FakeHost
from tests.sim.engine_steps import go, put


def test_the_journal_is_written_before_the_change() -> None:
    host = FakeHost()
    go(host, put("a"))
    ops = [(c.op, c.subject) for c in host.changes if c.subject in ("/etc/a", journals.PATH)]
    assert ops.index(("write", "/etc/a")) > ops.index(("append", journals.PATH))
    assert journals.undo_list(host) == (("a", RemovePath("/etc/a")),)


def test_a_kill_between_journal_and_change_keeps_the_oldest_undo() -> None:
    host = FakeHost()
    journal = Journal(host)
    journal.begin("test")
    journal.intend("a", (RemovePath("/etc/a"),))
    host.write("/etc/a", b"half")
    go(host, dataclasses.replace(put("a"), data=b"whole"))
    assert journals.undo_list(host) == (("a", RemovePath("/etc/a")),)


class SlowDisk(FakeHost):
    """Its journal takes no more at a time than is let through; the first `full` ones find no room."""

    def __init__(self) -> None:
        super().__init__()
        self.through = threading.Semaphore(1)
        self.full = 0
        self.appends = 0

    def append(self, path: str, data: bytes, mode: int = 0o600) -> None:
        self.appends += 1
        self.through.acquire()
        if self.appends <= self.full:
            raise CommandFailed("no space left on device")
        super().append(path, data, mode)


def noted(host: SlowDisk, names: Sequence[str], full: int = 0) -> list[str]:
    """The steps, each in a thread of its own, whose entry was not on the disk when `intend` had returned."""
    journal = Journal(host)
    journal.begin("test")
    host.appends, host.full, bad = 0, full, []

    def one(name: str) -> None:
        try:
            journal.intend(name, (RemovePath(f"/etc/{name}"),))
        except CommandFailed:
            return
        if name not in [step for step, _ in journals.undo_list(host)]:
            bad.append(name)

    threads = [threading.Thread(target=one, args=(name,)) for name in names]
    for number, thread in enumerate(threads):
        thread.start()
        while not host.appends or len(journal._unwritten) < number:
            time.sleep(0.001)
    for _ in names:
        host.through.release()
    for thread in threads:
        thread.join()
    return bad


def test_steps_that_note_something_at_the_same_time_share_a_write() -> None:
    host = SlowDisk()
    assert noted(host, ["a", "b", "c", "d"]) == []
    assert host.appends == 2
    assert sorted(step for step, _ in journals.undo_list(host)) == ["a", "b", "c", "d"]


def test_what_one_step_could_not_note_for_all_the_next_one_notes() -> None:
    host = SlowDisk()
    assert noted(host, ["a", "b", "c"], full=1) == []
    assert sorted(step for step, _ in journals.undo_list(host)) == ["a", "b", "c"]


def test_nobody_goes_on_while_the_journal_takes_nothing() -> None:
    host = SlowDisk()
    assert noted(host, ["a", "b", "c"], full=99) == []
    assert journals.undo_list(host) == () and host.appends == 3


def test_a_torn_last_line_of_the_journal_is_mended() -> None:
    host = FakeHost()
    go(host, put("a"))
    host.append(journals.PATH, b'{"step": "b", "un')
    go(host, put("c"))
    assert [step for step, _ in journals.undo_list(host)] == ["c", "a"]


def test_a_damaged_journal_is_refused() -> None:
    host = FakeHost()
    host.mkdir(journals.HOME)
    host.write(journals.PATH, b"nonsense\n{}\n")
    with pytest.raises(errors.KubebootError, match="damaged"):
        journals.undo_list(host)


@pytest.mark.parametrize(("sweeps", "left"), [(True, ()), (False, (".journal.jsonl.kubeboot-12345678",))])
def test_a_run_that_writes_nothing_here_leaves_the_sweep_to_one_that_does(
    sweeps: bool, left: tuple[str, ...]
) -> None:
    host = FakeHost()
    host.write(f"{journals.HOME}/.journal.jsonl.kubeboot-12345678", b"half")
    Journal(host).begin("test", sweeps=sweeps)
    assert host.listdir(journals.HOME) == (*left, "journal.jsonl")


def test_old_bytes_are_kept_once_and_privately() -> None:
    host = FakeHost()
    host.write("/etc/a", b"old")
    journal = Journal(host)
    journal.begin("test")
    digest = host.sha256("/etc/a") or ""
    journal.intend("a", (RestoreFile("/etc/a", digest, 0o644, "root:root"),))
    kept = host.stat(f"{journals.BEFORE}/{digest}")
    assert host.read(f"{journals.BEFORE}/{digest}") == b"old"
    assert kept is not None and kept.mode == 0o600
