"""A fleet on one screen: a row for each machine at work, with its stage and step; the others are counted."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable

from rich.console import Console as RichConsole
from rich.console import ConsoleOptions, RenderResult
from rich.text import Text

from kubeboot.cli import words
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
    StepWaiting,
)

_ROWS = 16
_NAME, _STAGE = 16, 20


def above(event: Event) -> bool:
    """Whether an event has its own line above the table: what ends, what warns, what fails."""
    failed = isinstance(event, StepFinished) and event.state == "failed"
    return failed or isinstance(event, RunStarted | HostFinished | Notice | RunFinished)


class FleetBoard:
    """Who is at work now, drawn again several times a second."""

    def __init__(self, terminal: Terminal, clock: Callable[[], float]) -> None:
        self._terminal = terminal
        self._clock = clock
        self._began = clock()
        self._stages: dict[str, tuple[str, float]] = {}
        self._steps: dict[str, dict[str, str]] = {}
        self._ends: Counter[str] = Counter()
        self._lock = threading.Lock()

    def note(self, event: Event) -> None:
        """Take an event into account."""
        with self._lock:
            self._note(event)

    def _note(self, event: Event) -> None:
        match event:
            case HostStage():
                self._stages[event.host] = (event.stage, self._clock())
            case StepStarted():
                self._steps.setdefault(event.host, {})[event.step] = event.title
            case StepWaiting():
                self._steps.setdefault(event.host, {})[event.step] = f"waiting for {event.sentence}"
            case StepFinished():
                self._steps.get(event.host, {}).pop(event.step, None)
            case HostFinished():
                self._stages.pop(event.host, None)
                self._ends[words.HOST_STATES[event.state][0]] += 1
            case _:
                pass

    def text(self, width: int) -> list[str]:
        """The rows, none wider than the terminal; who is at it longest first."""
        now = self._clock()
        with self._lock:
            stages = sorted(self._stages.items(), key=lambda item: item[1][1])
            rows = [self._row(host, stage, now - since) for host, (stage, since) in stages[:_ROWS]]
            counts = ", ".join(f"{count} {state}" for state, count in self._ends.items())
        more = [f"  and {len(stages) - _ROWS} more"] if len(stages) > _ROWS else []
        last = f"{len(stages)} at work{f', {counts}' if counts else ''}  {words.seconds(now - self._began)}"
        return [self._cut(row, width) for row in (*rows, *more, last)]

    def _row(self, host: str, stage: str, elapsed: float) -> str:
        steps = list(self._steps.get(host, {}).values())
        step = f"{steps[0]}{f' and {len(steps) - 1} more' if len(steps) > 1 else ''}" if steps else ""
        return f"  {host:<{_NAME}} {stage:<{_STAGE}} {words.seconds(elapsed):>6}  {step}"

    def _cut(self, text: str, width: int) -> str:
        mark = self._terminal.marks.cut
        return text if len(text) <= width else f"{text[: max(0, width - len(mark))]}{mark}"

    def __rich_console__(self, console: RichConsole, options: ConsoleOptions) -> RenderResult:
        for row in self.text(options.max_width):
            yield Text(row, no_wrap=True, overflow="crop")
