"""A lock over SSH: as long as its run lives, and its own after a lost connection."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import signal
import subprocess
import time
from pathlib import Path

import paramiko
import pytest

from kubeboot import errors
from kubeboot.host import streams
from kubeboot.host.local import LocalHost
from kubeboot.host.ssh import held
from tests.fakes.sshd import Sshd
from tests.sim.over_ssh import PATIENT, free, reached, until


def test_a_lost_lock_is_taken_again_before_the_next_write(sshd: Sshd, tmp_path: Path) -> None:
    lock, path = str(tmp_path / "lock"), str(tmp_path / "file")
    owner = "{0.st_uid}:{0.st_gid}".format(tmp_path.stat())
    with reached(sshd) as host, host.lock(lock, "us"):
        sshd.drop()
        host.write(path, b"1", owner=owner)
        with pytest.raises(errors.Occupied), LocalHost("machine").lock(lock, "them"):
            pytest.fail("it was not held")
        sshd.drop()
        until(lambda: free(lock))
        with (
            LocalHost("machine").lock(lock, "them"),
            pytest.raises(errors.Occupied, match="them"),
        ):
            host.write(path, b"2", owner=owner)
    assert Path(path).read_bytes() == b"1"


@pytest.mark.parametrize("lost", [EOFError(), OSError("Socket is closed"), paramiko.SSHException("no keys")])
def test_a_connection_that_goes_while_a_step_is_told_is_the_next_writes_affair(
    sshd: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lost: Exception
) -> None:
    lock, path = str(tmp_path / "lock"), tmp_path / "file"
    owner = "{0.st_uid}:{0.st_gid}".format(tmp_path.stat())

    def cut(channel: paramiko.Channel, data: bytes) -> None:
        raise lost

    with reached(sshd) as host, host.lock(lock, "us"):
        with monkeypatch.context() as patch:
            patch.setattr(paramiko.Channel, "sendall", cut)
            host.say(lock, "at step etcd/member")
        host.write(str(path), b"1", owner=owner)
    assert path.read_bytes() == b"1"


def test_a_run_takes_its_lock_from_its_own_lost_session(sshd: Sshd, tmp_path: Path) -> None:
    """The machine does not learn that the connection is lost: the old session stays, and holds the lock."""
    lock, path = str(tmp_path / "lock"), tmp_path / "file"
    owner = "{0.st_uid}:{0.st_gid}".format(tmp_path.stat())
    quick = dataclasses.replace(PATIENT, idle=1.0, answer=2.0)
    with reached(sshd, quick) as host, host.lock(lock, "us"):
        sshd.freeze()
        host.write(str(path), b"1", owner=owner)
        with pytest.raises(errors.Occupied, match="by us"), LocalHost("machine").lock(lock, "them"):
            pytest.fail("it was not held")
    assert path.read_bytes() == b"1"


def test_who_is_frozen_ends_with_the_server_that_no_longer_has_him(sshd: Sshd, tmp_path: Path) -> None:
    """As after a test that fails half-way: a stopped process is nobody's child, and would stay for ever."""
    with (
        reached(sshd) as host,
        host.lock(str(tmp_path / "lock"), "us"),
    ):
        sshd.freeze()
        first, *others = sshd.sessions()
        os.kill(first, signal.SIGKILL)
        until(lambda: sshd.sessions() == [])
        assert any(map(_stopped, others))
        sshd.stop()
        until(lambda: not any(map(_stopped, others)))


def _stopped(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"
    return False


def test_a_lock_is_waited_for_whose_new_holder_has_not_said_yet_who_it_is(tmp_path: Path) -> None:
    """Of two connections of a run that were lost, the second one has ended the first."""
    lock = tmp_path / "lock"
    lock.write_text("us\nmark 999999999\n")
    with subprocess.Popen(
        ("flock", lock, "sh", "-c", "echo has; sleep 0.5"), stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None and other.stdout.readline() == b"has\n"
        argv = streams.lock(str(lock), "us", "mark", 5.0)
        with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as mine:
            assert mine.stdout is not None and mine.stdout.readline() == b"held\n"
        argv = streams.lock(str(lock), "them", "another", 5.0)
        assert subprocess.run(argv, input=b"", stdout=subprocess.PIPE).stdout == b"held\n"


def test_a_lock_is_taken_whatever_another_run_calls_itself(tmp_path: Path) -> None:
    """Two marks are two runs."""
    first, second = (streams.lock(str(tmp_path / "lock"), "us", mark, 60.0) for mark in ("one", "two"))
    with subprocess.Popen(first, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as run:
        assert run.stdout and run.stdout.readline() == b"held\n"
        taken = subprocess.run(second, input=b"", capture_output=True)
        assert (taken.returncode, taken.stdout.splitlines()[0]) == (streams.LOCK_TAKEN, b"us")


def test_a_lock_whose_run_falls_silent_ends(tmp_path: Path) -> None:
    """The run is not closed, it says nothing."""
    argv = streams.lock(str(tmp_path / "lock"), "us", "one", 0.2)
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as run:
        assert run.stdout and run.stdout.readline() == b"held\n"
        assert run.wait(60.0) == 0
        assert free(str(tmp_path / "lock"))


def test_a_lock_is_held_as_long_as_its_holder_lives(
    sshd: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sign of life comes many times as often as the machine wants one."""
    assert held.BEAT <= held.SILENCE / 2
    monkeypatch.setattr(held, "SILENCE", 2.5)
    monkeypatch.setattr(held, "BEAT", 0.1)
    with reached(sshd) as host, host.lock(str(tmp_path / "lock"), "us"):
        time.sleep(3.5)
        assert not free(str(tmp_path / "lock"))
