"""What keeps haproxy's servers current, run by a real sh with a kubectl that says what a test wants."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from kubeboot import render

SCRIPT = Path(__file__).parents[2] / "templates" / "haproxy" / "backends.sh"
BASE = "backend apiservers\n    option httpchk\n"
A, B, C = "10.0.0.11:6443", "10.0.0.12:6443", "10.0.0.13:6443"


class Machine:
    """haproxy's directory, a /proc with its master and worker, and the cluster's answer."""

    def __init__(self, place: Path, role: str = "backup") -> None:
        self.place, self.role, self.now = place, role, 1000
        self.settings: dict[str, str] = {}
        for name in ("haproxy", "state", "bin"):
            (place / name).mkdir()
        (place / "haproxy/haproxy.base.cfg").write_text(BASE)
        self.process(1, 0, "systemd")
        self.process(70, 60, f"haproxy -W -db -f {place}/haproxy/haproxy.cfg")
        self.process(71, 70, f"haproxy -sf 7 -x sockpair@3 -W -db -f {place}/haproxy/haproxy.cfg")
        self.process(90, 1, "haproxy -f /etc/haproxy/haproxy.cfg")
        (place / "bin/kill").write_text(f'#!/bin/sh\necho "$@" >>{place}/killed\n')
        (place / "bin/kill").chmod(0o755)
        self.answer("")

    def process(self, pid: int, parent: int, words: str) -> None:
        at = self.place / "proc" / str(pid)
        at.mkdir(parents=True)
        (at / "cmdline").write_bytes(words.replace(" ", "\0").encode() + b"\0")
        (at / "status").write_text(f"Name:\tx\nPPid:\t{parent}\n")

    def answer(self, text: str, code: int = 0) -> None:
        (self.place / "bin/kubectl").write_text(f"#!/bin/sh\nprintf '%s' '{text}'\nexit {code}\n")
        (self.place / "bin/kubectl").chmod(0o755)

    def servers(self, *lines: str) -> None:
        self.config.write_text(BASE + "".join(f"    server {line}\n" for line in lines))

    @property
    def config(self) -> Path:
        return self.place / "haproxy/haproxy.cfg"

    @property
    def signals(self) -> list[str]:
        said = self.place / "killed"
        return said.read_text().splitlines() if said.exists() else []

    def run(self, after: int = 0) -> list[str]:
        self.now += after
        settings = {
            "PATH": "/usr/bin:/bin",
            "KUBEBOOT_BACKENDS_DIR": f"{self.place}/haproxy",
            "KUBEBOOT_BACKENDS_STATE": f"{self.place}/state",
            "KUBEBOOT_BACKENDS_PROC": f"{self.place}/proc",
            "KUBEBOOT_BACKENDS_KUBECTL": f"{self.place}/bin/kubectl",
            "KUBEBOOT_BACKENDS_KILL": f"{self.place}/bin/kill",
            "KUBEBOOT_BACKENDS_OTHERS": self.role,
            "KUBEBOOT_BACKENDS_NOW": str(self.now),
            **self.settings,
        }
        done = subprocess.run(
            ["/bin/sh", str(SCRIPT)], env=settings, capture_output=True, text=True, check=True
        )
        assert "rror" not in done.stderr, done.stderr
        text = self.config.read_text()
        assert text.startswith(BASE)
        return [line.strip().removeprefix("server ") for line in text[len(BASE) :].splitlines()]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    made = Machine(tmp_path)
    made.servers(f"{A} {A}", f"{B} {B} backup")
    return made


def test_a_new_api_server_is_used_at_once_behind_the_machines_own(machine: Machine) -> None:
    machine.answer("10.0.0.11 10.0.0.12 10.0.0.13 :6443")
    assert machine.run() == [f"{A} {A}", f"{B} {B} backup", f"{C} {C} backup"]
    assert machine.signals == ["-USR2 70"] * 2, "what is there is read first, whoever wrote it"


def test_on_a_worker_all_are_alike(tmp_path: Path) -> None:
    machine = Machine(tmp_path, role="")
    machine.servers(f"{A} {A}")
    machine.answer("10.0.0.11 10.0.0.12 :6443")
    assert machine.run() == [f"{A} {A}", f"{B} {B}"]


def test_nothing_new_is_written_or_loaded_twice(machine: Machine) -> None:
    machine.answer("10.0.0.11 10.0.0.12 :6443")
    machine.run()
    before = machine.config.stat().st_mtime_ns
    machine.run(after=30)
    assert machine.config.stat().st_mtime_ns == before
    assert machine.signals == ["-USR2 70"]


def test_a_config_that_was_mended_is_loaded_though_it_is_the_way_to_the_cluster(machine: Machine) -> None:
    machine.answer("", code=1)
    machine.run()
    assert machine.signals == ["-USR2 70"], "nobody knows what haproxy has read"
    machine.servers(f"{A} {A}")
    machine.run(after=30)
    machine.run(after=30)
    assert machine.signals == ["-USR2 70"] * 2


def test_one_that_is_missing_goes_after_an_hour_of_answers_and_not_before(machine: Machine) -> None:
    machine.answer("10.0.0.11 :6443")
    assert len(machine.run()) == 2
    assert len(machine.run(after=3590)) == 2
    assert machine.run(after=20) == [f"{A} {A}"]


def test_one_that_comes_back_starts_its_hour_anew(machine: Machine) -> None:
    machine.answer("10.0.0.11 :6443")
    machine.run()
    machine.answer("10.0.0.11 10.0.0.12 :6443")
    machine.run(after=3000)
    machine.answer("10.0.0.11 :6443")
    assert len(machine.run(after=3000)) == 2


@pytest.mark.parametrize(("text", "code"), [("", 0), ("", 1), (" :", 0), ("nonsense; rm -rf / :6443", 0)])
def test_a_cluster_that_does_not_answer_changes_nothing(machine: Machine, text: str, code: int) -> None:
    machine.answer(text, code)
    machine.run()
    assert len(machine.run(after=10_000)) == 2
    assert machine.signals == ["-USR2 70"], "what is there is read, once"


def test_every_control_plane_may_be_replaced(machine: Machine) -> None:
    machine.answer("10.0.0.13 :6443")
    assert len(machine.run()) == 3
    assert machine.run(after=3601) == [f"{C} {C} backup"]


def test_ipv6_gets_its_brackets(machine: Machine) -> None:
    machine.answer("fd00::11 :6443")
    assert "[fd00::11]:6443 [fd00::11]:6443 backup" in machine.run()


def test_without_haproxy_it_is_told_later(machine: Machine) -> None:
    shutil.rmtree(machine.place / "proc/70")
    shutil.rmtree(machine.place / "proc/71")
    machine.answer("10.0.0.11 10.0.0.12 :6443")
    machine.run()
    assert machine.signals == []
    machine.process(80, 60, f"haproxy -W -db -f {machine.place}/haproxy/haproxy.cfg")
    machine.run()
    assert machine.signals == ["-USR2 80"]


def test_a_machine_without_haproxys_base_is_left_alone(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.servers(f"{A} {A}")
    (tmp_path / "haproxy/haproxy.base.cfg").unlink()
    machine.answer("10.0.0.12 :6443")
    assert machine.run() == [f"{A} {A}"]


def test_the_template_is_the_script_itself() -> None:
    assert render.template("haproxy/backends.sh") == SCRIPT.read_text()


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="shellcheck is not installed")
def test_shellcheck_finds_nothing() -> None:
    subprocess.run(["shellcheck", "-s", "sh", str(SCRIPT)], check=True)


@pytest.mark.parametrize(("minutes", "code", "renewed"), [(61, 0, True), (59, 0, False), (61, 1, False)])
def test_a_balancer_asks_for_its_next_token_every_hour(
    tmp_path: Path, minutes: int, code: int, renewed: bool
) -> None:
    machine = Machine(tmp_path, role="")
    machine.servers(f"{A} {A}")
    machine.answer("10.0.0.11 :6443", code)
    token = tmp_path / "token"
    token.write_text("old")
    at = time.time() - minutes * 60
    os.utime(token, (at, at))
    machine.settings = {"KUBEBOOT_BACKENDS_TOKEN": str(token), "KUBEBOOT_BACKENDS_TOKEN_HOURS": "24"}
    assert machine.run() == [f"{A} {A}"]
    assert (token.read_text() != "old") is renewed
    assert not list(tmp_path.glob("token.*"))
    assert (token.stat().st_mode & 0o777 == 0o600) or not renewed
