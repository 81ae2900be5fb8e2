"""What surrounds every command that does something: its log, its feed of events, its result."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import click

from kubeboot.cli import runtime

if TYPE_CHECKING:
    from kubeboot.cli.report import Feed


@contextlib.contextmanager
def working(ctx: click.Context, *, dry_run: bool = False) -> Iterator[Feed]:
    """Open the log and the reporter of this command. A dry run leaves no file behind, not even a log."""
    from kubeboot.cli import report

    now = logged(ctx, dry_run=dry_run)
    with report.feed(now, plan=dry_run) as emit:
        yield emit


def logged(ctx: click.Context, *, dry_run: bool = False) -> runtime.Runtime:
    """Open this command's log."""
    from kubeboot.engine import failpoints

    now = runtime.current(ctx)
    failpoints.watched(now.environ)
    now.command = ctx.command_path.removeprefix("kubeboot ").replace(" ", "-")
    now.open_log(to_disk=not dry_run)
    return now


def result(now: runtime.Runtime, kind: str, data: Mapping[str, Any], text: Callable[[], str]) -> None:
    """Print a command's answer on stdout, as JSON or as text."""
    if now.settings.json:
        from kubeboot.cli import report_json

        now.console.data(report_json.line(kind, data))
    elif answer := text():
        now.console.data(answer)


def told(now: runtime.Runtime, kind: str, data: Mapping[str, Any], text: str) -> None:
    """How a command ended: JSON on stdout where that was asked for, else words for a person on stderr."""
    if now.settings.json:
        result(now, kind, data, str)
    else:
        now.say(text)
