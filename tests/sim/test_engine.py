"""The engine on a machine in memory: failure, waits, interruption, resume."""

from __future__ import annotations

import dataclasses
import threading
import time

import pytest

from kubeboot import errors
from kubeboot.engine import execute
from kubeboot.engine import journal as journals
from kubeboot.engine.events import Event, StepFinished, StepStarted, StepWaiting
from kubeboot.engine.journal import Journal
from kubeboot.engine.plan import Plan
from kubeboot.engine.run import Site, run
from kubeboot.engine.step import Blocked, Drift, Later, Target, View
from kubeboot.engine.values import Values
from kubeboot.fleet.run import attempt
from kubeboot.host.api import CommandFailed
from kubeboot.kube.api import NoApi
from tests.fakes.host import FakeHost
from tests.sim.engine_steps import After, Put, Says, go, plan, put, states


def test_a_second_run_changes_nothing() -> None:
    host = FakeHost()
    first, _ = go(host, put("a"), put("b", "a"))
    before = host.snapshot()
    second, events = go(host, put("a"), put("b", "a"))
    assert (first.changed, second.changed, second.ok) == (2, 0, 2)
    assert states(events) == {"a": "ok", "b": "ok"}
    assert {k for k in host.snapshot()["files"] if "kubeboot" not in k} == {
        k for k in before["files"] if "kubeboot" not in k
    }


def test_a_failure_takes_its_followers_and_nothing_else() -> None:
    host = FakeHost()
    bad = Says(id="bad", title="Bad", on="cp-1", answer=Blocked("no", "do yes", "KB_NO"))
    outcome, events = go(host, bad, put("follower", "bad"), put("far", "follower"), put("other"))
    assert states(events) == {"bad": "failed", "follower": "skipped", "far": "skipped", "other": "changed"}
    with pytest.raises(errors.KubebootError, match="no") as caught:
        outcome.raise_for_failure()
    assert (caught.value.reason, caught.value.step, caught.value.host) == ("KB_NO", "bad", "cp-1")


def test_what_is_only_behind_a_failure_is_tried_all_the_same() -> None:
    bad = Says(id="bad", title="Bad", on="cp-1", answer=Blocked("no"))
    _, events = go(FakeHost(), bad, dataclasses.replace(put("next"), behind=frozenset({"bad"})))
    assert [(e.step, e.state) for e in events if isinstance(e, StepFinished)] == [
        ("bad", "failed"),
        ("next", "changed"),
    ]


def test_an_error_whose_effect_came_about_counts_as_done() -> None:
    host = FakeHost()
    host.fail_at("/etc/a", errors.Unreachable("the answer was lost"), after=True)
    outcome, _ = go(host, put("a"))
    assert (outcome.changed, outcome.failures) == (1, ())


def test_an_error_without_effect_fails() -> None:
    host = FakeHost()
    host.fail_at("/etc/a", errors.Unreachable("gone"))
    outcome, _ = go(host, put("a"))
    assert [e.message for e in outcome.failures] == ["gone"]


def test_a_step_that_does_not_converge_says_so() -> None:
    stubborn = Says(id="s", title="Stubborn", on="cp-1", answer=Drift("always"))
    outcome, _ = go(FakeHost(), stubborn)
    assert outcome.failures[0].reason == "KB_NOT_CONVERGED"


def test_what_cannot_be_known_in_a_run_is_an_error() -> None:
    outcome, _ = go(FakeHost(), Says(id="s", title="S", on="cp-1", answer=Later("the API server")))
    assert outcome.failures[0].reason == "KB_NOT_READY"


def test_a_bug_is_raised_after_the_others_have_ended() -> None:
    host = FakeHost()
    host.fail_at("/etc/a", ZeroDivisionError("a bug"))
    with pytest.raises(ZeroDivisionError):
        go(host, put("a"), put("b"))


def test_a_run_ends_whose_news_nobody_takes() -> None:
    """Else the run would wait for ever for the step whose beginning could not be told."""
    host = FakeHost()
    site = Site(Target(host, NoApi()), Journal(host))

    def deaf(event: Event) -> None:
        if isinstance(event, StepStarted):
            raise ZeroDivisionError("a bug")

    raised: list[BaseException] = []

    def go_deaf() -> None:
        try:
            run(plan(put("a"), put("b")), {"cp-1": site}, deaf)
        except ZeroDivisionError as error:
            raised.append(error)

    running = threading.Thread(target=go_deaf, daemon=True)
    running.start()
    running.join(30)
    assert [str(error) for error in raised] == ["a bug"]


def test_settling_reports_what_it_sees_and_waits() -> None:
    looks: list[int] = []
    step = dataclasses.replace(put("a"), settle=After(looks))
    outcome, events = go(FakeHost(), step)
    assert outcome.changed == 1
    assert [e.last for e in events if isinstance(e, StepWaiting)] == ["look 1", "look 2"]


@dataclasses.dataclass(frozen=True)
class Laborious(After):
    """Each look takes 20 ms of the CPU."""

    def look(self, see: View, vals: Values) -> str | None:
        end = time.thread_time() + 0.02
        while time.thread_time() < end:
            pass
        return super().look(see, vals)


def test_a_wait_leaves_the_cpu_to_what_it_waits_for() -> None:
    looks: list[int] = []
    began = time.monotonic()
    go(FakeHost(), dataclasses.replace(put("a"), settle=Laborious(looks)))
    waits = len(looks) - 1
    assert time.monotonic() - began >= waits * 0.02 / execute.SHARE > waits * execute.POLL


def test_a_timeout_names_the_last_thing_seen_and_explains() -> None:
    step = dataclasses.replace(put("a"), settle=After([], deadline=0.0))
    outcome, _ = go(FakeHost(), step)
    error = outcome.failures[0]
    assert isinstance(error, errors.TimedOut)
    assert "look 1" in error.message and error.output == "it was never looked at thrice"


@dataclasses.dataclass(frozen=True)
class Never(After):
    """What does not come."""

    def look(self, see: View, vals: Values) -> str | None:
        return "nothing"


def test_a_wait_does_not_outlast_by_much_what_failed_beside_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """An image that did not fit on the disk is told at once, not when its container is given up."""
    monkeypatch.setattr(execute, "GRACE", 0.2)
    host = FakeHost()
    host.fail_at("/etc/b", CommandFailed("no space left on device"))
    waiting = dataclasses.replace(put("a"), settle=Never([], deadline=300.0))
    began = time.monotonic()
    outcome, _ = go(host, waiting, put("b"))
    assert time.monotonic() - began < 30
    assert [error.step for error in outcome.failures] == ["b", "a"]
    full, given_up = (error.message for error in outcome.failures)
    assert "no space left" in full and given_up.startswith("waited ")


def test_stopping_finishes_what_runs_and_skips_the_rest() -> None:
    stop = threading.Event()
    host = FakeHost()

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class Stopper(Put):
        def apply(self, do: Target, vals: Values) -> None:
            super().apply(do, vals)
            stop.set()

    first = Stopper(id="a", title="A", on="cp-1", path="/etc/a")
    outcome, events = go(host, first, put("b", "a"), stop=stop)
    assert states(events) == {"a": "changed", "b": "skipped"}
    with pytest.raises(errors.Interrupted):
        outcome.raise_for_failure()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Meets(Put):
    """While it is at work somebody else comes."""

    def apply(self, do: Target, vals: Values) -> None:
        with (
            pytest.raises(errors.Occupied, match=r"pid \d+ since .*: kubeboot init, at step one"),
            do.host.lock(journals.LOCK, "bob"),
        ):
            pytest.fail("two hold the lock")
        super().apply(do, vals)


def test_who_comes_while_a_run_holds_the_machine_is_told_its_step() -> None:
    plan = Plan("init", "", (Meets(id="one", title="One", on="cp-1", path="/etc/one"),), {"cp-1": "worker"})
    assert attempt(plan, FakeHost(), NoApi(), lambda event: None).changed == 1
