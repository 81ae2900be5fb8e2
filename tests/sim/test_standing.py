"""A root shell that stays on its channel: what goes in, what comes out, and what becomes of it."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from kubeboot.host.api import Lost
from kubeboot.host.runner import Result
from kubeboot.host.shell import runners
from kubeboot.host.ssh import standing
from kubeboot.host.ssh.connection import Connection
from kubeboot.host.ssh.host import SshHost
from kubeboot.host.ssh.login import Login
from kubeboot.host.ssh.standing import Reply, Shell
from tests.fakes import sshd as servers
from tests.fakes.sshd import Sshd

WORDS = os.fsdecode(bytes(range(1, 256)))
BYTES = bytes(range(256)) * 2
MARK = b"0123456789abcdef" * 2
SHELLS = [name for name in ("dash", "bash", "busybox") if shutil.which(name)]


class Channel:
    """One that is there, as far as a shell asks."""

    closed = eof_received = False
    active = True


def told(*commands: tuple[tuple[str, ...], bytes]) -> bytes:
    """What a shell is sent for these, one after another."""
    shell, sent = Shell(Channel(), b"", MARK), b""  # type: ignore[arg-type]
    for argv, stdin in commands:
        line = standing.command(argv, (stdin,))
        assert line is not None
        sent += shell.begin(line)[0]
        shell.used = True
    return sent


def shell(name: str, given: bytes) -> subprocess.CompletedProcess[bytes]:
    argv = (name, *(("sh",) if name == "busybox" else ()), "-c", runners.STANDING, "standing")
    return subprocess.run(argv, input=given, capture_output=True, env={**os.environ, "LC_ALL": "C"})


@pytest.mark.parametrize("name", SHELLS)
def test_every_byte_of_words_and_input_arrives(name: str) -> None:
    done = shell(name, told((("printf", "%s", WORDS), b""), (("cat",), BYTES), (("no-such",), b"")))
    assert done.stdout == os.fsencode(WORDS) + MARK + b"0\n" + BYTES + MARK + b"0\n" + MARK + b"127\n"
    assert done.stderr.count(MARK + b"\n") == 3 and b"not found" in done.stderr


@pytest.mark.parametrize("name", SHELLS)
def test_a_command_that_was_cut_is_not_begun(name: str, tmp_path: Path) -> None:
    path = tmp_path / "there"
    whole = told((("touch", str(path)), b""))
    for size in range(0, len(whole), 3):
        shell(name, whole[:size])
        assert not path.exists(), whole[:size]
    shell(name, whole)
    assert path.exists()


@pytest.mark.parametrize("name", SHELLS)
def test_a_command_changes_nothing_for_the_next_one(name: str) -> None:
    """Neither by its own shell nor by what it leaves of its input."""
    first = ("sh", "-c", "mark=x; cd /; umask 0; exit 3")
    done = shell(name, told((first, BYTES * 40), (("sh", "-c", "umask; pwd"), b"")))
    mask = subprocess.run(("sh", "-c", "umask; pwd"), capture_output=True).stdout
    assert done.stdout == MARK + b"3\n" + mask + MARK + b"0\n"


def test_a_long_command_or_input_is_not_sent_to_the_standing_shell() -> None:
    assert standing.command(("cat",), (b"x" * 30_000,))
    assert standing.command(("cat",), (b"x" * 60_000,)) is None
    assert standing.command(("echo", "x" * 60_000), ()) is None


def test_an_answer_is_whole_when_both_streams_have_come_to_the_mark() -> None:
    reply = Reply(MARK)
    for stream, data in (
        (reply.out, b"out" + MARK[:20]),
        (reply.out, MARK[20:] + b"4"),
        (reply.out, b"4\n"),
        (reply.err, b"err" + MARK),
    ):
        stream.extend(data)
        assert reply.status() is None
    reply.err.extend(b"\n")
    assert reply.status() == 44
    assert reply.result(44) == Result(44, b"out", b"err")


@pytest.fixture
def sshd(tmp_path: Path) -> Iterator[Sshd]:
    with servers.running(tmp_path / "sshd") as server:
        yield server


@contextlib.contextmanager
def reached(server: Sshd) -> Iterator[SshHost]:
    with contextlib.closing(SshHost(Connection(Login(server.name, server.ssh_config)))) as host:
        yield host


def sessions(server: Sshd) -> int:
    """How many sshd has begun."""
    return (server.folder / "log").read_text().count("Starting session: command")


def test_many_commands_take_one_session(sshd: Sshd, tmp_path: Path) -> None:
    owner = f"{os.getuid()}:{os.getgid()}"
    with reached(sshd) as host:
        for number in range(5):
            host.write(f"{tmp_path}/{number}", BYTES, owner=owner)
            assert host.read(f"{tmp_path}/{number}") == BYTES
        assert host.connection.run(("sh", "-c", "echo out; echo err >&2; exit 7"), (), 9.0) == Result(
            7, b"out\n", b"err\n"
        )
    assert sessions(sshd) == 1


def test_a_shell_that_has_ended_is_no_answer_and_the_next_command_has_another(sshd: Sshd) -> None:
    with reached(sshd) as host:
        assert host.read("/etc/hostname")
        with pytest.raises(Lost, match="in the middle of a command"):
            host.connection.run(("sh", "-c", 'kill -9 "$PPID"'), (), 9.0)
        assert host.read("/etc/hostname")
    assert sessions(sshd) == 2


def test_a_shell_that_waits_for_work_makes_room(tmp_path: Path) -> None:
    """For a lock, and for what is too long for it."""
    with servers.running(tmp_path / "sshd", more="MaxSessions 1") as sshd, reached(sshd) as host:
        assert host.read("/etc/hostname")
        assert host.connection.run(("wc", "-c"), (b"x" * 100_000,), 9.0).out == b"100000\n"
        assert host.read("/etc/hostname")
        with host.lock(str(tmp_path / "lock"), "us"):
            assert (sshd.folder / "log").read_text().count("Accepted publickey") == 1
