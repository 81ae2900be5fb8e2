"""Many looks in one round trip: the same answers as one by one, from a real sshd."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

from kubeboot import errors
from kubeboot.config.node import NodeSettings
from kubeboot.config.spec import ClusterSpec
from kubeboot.host import answers
from kubeboot.host.api import CommandFailed, HostView, Unread
from kubeboot.host.facts import Facts
from kubeboot.host.local import LocalView
from kubeboot.host.runner import Result
from kubeboot.host.ssh import batch
from kubeboot.host.ssh.batch import Batch
from kubeboot.host.ssh.connection import Connection
from kubeboot.host.ssh.login import Login
from kubeboot.kube.api import ApiUnavailable
from kubeboot.kube.deferred import Deferred
from kubeboot.kube.remembered import Answers, Asking, RememberedApi
from kubeboot.steps import preflight
from kubeboot.steps.preflight import identity, kernel, machine
from tests.fakes import sshd as servers

Look = Callable[[HostView], object]


@pytest.fixture
def remote(tmp_path: Path) -> Iterator[Batch]:
    with servers.running(tmp_path / "sshd") as server:
        view = Batch(Connection(Login(server.name, server.ssh_config)))
        yield view
        view.connection.close()


def all_of(view: Batch, looks: list[Look]) -> tuple[list[object], int]:
    """Every answer, and how many round trips it took."""
    trips = 0
    while True:
        answers: list[object] = []
        for look in looks:
            try:
                answers.append(look(view))
            except Unread:
                continue
        if not view.wanted:
            return answers, trips
        view.fetch()
        trips += 1


def test_the_answers_are_those_of_the_machine_itself(remote: Batch, tmp_path: Path) -> None:
    (tmp_path / "bytes").write_bytes(bytes(range(256)) * 300)
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "a name").write_text("BYTES\nx")
    (tmp_path / "link").symlink_to("bytes")
    (tmp_path / "folder").mkdir(mode=0o700)
    paths = [str(tmp_path / n) for n in ("bytes", "empty", "a name", "link", "folder", "absent")]
    paths.append("/proc/sys/kernel/hostname")
    looks: list[Look] = [look for path in paths for look in _of(path)]
    looks += [lambda v: v.sysctl("kernel.hostname"), lambda v: v.module("no-such-module")]
    looks += [lambda v: v.listdir(str(tmp_path)), lambda v: v.listdir("/absent")]
    answers, trips = all_of(remote, looks)
    assert answers == [look(LocalView()) for look in looks]
    assert trips == 1


def _of(path: str) -> tuple[Look, ...]:
    return (lambda v: v.stat(path), lambda v: v.read(path), lambda v: v.sha256(path))


def test_a_batch_may_list_processes(remote: Batch) -> None:
    looks: list[Look] = [lambda v: v.processes(), lambda v: v.sysctl("kernel.hostname")]
    (told, name), trips = all_of(remote, looks)
    assert os.getpid() in {process.pid for process in told} and trips == 1  # type: ignore[attr-defined]
    assert name == LocalView().sysctl("kernel.hostname")


def test_what_preflight_reads_is_the_same_for_each_process_and_needs_no_second_question(
    remote: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, ...]] = []
    run = remote.connection.run

    def counted(argv: tuple[str, ...], stdin: Iterable[bytes], deadline: float) -> Result:
        asked.append(argv)
        return run(argv, stdin, deadline)

    monkeypatch.setattr(remote.connection, "run", counted)
    scene = preflight.Scene(ClusterSpec(), NodeSettings("w-1", "192.0.2.21", "worker"), Facts("w-1"), remote)
    assert preflight.examine(scene, (identity.localhost, kernel.seccomp, machine.processes)) == ()
    assert len(asked) == 1


def test_a_look_that_depends_on_another_takes_one_more_round(remote: Batch, tmp_path: Path) -> None:
    (tmp_path / "first").write_text(str(tmp_path / "second"))
    (tmp_path / "second").write_text("found")

    def follow(view: HostView) -> object:
        return view.read((view.read(str(tmp_path / "first")) or b"").decode())

    assert all_of(remote, [follow]) == ([b"found"], 2)


def test_more_than_a_command_line_holds_takes_more_rounds(
    remote: Batch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch, "LONGEST", 600)
    looks: list[Look] = [lambda v, n=n: v.stat(str(tmp_path / str(n))) for n in range(9)]  # type: ignore[misc]
    answers, trips = all_of(remote, looks)
    assert answers == [None] * 9 and trips > 1


def test_a_failure_is_asked_for_again_by_itself_and_keeps_its_words(remote: Batch) -> None:
    with pytest.raises(CommandFailed, match="nowhere"):
        all_of(remote, [lambda v: v.route_source("fe80::1%nowhere")])


def test_a_file_that_changed_meanwhile_is_read_again_by_itself() -> None:
    with pytest.raises(ValueError, match="changed"):
        answers.reads(b"5 /a\nBYTES\nfour")
    assert answers.reads(b" 2 /a\n 3 /b\n 5 total\nBYTES\nxxyyy") == {"/a": b"xx", "/b": b"yyy"}


def test_what_was_asked_once_is_not_asked_again() -> None:
    asked: list[int] = []

    def fail() -> None:
        asked.append(1)
        raise errors.TimedOut("late")

    with Answers() as answers:
        for looker in (Asking("api", answers), Asking("api", answers)):
            with pytest.raises((errors.TimedOut, Unread)):
                looker.ask(("get", "x"), fail)
            looker.settle()
            with pytest.raises(errors.TimedOut):
                looker.ask(("get", "x"), fail)
        assert asked == [1]


def test_credentials_that_are_not_there_are_looked_for_once_in_a_look() -> None:
    looks: list[int] = []
    with Answers() as answers:
        api = RememberedApi(Deferred(lambda: looks.append(1)), answers)

        def ask(name: str) -> str:
            try:
                api.get("v1", "Node", name)
            except Unread:
                api.asking.settle()
                return ask(name)
            except ApiUnavailable as error:
                return error.message
            raise AssertionError("there is no API")

        assert {ask(name) for name in ("a", "b", "c")} == {"there is no API server to talk to yet"}
    assert looks == [1]
