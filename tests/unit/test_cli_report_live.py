"""The live reporter: it ends with the words of the plain one, and its board fits the terminal."""

from __future__ import annotations

import io
import re
from typing import Any
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console as RichConsole

from kubeboot.cli import report_live
from kubeboot.cli.report_plain import Lines
from kubeboot.cli.terminal import Terminal
from kubeboot.engine.events import (
    Event,
    RunStarted,
    StepStarted,
)
from tests.fakes.clock import Clock
from tests.unit.cli_support import golden
from tests.unit.report_support import BAD, GOOD, plain_text


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
    plain = re.sub(r"\x1b\[[\d;]*m", "", plain_text(events, terminal)).splitlines()
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
