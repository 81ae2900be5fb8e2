"""KUBEBOOT_FAIL: what it may say, what is refused, what it does; and runs that meet on one machine."""

from __future__ import annotations

import contextlib
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from kubeboot import errors
from kubeboot.engine import failpoints, places
from kubeboot.engine.failpoints import Failpoint, Failpoints, Recorder
from kubeboot.engine.places import Watched
from kubeboot.engine.step import Target
from kubeboot.fleet.run import holder
from kubeboot.host import locks
from kubeboot.host.local import LocalHost
from kubeboot.kube.api import NoApi
from tests.fakes.etcd import FakeEtcd, member
from tests.fakes.host import FakeHost

Pair = tuple[subprocess.Popen[str], ...]

ROUNDS = 200
HOLD = """
import sys, time
from kubeboot.host import locks
from kubeboot.host.local import LocalHost
with LocalHost("m").lock(sys.argv[1], "alice@ws1 pid 8 since 14:02:00: kubeboot init"):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("mode", failpoints.MODES)
@pytest.mark.parametrize("operation", ["journal", "settle", "before-1", "between-12", "after-3"])
@pytest.mark.parametrize("step", ["kubelet/config", "cluster/clusterrole-system:coredns"])
def test_a_step_s_id_may_hold_colons(step: str, operation: str, mode: str) -> None:
    point = Failpoint(step, operation, mode)  # type: ignore[arg-type]
    assert failpoints.parse(f"{step}:{operation}:{mode}") == Failpoints((point,))


def test_places_are_recorded_into_a_file(tmp_path: Path) -> None:
    found = failpoints.parse(f"record:{tmp_path}/places")
    assert found == Recorder(f"{tmp_path}/places")
    found.reach("a/b", "after-1", lambda: None)
    found.reach("a/b", "settle", lambda: None)
    assert (tmp_path / "places").read_text() == "a/b:after-1\na/b:settle\n"


@pytest.mark.parametrize(
    "text",
    ["x", ":", "::", "a:b", "a/b:after-1", "a/b:after-0:kill", "a/b:after:kill", "a/b:after-1:die", "record:",
     ":after-1:kill", "a/b::kill", "a/b:after-1:kill,", "a/b:after-1:kill,c",
     "a/b:AFTER-1:kill", "a/b:after-1:kill ", "\0:\0:\0"],
)  # fmt: skip
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(errors.UsageProblem, match="KUBEBOOT_FAIL") as caught:
        failpoints.watch({failpoints.VARIABLE: text}, {"a/b"})
    assert caught.value.exit_code == 2
    assert "KUBEBOOT_FAIL=STEP:OPERATION:MODE" in (caught.value.hint or "")


def test_a_step_that_the_plan_does_not_have_is_refused() -> None:
    with pytest.raises(errors.UsageProblem, match="no step c/d"):
        failpoints.watch({failpoints.VARIABLE: "c/d:after-1:kill"}, {"a/b"})


@pytest.mark.parametrize("environ", [{}, {failpoints.VARIABLE: ""}])
def test_unset_nothing_is_wrapped(environ: dict[str, str]) -> None:
    do = Target(FakeHost(), NoApi())
    assert failpoints.watch(environ, ()).target("a/b", do) is do


def test_every_way_to_change_a_machine_or_a_cluster_has_places() -> None:
    assert {"write", "put", "start", "kill", "import_images", "remove_tree"} < places.HOST_WRITES
    assert {"apply", "create", "patch_merge", "delete", "evict"} == places.API_WRITES
    assert {"add_learner", "promote", "remove"} == places.ETCD_WRITES
    assert not {"read", "stat", "lock", "dial"} & places.HOST_WRITES


def test_an_error_comes_where_it_was_asked_for() -> None:
    host = FakeHost()
    at = failpoints.parse("a/b:after-2:error")
    do = Watched(at.reach).target("a/b", Target(host, NoApi()))
    do.host.write("/etc/one", b"")
    with pytest.raises(errors.KubebootError, match="failing at after-2"):
        do.host.mkdir("/etc/two")
    assert [change.op for change in host.changes] == ["write", "mkdir"]


def test_of_several_places_the_first_that_is_come_to_is_meant(capfd: pytest.CaptureFixture[str]) -> None:
    at = failpoints.parse("a/b:after-2:error,a/b:before-2:error")
    do = Watched(at.reach).target("a/b", Target(FakeHost(), NoApi()))
    do.host.mkdir("/etc/one")
    with pytest.raises(errors.KubebootError, match="failing at before-2"):
        do.host.mkdir("/etc/two")
    assert capfd.readouterr().err == f"{failpoints.TOLD}a/b:before-2\n"


def test_etcd_s_members_are_changed_in_places_too() -> None:
    seen: list[str] = []
    etcd = FakeEtcd(member(1))
    do = Watched(lambda step, at, leave: seen.append(at)).target("a/b", Target(FakeHost(), NoApi(), etcd))
    with do.etcd.exclusively():
        do.etcd.add_learner("https://192.0.2.12:2380")
    assert (len(do.etcd.members()), seen) == (2, ["before-1", "after-1"])


def test_between_a_write_and_its_rename_there_is_a_temporary_file() -> None:
    host = FakeHost()
    at = failpoints.parse("a/b:between-1:error")
    do = Watched(at.reach).target("a/b", Target(host, NoApi()))
    with pytest.raises(errors.KubebootError):
        do.host.write("/etc/one", b"new")
    assert host.read("/etc/one") is None
    assert host.read("/etc/.one.kubeboot-00000000") == b"new"


def test_kill_is_sigkill() -> None:
    reach = "parse('a:settle:kill').reach('a', 'settle', lambda: None)"
    code = f"from kubeboot.engine.failpoints import parse; {reach}"
    assert subprocess.run((sys.executable, "-c", code), check=False).returncode == -signal.SIGKILL


@pytest.fixture
def held(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    argv = (sys.executable, "-c", HOLD, str(tmp_path / "lock"))
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_the_other_run_is_told_who_since_when_and_what(held: object, tmp_path: Path) -> None:
    with (
        pytest.raises(errors.Occupied, match="alice@ws1 pid 8 since 14:02:00: kubeboot init") as caught,
        LocalHost("m").lock(str(tmp_path / "lock"), holder("init")),
    ):
        pytest.fail("two hold the lock")
    assert caught.value.exit_code == 7


def test_a_killed_run_s_lock_frees_itself(held: subprocess.Popen[str], tmp_path: Path) -> None:
    held.kill()
    held.wait()
    with LocalHost("m").lock(str(tmp_path / "lock"), holder("init")):
        pass


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    argv = (sys.executable, "-m", "tests.unit.race", str(tmp_path / "lock"))
    with contextlib.ExitStack() as stack:
        yield tuple(
            stack.enter_context(
                subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            )
            for _ in range(2)
        )


def said(pair: Pair, first: int = 0) -> list[str]:
    """What each says, in their order, when all are told to go on at once."""
    for process in (pair[first], pair[1 - first]):
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    return [process.stdout.readline().strip() for process in pair if process.stdout is not None]


def test_of_two_runs_at_once_exactly_one_proceeds(pair: Pair) -> None:
    """They are told in turns: on a busy machine it may always be the first one who wins."""
    winners = set()
    for number in range(ROUNDS):
        ended = said(pair, number % 2)
        winner = ended.index("ran")
        told = rf"7 m is being changed by \S+ pid {pair[winner].pid} since [\d:]+: kubeboot init"
        assert re.match(told, ended[1 - winner]), ended
        assert said(pair) == ["left", "left"]
        winners.add(winner)
    assert winners == {0, 1}


def test_a_lock_file_that_reset_removes_excludes_nobody_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "SPEAKS", 0.0)  # nobody is to be told who
    path, host = tmp_path / "lock", LocalHost("m")
    not_ours: list[str] = []

    def reset() -> None:
        for _ in range(ROUNDS):
            try:
                with host.lock(str(path), "reset"):
                    path.unlink()
            except errors.Occupied:
                continue
            except FileNotFoundError:
                not_ours.append("somebody else held the lock, and removed its file")

    threads = [threading.Thread(target=reset) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not_ours == []


def test_a_malformed_value_ends_a_command_before_it_looks_at_anything() -> None:
    environ = {"PATH": "/usr/bin:/bin", "KUBEBOOT_FAIL": "nonsense", "PYTHONPATH": "."}
    argv = (sys.executable, "-m", "kubeboot", "reset", "--yes", "--dry-run")
    done = subprocess.run(argv, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "error: KUBEBOOT_FAIL=nonsense" in done.stderr and "Traceback" not in done.stderr
