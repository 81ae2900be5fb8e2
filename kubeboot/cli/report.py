"""Reporters consume the engine's events; `choose` picks the one that fits settings and terminal."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Iterator
from typing import Protocol

from kubeboot.cli.runtime import Runtime
from kubeboot.engine.events import Event

_log = logging.getLogger("kubeboot.events")


class Reporter(Protocol):
    """Shows events. Called by one thread at a time."""

    def show(self, event: Event) -> None: ...
    def close(self) -> None: ...


class Silent:
    """-q: nothing but the log."""

    def show(self, event: Event) -> None:
        """Say nothing."""

    def close(self) -> None:
        """Nothing to end."""


class Feed:
    """What the engine calls with each event: logs it, then shows it, one thread at a time."""

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter
        self._lock = threading.RLock()  # a signal's handler may speak while its thread does

    def __call__(self, event: Event) -> None:
        with self._lock:
            _log.debug("%s", event)
            self._reporter.show(event)

    @contextlib.contextmanager
    def asking(self) -> Iterator[None]:
        """Show nothing meanwhile: events wait until the question is answered."""
        with self._lock:
            self._reporter.close()
            yield


@contextlib.contextmanager
def feed(runtime: Runtime, *, plan: bool = False) -> Iterator[Feed]:
    """The feed of one run; its display is gone when it ends, however it ends."""
    reporter = choose(runtime, plan=plan)
    made = Feed(reporter)
    runtime.asking = made.asking
    try:
        yield made
    finally:
        reporter.close()


def choose(runtime: Runtime, *, plan: bool = False) -> Reporter:
    """JSON where it was asked for, a plan for dry runs, live on a smart terminal, else plain lines."""
    settings = runtime.settings
    if settings.json:
        from kubeboot.cli import report_json

        return report_json.Json(runtime.console)
    if plan:
        from kubeboot.cli import report_plan

        return report_plan.PlanLines(runtime.console.data, runtime.stdout, diffs=settings.verbose > 0)
    if settings.quiet:
        return Silent()
    terminal = runtime.stderr
    if terminal.smart and settings.verbose < 2:
        from kubeboot.cli import report_live

        return report_live.Live(runtime.console, terminal, verbose=settings.verbose > 0)
    from kubeboot.cli import report_plain

    return report_plain.Plain(runtime.console, terminal, verbose=settings.verbose > 0)


@contextlib.contextmanager
def preview(runtime: Runtime) -> Iterator[Feed]:
    """The feed of a plan that is shown before a question: to a person, not as data."""
    from kubeboot.cli import report_plan

    plan = report_plan.PlanLines(runtime.console.say, runtime.stderr, diffs=runtime.settings.verbose > 0)
    yield Feed(plan)
