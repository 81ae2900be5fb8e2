"""The generic steps about units: started once, restarted for other inputs alone, put back."""

from __future__ import annotations

import dataclasses

import pytest

from kubeboot.engine.journal import Journal, undo_list
from kubeboot.engine.step import Drift, Impact, Ok, View
from kubeboot.engine.values import Values
from kubeboot.host.api import CommandFailed
from kubeboot.kube.api import NoApi
from kubeboot.steps import basic, undoing
from tests.fakes.entries import File
from tests.fakes.host import FakeHost
from tests.sim.basic_support import check, target
from tests.sim.contract import converges

UNIT_PATH = "/etc/systemd/system/x.service"
DROP_IN = f"{UNIT_PATH}.d/10-kubeboot-inputs.conf"


def unit(digest: str = "one") -> basic.EnsureUnit:
    return basic.EnsureUnit(id="u", title="Run x", on="cp-1", unit="x.service", digest=digest)


def unit_file() -> basic.EnsureUnitFile:
    return basic.EnsureUnitFile(
        id="f",
        title="Write x",
        on="cp-1",
        path=UNIT_PATH,
        data=b"[Service]\nExecStart=/ours\n",
        unit="x.service",
    )


def with_unit(digest: str | None = "one", running: bool = False) -> FakeHost:
    host = FakeHost()
    host.files[UNIT_PATH] = File(b"[Service]\nExecStart=/bin/x\n")
    if digest:
        host.files[DROP_IN] = File(f"[Service]\nEnvironment={basic.INPUTS}={digest}\n".encode())
    if running:
        host.systemd.start("x.service")
        host.systemd.enable("x.service")
    return host


def test_a_first_start_disturbs_nobody() -> None:
    assert converges(unit(), with_unit()) == Drift("start x.service", "create")
    assert unit().impact is Impact.RESTART


def test_an_enabled_unit_starts_without_another_reload() -> None:
    host = with_unit()
    step = basic.EnsureEnabled(id="e", title="Enable x", on="cp-1", unit="x.service")
    assert converges(step, host) == Drift("enable x.service", "create")
    host.changes.clear()
    unit().apply(target(host), Values())
    assert [change.op for change in host.changes] == ["start"]


def test_a_unit_whose_files_changed_after_systemd_read_them_is_read_again() -> None:
    host = with_unit()
    host.enable("x.service")
    host.files[DROP_IN] = File(f"[Service]\nEnvironment={basic.INPUTS}=two\n".encode())
    unit("two").apply(target(host), Values())
    assert host.unit("x.service").environment[basic.INPUTS] == "two"


def test_a_unit_that_runs_from_the_same_inputs_is_left_alone() -> None:
    host = with_unit(running=True)
    assert check(unit(), host) == Ok()
    assert host.changes == []


def test_other_inputs_restart_it_once() -> None:
    host = with_unit(running=True)
    before = host.unit("x.service").pid
    host.files[DROP_IN] = File(f"[Service]\nEnvironment={basic.INPUTS}=two\n".encode())
    found = check(unit("two"), host)
    assert isinstance(found, Drift)
    assert found.change == "change"
    unit("two").apply(target(host), Values())
    after = host.unit("x.service").pid
    assert after != before
    assert check(unit("two"), host) == Ok()
    unit("two").apply(target(host), Values())
    assert host.unit("x.service").pid == after


def test_a_foreign_process_of_that_name_is_restarted() -> None:
    host = with_unit(digest=None, running=True)
    host.files[DROP_IN] = File(f"[Service]\nEnvironment={basic.INPUTS}=one\n".encode())
    assert isinstance(check(unit(), host), Drift)
    unit().apply(target(host), Values())
    assert check(unit(), host) == Ok()


def test_enabling_alone_restarts_nothing() -> None:
    host = with_unit(running=True)
    host.systemd.enable("x.service", enabled=False)
    before = host.unit("x.service").pid
    assert converges(unit(), host) == Drift("enable x.service", "change", quiet=True)
    unit().apply(target(host), Values())
    assert host.unit("x.service").pid == before


@pytest.mark.parametrize("state", ["activating", "failed", "deactivating"])
def test_a_unit_that_hangs_between_states_is_restarted(state: str) -> None:
    host = with_unit(running=True)
    host.systemd.units["x.service"] = dataclasses.replace(host.unit("x.service"), active=state)
    assert check(unit(), host) == Drift("start x.service", "create")
    unit().apply(target(host), Values())
    assert check(unit(), host) == Ok()
    assert ("restart", "x.service") in host.changes


def test_a_unit_that_cannot_start_shows_its_last_words() -> None:
    host = with_unit()
    host.systemd.broken["x.service"] = "exit-code"
    host.journals["x.service"] = ["reading config", "bad key on line 3"]
    with pytest.raises(CommandFailed) as failed:
        unit().apply(target(host), Values())
    assert "bad key on line 3" in (failed.value.output or "")
    assert failed.value.hint


def test_a_foreign_unit_runs_again_when_ours_is_gone() -> None:
    host = FakeHost()
    host.files["/usr/lib/systemd/system/x.service"] = File(b"[Service]\nEnvironment=OWNER=distro\n")
    host.systemd.start("x.service")
    host.systemd.enable("x.service")
    journal = Journal(host)
    journal.begin("test")
    for step in (unit_file(), unit()):
        journal.intend(step.id, step.undo(View(host, NoApi())))
        step.apply(target(host), Values())
    assert "OWNER" not in host.unit("x.service").environment
    host.systemd.stop("x.service")
    for _, undo in undo_list(host):
        if not undoing.is_done(undo, View(host, NoApi())):
            undoing.perform(undo, target(host))
    assert host.unit("x.service").environment == {"OWNER": "distro"}
    assert host.unit("x.service").enabled
    assert UNIT_PATH not in host.files


def test_a_unit_file_of_a_unit_that_never_ran_just_goes() -> None:
    converges(unit_file(), FakeHost())
