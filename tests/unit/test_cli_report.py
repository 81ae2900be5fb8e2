"""The plain reporter in every kind of terminal, which reporter a run gets, and events one at a time."""

from __future__ import annotations

import dataclasses
import re
import threading
from collections.abc import Callable
from typing import Any
from unittest import mock

import pytest

from kubeboot.cli import report, report_json, report_live, report_plain, report_plan, words
from kubeboot.cli.report_plain import Lines
from kubeboot.cli.runtime import Runtime
from kubeboot.cli.terminal import Terminal
from kubeboot.engine.events import (
    Event,
    RunFinished,
    RunStarted,
)
from tests.fakes.clock import Clock
from tests.unit.cli_support import golden
from tests.unit.report_support import BAD, GOOD, plain_text, wait

TERMINALS = {
    "pipe": Terminal(),
    "color": Terminal(color=True, smart=True, width=100),
    "ascii": Terminal(utf8=False),
    "narrow": Terminal(width=40),
}


@pytest.mark.parametrize("name", TERMINALS)
def test_plain(name: str) -> None:
    terminal = TERMINALS[name]
    said = [plain_text(GOOD, terminal), plain_text(BAD, terminal), plain_text(GOOD, terminal, verbose=True)]
    golden(f"cli-plain-{name}.txt", "\n".join(said))


def test_colour_is_never_the_only_signal() -> None:
    painted = plain_text(GOOD + BAD, Terminal(color=True))
    assert "\x1b[" in painted
    assert re.sub(r"\x1b\[[\d;]*m", "", painted) == plain_text(GOOD + BAD, Terminal())


def test_ascii_terminals_get_ascii_marks() -> None:
    said = plain_text(GOOD[1:], Terminal(utf8=False))
    assert said.isascii()
    assert "* " in said
    assert "up to 4m0s" in said


def test_a_long_wait_is_told_of_every_five_seconds() -> None:
    clock = Clock()
    lines = Lines(Terminal(), False, clock)
    told = []
    for second in range(12):
        clock.now = float(second)
        told.append(len(lines.of(wait(f"seen {second}"))))
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
    runtime = Runtime()
    runtime.settings = dataclasses.replace(runtime.settings, **change)
    assert type(report.choose(runtime)) is expected


def test_a_smart_terminal_gets_the_live_display_but_not_with_the_log_on_it() -> None:
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
