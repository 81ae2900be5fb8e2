"""A fleet's events: lines in a pipe, rows on a screen, a plan, JSON."""

from __future__ import annotations

import json

from kubeboot.cli import report_fleet, report_plan, words
from kubeboot.cli.report_json import Json
from kubeboot.cli.report_plain import Lines
from kubeboot.cli.terminal import Terminal
from kubeboot.engine.events import (
    Event,
    HostFinished,
    HostStage,
    Notice,
    RunFinished,
    RunStarted,
    StepFinished,
    StepStarted,
)
from tests.unit.cli_support import Paper

STARTED = RunStarted("up", "prod: hosts.ini", 0, ("cp-1", "w-1", "w-2"), fleet=True)
DEAD = HostFinished("w-2", "unreachable", message="w-2: no answer", hint="check the address")
EVENTS: tuple[Event, ...] = (
    STARTED,
    HostStage("cp-1", "changing"),
    StepStarted("kubelet/service", "cp-1", "Run the kubelet"),
    StepFinished("kubelet/service", "cp-1", "Run the kubelet", "changed", 1.0, 2.0),
    HostFinished("cp-1", "changed", ok=80, changed=1, seconds=3.0),
    HostFinished("w-1", "ok", ok=70),
    DEAD,
    RunFinished(1, 1, 1, 0, 12.0),
)


def plain(verbose: bool = False) -> list[str]:
    lines = Lines(Terminal(), verbose, lambda: 0.0)
    return [line for event in EVENTS for line in lines.of(event)]


def test_one_line_an_event_and_a_summary_of_machines() -> None:
    assert plain() == [
        "prod: hosts.ini · cp-1, w-1, w-2",
        f"✓ {'cp-1  Run the kubelet':<56}  1.0s",
        "cp-1  done, 1 changed  3.0s",
        "w-1  nothing to do",
        "w-2  unreachable: w-2: no answer",
        "  hint: check the address",
        "stopped after 12.0s: machines: 1 changed, 1 as they should be, 1 failed or unreachable",
    ]
    assert "cp-1  changing" in plain(verbose=True)


def board(*events: Event, width: int = 80) -> list[str]:
    clock = iter(range(100))
    made = report_fleet.FleetBoard(Terminal(), lambda: float(next(clock)))
    for event in events:
        made.note(event)
    return made.text(width)


def test_a_row_for_each_machine_at_work_with_stage_and_step() -> None:
    rows = board(*EVENTS[:3], HostStage("w-1", "looking"), DEAD)
    assert rows[0].split()[:2] == ["cp-1", "changing"] and rows[0].endswith("Run the kubelet")
    assert rows[1].split()[:2] == ["w-1", "looking"]
    assert rows[-1].startswith("2 at work, 1 unreachable")


def test_many_machines_keep_within_the_screen() -> None:
    rows = board(*(HostStage(f"machine-{n}", "connecting" * 10) for n in range(50)), width=40)
    assert len(rows) == 18 and "  and 34 more" in rows and all(len(row) <= 40 for row in rows)


def test_steps_of_a_fleet_have_no_lines_of_their_own_above_the_table() -> None:
    shown = [event for event in EVENTS if report_fleet.above(event)]
    assert not any(isinstance(event, StepFinished | StepStarted | HostStage) for event in shown)
    assert report_fleet.above(StepFinished("x", "cp-1", "x", "failed", 0.0, 0.0))
    assert report_fleet.above(Notice("warning", "x"))


def plan(*events: Event) -> list[str]:
    said: list[str] = []
    reporter = report_plan.PlanLines(said.append, Terminal())
    for event in events:
        reporter.show(event)
    return "\n".join(said).splitlines()


def test_a_plan_shows_each_machine_and_only_what_would_change() -> None:
    told = plan(
        STARTED,
        StepFinished("a/b", "cp-1", "A", "ok", 0.0, 0.0),
        StepFinished("kubelet/config", "cp-1", "K", "drift", 0.0, 0.0, "change x", "change", "restart"),
        HostFinished("cp-1", "drift", ok=1, changed=1),
        HostFinished("w-1", "ok", ok=2),
        DEAD,
        RunFinished(1, 1, 0, 0, 1.0),
    )
    assert "cp-1" in told and any("kubelet/config" in line and "[restart]" in line for line in told)
    assert not any("a/b" in line for line in told)
    assert "w-1  nothing to do" in told and "w-2  unreachable: w-2: no answer" in told
    assert told[-1] == "nothing was changed; something to do on 1 of 2 machines"


def test_the_verdicts_of_a_plan() -> None:
    assert words.fleet_verdict(RunFinished(3, 0, 0, 0, 1.0)) == "nothing would change on any of 3 machines"
    assert words.fleet_verdict(RunFinished(1, 0, 2, 0, 1.0)) == "2 machines could not be examined"
    assert words.fleet_verdict(RunFinished(1, 0, 1, 0, 1.0)) == "1 machine could not be examined"


def test_every_event_is_a_line_of_json() -> None:
    console = Paper()
    reporter = Json(console)  # type: ignore[arg-type]
    for event in EVENTS:
        reporter.show(event)
    found = [json.loads(line) for line in console.lines]
    assert [each["kind"] for each in found][:2] == ["RunStarted", "HostStage"]
    assert {key: found[-2][key] for key in ("kind", "host", "state")} == {
        "kind": "HostFinished",
        "host": "w-2",
        "state": "unreachable",
    }
