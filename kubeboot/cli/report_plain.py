"""One line per step that changed something, was waited for or failed; the others are counted."""

from __future__ import annotations

import time
from collections.abc import Callable

from kubeboot.cli import words
from kubeboot.cli.console import Console
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

_PAUSE = 5.0
"""Seconds between two lines about the same wait."""


class Lines:
    """Which lines a run has. Keeps count; writes nothing itself."""

    def __init__(self, terminal: Terminal, verbose: bool, clock: Callable[[], float]) -> None:
        self._terminal = terminal
        self._verbose = verbose
        self._clock = clock
        self._waited: dict[tuple[str, str], float] = {}
        self.hosts: tuple[str, ...] = ()
        self.total = 0
        self.fleet = False
        self.done = 0

    def of(self, event: Event) -> list[str]:
        """The lines to print for an event."""
        match event:
            case RunStarted():
                self.hosts, self.total, self.done = event.hosts, event.steps, 0
                self.fleet = event.fleet
                return [words.started(event, self._terminal)]
            case StepStarted():
                return []
            case StepWaiting():
                return self._waiting(event)
            case StepFinished():
                return self._finished(event)
            case Notice():
                return [words.notice(event, self._terminal)]
            case RunFinished():
                return [words.summary(event) if not self.fleet else words.fleet_summary(event)]
            case HostStage():
                return [words.stage(event, self._terminal)] if self._verbose else []
            case HostFinished():
                return words.host_finished(event, self._terminal)

    def _waiting(self, event: StepWaiting) -> list[str]:
        now, key = self._clock(), (event.host, event.step)
        if now - self._waited.get(key, -_PAUSE) < _PAUSE:
            return []
        self._waited[key] = now
        return [words.waiting(event, self._terminal, self.hosts)]

    def _finished(self, event: StepFinished) -> list[str]:
        self.done += 1
        waited = self._waited.pop((event.host, event.step), None) is not None
        if event.state == "skipped" or (event.state == "ok" and not waited and not self._verbose):
            return []
        width = len(str(self.total))
        counter = f"[{self.done:>{width}}/{self.total}] " if self.total else ""
        return [words.finished(event, self._terminal, self.hosts, counter, waited=waited)]


class Plain:
    """Lines on stderr."""

    def __init__(
        self,
        console: Console,
        terminal: Terminal,
        *,
        verbose: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._console = console
        self._lines = Lines(terminal, verbose, clock)

    def show(self, event: Event) -> None:
        """Print the event's lines."""
        for line in self._lines.of(event):
            self._console.say(line)

    def close(self) -> None:
        """Nothing to end."""
