"""What a lab remembers: itself, whose it is, and which Docker daemon it started."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from lablib import machine_host, machine_labs, machine_state

from kubeboot import errors
from tests.unit.lab_support import lab

pytestmark = pytest.mark.usefixtures("lab_state")

# ---- state


def test_a_lab_is_remembered_as_it_was() -> None:
    machine_state.save(lab("one"))
    machine_state.save(lab("two", workers=3))
    assert machine_state.load("two") == lab("two", workers=3)
    assert machine_state.names() == ["one", "two"]
    assert machine_state.load("three") is None


def test_two_commands_do_not_change_one_lab_at_once() -> None:
    with machine_state.locked("a"), machine_state.locked("b"):
        again = machine_state.locked("a")
        with pytest.raises(errors.Occupied, match="`a`"):
            again.__enter__()
    with machine_state.locked("a"):
        pass


def test_another_checkouts_lab_is_left_alone(tmp_path: Path) -> None:
    machine_state.save(lab("mine"))
    machine_state.save(lab("theirs", checkout=str(tmp_path)))
    machine_state.save(lab("orphan", checkout=str(tmp_path / "gone")))
    assert machine_labs._load_own("mine") == lab("mine")
    assert machine_labs._load_own("orphan") is not None
    for refused in (
        lambda: machine_labs.down("theirs"),
        lambda: machine_labs.up("theirs", 1, 0, "docker", None),
    ):
        with pytest.raises(errors.Occupied, match=re.escape(str(tmp_path))):
            refused()
    assert machine_state.names() == ["mine", "orphan", "theirs"]


# ---- the Docker daemon


DOCKER = """#!/bin/sh
[ "$1" = ps ] && exec cat "$0.running"
[ -e "$0.answers" ]
"""
DOCKERD = """#!/bin/sh
cd "$(dirname "$0")" || exit
trap 'rm -f docker.answers; exit' TERM
echo started
touch docker.answers
while :; do sleep 0.05; done
"""


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A docker command and its daemon, neither of them Docker's."""
    bin_ = tmp_path / "bin"
    bin_.mkdir()
    for name, text in {"docker": DOCKER, "dockerd": DOCKERD, "docker.running": ""}.items():
        (bin_ / name).write_text(text)
        (bin_ / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{bin_}:{os.environ['PATH']}")
    monkeypatch.setattr(machine_host, "SYSTEMD", tmp_path / "none")
    monkeypatch.setattr(machine_host, "as_root", lambda *argv: list(argv))
    return bin_


def test_a_daemon_that_the_lab_started_is_the_one_that_it_ends(docker: Path, lab_state: Path) -> None:
    machine_host.ensure_docker()
    pid = int((lab_state / "dockerd.pid").read_text().split()[0])
    machine_host.ensure_docker()
    assert (lab_state / "dockerd.log").read_text() == "started\n", "it was started twice"

    (docker / "docker.running").write_text("a-container\n")
    machine_host.stop_docker()
    assert machine_host.started(pid), "somebody's container ran on it"

    (docker / "docker.running").write_text("")
    with machine_host.docker_in_use():
        machine_host.stop_docker()
    assert machine_host.started(pid), "somebody was about to use it"

    machine_host.stop_docker()
    assert not machine_host.started(pid)
    assert os.waitpid(pid, 0)[0] == pid
    assert not (lab_state / "dockerd.pid").exists()
    machine_host.stop_docker()


def test_a_daemon_that_was_there_is_never_ended(docker: Path, lab_state: Path) -> None:
    (docker / "docker.answers").touch()
    machine_host.ensure_docker()
    machine_host.stop_docker()
    assert not (lab_state / "dockerd.pid").exists()


def test_another_process_with_the_daemons_number_is_left_alone(docker: Path, lab_state: Path) -> None:
    lab_state.mkdir()
    (lab_state / "dockerd.pid").write_text(f"{os.getpid()} 1\n")
    machine_host.stop_docker()
    assert not (lab_state / "dockerd.pid").exists()
