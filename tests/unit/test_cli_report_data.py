"""Events as JSON lines, and plans: what a run says to programs, and what it would do."""

from __future__ import annotations

import json

from kubeboot.cli import report_json, report_plan
from kubeboot.cli.terminal import Terminal
from kubeboot.engine.events import (
    Event,
    RunFinished,
    RunStarted,
)
from tests.unit.cli_support import Paper, golden
from tests.unit.report_support import BAD, GOOD, PLAN, done


def test_json_lines() -> None:
    paper = Paper()
    reporter = report_json.Json(paper)  # type: ignore[arg-type]
    for event in GOOD + BAD:
        reporter.show(event)
    for line in paper.lines:
        found = json.loads(line)
        assert found["apiVersion"] == "kubeboot.io/v1alpha1"
        assert "\n" not in line
    golden("cli-events.jsonl", paper.text)


def test_json_says_what_the_style_guide_says() -> None:
    paper = Paper()
    reporter = report_json.Json(paper)  # type: ignore[arg-type]
    reporter.show(RunStarted("init", "x", 7, ("cp-2",)))
    reporter.show(
        done("etcd/member", "Join etcd", "failed", host="cp-2", seconds=61.0, reason="KB_ETCD_UNHEALTHY")
    )
    found = json.loads(paper.lines[1])
    expected = {
        "apiVersion": "kubeboot.io/v1alpha1", "kind": "StepEvent", "step": "etcd/member", "host": "cp-2",
        "state": "failed", "reason": "KB_ETCD_UNHEALTHY", "currentstep": 1, "totalsteps": 7, "seconds": 61.0,
    }  # fmt: skip
    assert found == {**found, **expected}


def _planned(events: tuple[Event, ...], *, diffs: bool, terminal: Terminal = Terminal()) -> str:  # noqa: B008 - frozen
    paper = Paper()
    reporter = report_plan.PlanLines(paper.say, terminal, diffs=diffs)
    for event in events:
        reporter.show(event)
    reporter.close()
    return paper.text


def test_a_plan() -> None:
    golden("cli-plan.txt", _planned(PLAN, diffs=False))
    golden("cli-plan-diffs.txt", _planned(PLAN, diffs=True))
    assert "diffs" not in _planned(PLAN, diffs=False)


def test_a_plan_of_several_machines_has_a_heading_for_each() -> None:
    events = (
        RunStarted("up", "x", 3, ("cp-1", "w-1")),
        done("a/b", "A", "drift", host="cp-1", change="create", summary="create a"),
        done("a/b", "A", "drift", host="w-1", change="create", summary="create a"),
        done("c/d", "C", "ok", host="w-1"),
        RunFinished(1, 2, 0, 0, 0.1),
    )
    assert [line for line in _planned(events, diffs=False).splitlines()[2:] if not line.startswith(" ")] == [
        "cp-1",
        "w-1",
        "nothing was changed; a run has 2 to do, 1 done already",
    ]


def test_a_plan_that_has_nothing_to_do() -> None:
    events = (RunStarted("init", "x", 1, ("cp-1",)), done("a", "A", "ok"), RunFinished(1, 0, 0, 0, 0.1))
    assert _planned(events, diffs=False).endswith("nothing would change: all 1 steps are done already\n")
