"""A live display: what runs now, what it waits for, how far it is; above it the plain reporter's lines."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from rich.console import Console as RichConsole
from rich.console import ConsoleOptions, RenderResult
from rich.live import Live as RichLive
from rich.text import Text

from kubeboot.cli import words
from kubeboot.cli.console import Console
from kubeboot.cli.report_fleet import FleetBoard, above
from kubeboot.cli.report_plain import Lines
from kubeboot.cli.terminal import Terminal
from kubeboot.engine.events import Event, RunFinished, RunStarted, StepFinished, StepStarted, StepWaiting

_ROWS = 6
_SPIN = {True: "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏", False: "|/-\\"}
_REFRESH = 8


class Board:
    """What is going on right now, drawn again several times a second."""

    def __init__(self, terminal: Terminal, lines: Lines, clock: Callable[[], float]) -> None:
        self._terminal = terminal
        self._lines = lines
        self._clock = clock
        self._began = clock()
        self._running: dict[tuple[str, str], tuple[StepStarted, float]] = {}
        self._waits: dict[tuple[str, str], StepWaiting] = {}
        self._lock = threading.RLock()

    def note(self, event: Event) -> None:
        """Take an event into account."""
        with self._lock:
            self._note(event)

    def _note(self, event: Event) -> None:
        match event:
            case RunStarted():
                self._began = self._clock()
            case StepStarted():
                self._running[event.host, event.step] = (event, self._clock())
            case StepWaiting():
                self._waits[event.host, event.step] = event
            case StepFinished():
                self._running.pop((event.host, event.step), None)
                self._waits.pop((event.host, event.step), None)
            case _:
                pass

    def text(self, width: int) -> list[str]:
        """The rows, none wider than the terminal; the longest running first."""
        now = self._clock()
        with self._lock:
            rows = [self._row(step, now - since) for step, since in self._running.values()]
        hidden = len(rows) - _ROWS
        if hidden > 0:
            rows = [*rows[:_ROWS], f"  and {hidden} more"]
        return [_cut(row, width, self._terminal.marks.cut) for row in [*rows, self._bar(width, now)]]

    def _row(self, step: StepStarted, elapsed: float) -> str:
        frames = _SPIN[self._terminal.utf8]
        spinner = frames[int(self._clock() * _REFRESH) % len(frames)]
        wait = self._waits.get((step.host, step.step))
        what = f": waiting for {wait.sentence} ({wait.last})" if wait else ""
        title = f"{words.prefix(step.host, self._lines.hosts)}{step.title}"
        return f"{spinner} {words.seconds(elapsed):>6} {title}{what}"

    def _bar(self, width: int, now: float) -> str:
        done, total = self._lines.done, max(1, self._lines.total)
        cells = max(0, min(30, width - 34))
        full = cells * done // total
        on, off = ("━", "─") if self._terminal.utf8 else ("=", "-")
        elapsed = words.seconds(now - self._began)
        return f"{on * full}{off * (cells - full)} {done}/{self._lines.total}  {elapsed}".lstrip()

    def __rich_console__(self, console: RichConsole, options: ConsoleOptions) -> RenderResult:
        for row in self.text(options.max_width):
            yield Text(row, no_wrap=True, overflow="crop")


def _cut(text: str, width: int, mark: str) -> str:
    return text if len(text) <= width else f"{text[: max(0, width - len(mark))]}{mark}"


class Live:
    """The board below, finished lines above it."""

    def __init__(
        self,
        console: Console,
        terminal: Terminal,
        *,
        verbose: bool = False,
        clock: Callable[[], float] = time.monotonic,
        screen: RichConsole | None = None,
    ) -> None:
        self._console = console
        self._lines = Lines(terminal, verbose, clock)
        self._board: Board | FleetBoard = Board(terminal, self._lines, clock)
        self._terminal, self._clock = terminal, clock
        self._verbose = verbose
        self._fleet = self._begun = False
        self._screen = screen or RichConsole(stderr=True, no_color=not terminal.color, highlight=False)
        self._live = RichLive(
            self._board,
            console=self._screen,
            refresh_per_second=_REFRESH,
            transient=True,
            redirect_stderr=False,
        )

    def show(self, event: Event) -> None:
        """Print the event's lines above the board, and take it into account there."""
        if isinstance(event, RunFinished):
            self.close()
        if isinstance(event, RunStarted) and event.fleet:
            self._fleet, self._board = True, FleetBoard(self._terminal, self._clock)
            self._live.update(self._board)
        self._board.note(event)
        for line in self._lines.of(event):
            if self._shows(event):
                self._screen.print(Text.from_ansi(line), soft_wrap=True)
        self._begun = isinstance(event, RunStarted) or (self._begun and not isinstance(event, RunFinished))
        if self._begun and not self._live.is_started:
            self._live.start(refresh=True)
            self._screen.show_cursor(True)  # so that a hard exit does not leave a terminal without one

    def _shows(self, event: Event) -> bool:
        """A wait is on the board while it lasts; of a fleet's steps only failures have lines, but for -v."""
        return not isinstance(event, StepWaiting) and (not self._fleet or self._verbose or above(event))

    def close(self) -> None:
        """Take the board away."""
        if self._live.is_started:
            self._live.stop()
