"""Reporters: the same words live and plain, in every kind of terminal; JSON lines; plans."""

from __future__ import annotations

import io
import json
import re
import threading
from collections.abc import Callable
from typing import Any
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console as RichConsole

from kubeboot.cli import report, report_json, report_live, report_plain, report_plan, words
from kubeboot.cli.report_plain import Lines
from kubeboot.cli.runtime import Runtime
from kubeboot.cli.terminal import Terminal
from kubeboot.engine.events import (
    Event,
    Notice,
    RunFinished,
    RunStarted,
    StepFinished,
    StepStarted,
    StepWaiting,
)
from tests.fakes.clock import Clock
from tests.unit.cli_support import Paper, golden

DIFF = "--- /etc/a\n+++ /etc/a\n@@ -1 +1 @@\n-old\n+new\n"


def _done(
    step: str, title: str, state: Any = "changed", *, host: str = "cp-1", seconds: float = 0.3, **more: Any
) -> Event:
    return StepFinished(step, host, title, state, seconds, 1.0, **more)


def _wait(last: str, host: str = "cp-1") -> StepWaiting:
    return StepWaiting("control-plane/ready", host, "the API server to answer", 240.0, last)


GOOD: tuple[Event, ...] = (
    RunStarted("init", "kubernetes · Kubernetes v1.37.1", 5, ("cp-1",)),
    Notice("warning", "swap is on; pods may be evicted oddly", "cp-1"),
    StepStarted("runtime/config", "cp-1", "Configure containerd"),
    StepStarted("pki/ca", "cp-1", "Make the cluster's CA"),
    _done("pki/ca", "Make the cluster's CA", "ok", seconds=0.01),
    _done(
        "runtime/config",
        "Configure containerd",
        summary="create /etc/containerd/config.toml",
        change="create",
    ),
    StepStarted("control-plane/ready", "cp-1", "Wait for the API server"),
    _wait("connection refused"),
    _wait("connection refused"),
    _wait("HTTP 500"),
    _done("control-plane/ready", "Wait for the API server", "ok", seconds=3.51),
    StepStarted("dns/answers", "cp-1", "Ask DNS"),
    Notice("info", "an image was there already"),
    _done("dns/answers", "Ask DNS", seconds=125.0),
    _done("node/ready", "Wait for the node", seconds=1.0),
    RunFinished(2, 3, 0, 0, 131.2),
)

BAD: tuple[Event, ...] = (
    RunStarted("join", "kubernetes · join", 3, ("w-1", "w-2")),
    StepStarted("kubelet/unit", "w-1", "Start the kubelet"),
    _wait("no route to host", "w-2"),
    _done("kubelet/unit", "Start the kubelet", "failed", host="w-1", seconds=61.0, reason="KB_TIMEOUT"),
    _done("node/ready", "Wait for the node", "skipped", host="w-1", seconds=0.0),
    _done("cluster/info", "Publish cluster-info", host="@cluster", seconds=0.2),
    RunFinished(0, 1, 1, 1, 61.4),
)

PLAN: tuple[Event, ...] = (
    RunStarted("init", "kubernetes · Kubernetes v1.37.1", 7, ("cp-1",)),
    _done("pki/ca", "Make the CA", "drift", summary="create /etc/kubernetes/pki/ca.crt", change="create"),
    _done(
        "kubelet/config",
        "Configure the kubelet",
        "drift",
        summary="change /etc/a",
        change="change",
        impact="restart",
        diff=DIFF,
    ),
    _done("runtime/old", "Remove what was", "drift", summary="remove /etc/b", change="remove"),
    _done("kernel/modules-file", "Load modules at boot", "ok"),
    _done("cluster/info", "Publish cluster-info", "later", summary="after the API server", host="@cluster"),
    _done(
        "etcd/manifest",
        "Run etcd",
        "blocked",
        summary="/var/lib/etcd belongs to cluster 0x1f",
        reason="KB_ETCD",
    ),
    RunFinished(1, 4, 1, 0, 0.2),
)


def _plain(events: tuple[Event, ...], terminal: Terminal, *, verbose: bool = False) -> str:
    paper = Paper()
    reporter = report_plain.Plain(paper, terminal, verbose=verbose, clock=Clock())  # type: ignore[arg-type]
    for event in events:
        reporter.show(event)
    reporter.close()
    return paper.text


TERMINALS = {
    "pipe": Terminal(),
    "color": Terminal(color=True, smart=True, width=100),
    "ascii": Terminal(utf8=False),
    "narrow": Terminal(width=40),
}


@pytest.mark.parametrize("name", TERMINALS)
def test_plain(name: str) -> None:
    terminal = TERMINALS[name]
    said = [_plain(GOOD, terminal), _plain(BAD, terminal), _plain(GOOD, terminal, verbose=True)]
    golden(f"cli-plain-{name}.txt", "\n".join(said))


def test_colour_is_never_the_only_signal() -> None:
    painted = _plain(GOOD + BAD, Terminal(color=True))
    assert "\x1b[" in painted
    assert re.sub(r"\x1b\[[\d;]*m", "", painted) == _plain(GOOD + BAD, Terminal())


def test_ascii_terminals_get_ascii_marks() -> None:
    said = _plain(GOOD[1:], Terminal(utf8=False))
    assert said.isascii()
    assert "* " in said
    assert "up to 4m0s" in said


def test_a_long_wait_is_told_of_every_five_seconds() -> None:
    clock = Clock()
    lines = Lines(Terminal(), False, clock)
    told = []
    for second in range(12):
        clock.now = float(second)
        told.append(len(lines.of(_wait(f"seen {second}"))))
    assert told == [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0]


def test_a_run_that_changes_nothing_says_so() -> None:
    assert (
        words.summary(RunFinished(84, 0, 0, 0, 1.24))
        == "nothing changed: all 84 steps were done already, in 1.2s"
    )


@pytest.mark.parametrize(
    ("event", "text"),
    [
        (RunFinished(1, 2, 0, 0, 3.0), "done in 3.0s: 2 changed, 1 already as it should be"),
        (
            RunFinished(1, 0, 1, 3, 3.0),
            "stopped after 3.0s: 1 already as it should be, 1 failed, 3 not reached",
        ),
        (RunFinished(0, 0, 0, 9, 3.0, True), "interrupted after 3.0s: 9 not reached"),
        (RunFinished(0, 0, 0, 0, 3.0, True), "interrupted after 3.0s: nothing was done"),
    ],
)
def test_summaries(event: RunFinished, text: str) -> None:
    assert words.summary(event) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0.0s"), (0.04, "0.0s"), (9.96, "10.0s"), (99.94, "99.9s"), (100.0, "1m40s"), (3725, "62m5s")],
)
def test_seconds(value: float, text: str) -> None:
    assert words.seconds(value) == text


def _screen(width: int = 80, **more: Any) -> RichConsole:
    return RichConsole(file=io.StringIO(), force_terminal=True, width=width, height=30, _environ={}, **more)


def _live(events: tuple[Event, ...], terminal: Terminal, screen: RichConsole) -> str:
    """What stays on the screen: with the refreshing thread off, and the board's own rows left out."""
    with mock.patch.object(report_live.RichLive, "start"):
        reporter = report_live.Live(mock.Mock(), terminal, clock=Clock(), screen=screen)
        for event in events:
            reporter.show(event)
        reporter.close()
    assert isinstance(screen.file, io.StringIO)
    return re.sub(r"\x1b\[[\d;?]*[a-zA-Z]", "", screen.file.getvalue())


@pytest.mark.parametrize("events", [GOOD, BAD], ids=["good", "bad"])
def test_live_ends_with_the_lines_of_plain(events: tuple[Event, ...]) -> None:
    terminal = Terminal(color=True, smart=True, width=100)
    shown = [line.rstrip() for line in _live(events, terminal, _screen(100)).splitlines()]
    plain = re.sub(r"\x1b\[[\d;]*m", "", _plain(events, terminal)).splitlines()
    assert shown == [line.rstrip() for line in plain if " waiting " not in line], "waits are on the board"


def _board(terminal: Terminal, clock: Clock, events: tuple[Event, ...]) -> report_live.Board:
    lines = Lines(terminal, False, clock)
    board = report_live.Board(terminal, lines, clock)
    for event in events:
        board.note(event)
        lines.of(event)
    return board


@pytest.mark.parametrize(("width", "utf8"), [(80, True), (80, False), (40, True), (20, True), (5, False)])
def test_board(width: int, utf8: bool) -> None:
    clock = Clock()
    board = _board(Terminal(smart=True, utf8=utf8, width=width), clock, GOOD[:8])
    clock.now += 2.5
    rows = board.text(width)
    assert all(len(row) <= width for row in rows)
    golden(f"cli-board-{width}-{'utf8' if utf8 else 'ascii'}.txt", "\n".join(rows) + "\n")


def test_the_board_shows_the_longest_running_first_and_counts_the_rest() -> None:
    clock = Clock()
    started = [StepStarted(f"images/{n}", "cp-1", f"Import image {n}") for n in range(9)]
    rows = _board(Terminal(smart=True), clock, (RunStarted("init", "x", 20, ("cp-1",)), *started)).text(60)
    assert [row.split()[-1] for row in rows[:6]] == list("012345")
    assert rows[6] == "  and 3 more"
    assert len(rows) == 8


def test_finished_steps_leave_the_board() -> None:
    assert len(_board(Terminal(smart=True), Clock(), GOOD).text(80)) == 1


@given(st.text(max_size=200), st.integers(1, 120))
def test_no_row_is_wider_than_the_terminal(title: str, width: int) -> None:
    board = _board(Terminal(smart=True), Clock(), (GOOD[0], StepStarted("a", "cp-1", title)))
    screen = _screen(width)
    screen.print(board)
    assert isinstance(screen.file, io.StringIO)
    shown = re.sub(r"\x1b\[[\d;]*m", "", screen.file.getvalue())
    assert all(cell_len(row) <= width for row in shown.split("\n"))


def test_the_live_display_leaves_the_cursor_and_nothing_behind() -> None:
    screen = _screen()
    reporter = report_live.Live(mock.Mock(), Terminal(smart=True, width=80), clock=Clock(), screen=screen)
    reporter.show(GOOD[0])
    reporter.show(GOOD[2])
    reporter.close()
    assert isinstance(screen.file, io.StringIO)
    written = screen.file.getvalue()
    assert written.rindex("\x1b[?25h") > written.rindex("\x1b[?25l")


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
        _done("etcd/member", "Join etcd", "failed", host="cp-2", seconds=61.0, reason="KB_ETCD_UNHEALTHY")
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
        _done("a/b", "A", "drift", host="cp-1", change="create", summary="create a"),
        _done("a/b", "A", "drift", host="w-1", change="create", summary="create a"),
        _done("c/d", "C", "ok", host="w-1"),
        RunFinished(1, 2, 0, 0, 0.1),
    )
    assert [line for line in _planned(events, diffs=False).splitlines()[2:] if not line.startswith(" ")] == [
        "cp-1",
        "w-1",
        "nothing was changed; a run has 2 to do, 1 done already",
    ]


def test_a_plan_that_has_nothing_to_do() -> None:
    events = (RunStarted("init", "x", 1, ("cp-1",)), _done("a", "A", "ok"), RunFinished(1, 0, 0, 0, 0.1))
    assert _planned(events, diffs=False).endswith("nothing would change: all 1 steps are done already\n")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, report_plain.Plain),
        ({"quiet": True}, report.Silent),
        ({"output": "json"}, report_json.Json),
        ({"output": "json", "quiet": True}, report_json.Json),
    ],
)
def test_the_reporter_fits_the_settings(change: dict[str, Any], expected: type) -> None:
    import dataclasses

    runtime = Runtime()
    runtime.settings = dataclasses.replace(runtime.settings, **change)
    assert type(report.choose(runtime)) is expected


def test_a_smart_terminal_gets_the_live_display_but_not_with_the_log_on_it() -> None:
    import dataclasses

    runtime = Runtime()
    with mock.patch.object(Runtime, "stderr", Terminal(smart=True, width=80)):
        assert type(report.choose(runtime)) is report_live.Live
        assert type(report.choose(runtime, plan=True)) is report_plan.PlanLines
        runtime.settings = dataclasses.replace(runtime.settings, verbose=2)
        assert type(report.choose(runtime)) is report_plain.Plain


def test_events_of_many_threads_come_one_at_a_time() -> None:
    inside: list[int] = []
    most: list[int] = []

    class Slow(report.Silent):
        def show(self, event: Event) -> None:
            inside.append(1)
            most.append(len(inside))
            inside.pop()

    feed = report.Feed(Slow())
    threads = [threading.Thread(target=lambda: [feed(GOOD[0]) for _ in range(50)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(most), max(most)) == (200, 1)


def test_a_signal_handler_may_speak_while_its_own_thread_does() -> None:
    said: list[Event] = []

    class Interrupted(report.Silent):
        def show(self, event: Event) -> None:
            if isinstance(event, RunStarted):
                feed(GOOD[1])
            said.append(event)

    feed: Callable[[Event], None] = report.Feed(Interrupted())
    feed(GOOD[0])
    assert said == [GOOD[1], GOOD[0]]
