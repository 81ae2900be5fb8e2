"""Events as lines of text: the same words on a terminal, in a pipe and in the log."""

from __future__ import annotations

from collections.abc import Sequence

from kubeboot.cli.terminal import Paint, Terminal
from kubeboot.engine.events import (
    HostFinished,
    HostStage,
    Notice,
    RunFinished,
    RunStarted,
    StepFinished,
    StepWaiting,
)

_TITLE_WIDTH = 56
_CLUSTER = "@cluster"
CHANGES = {"create": "+", "change": "~", "remove": "-"}
"""The sign of a change in a plan."""


def seconds(value: float) -> str:
    """A duration as the lines end with it: `0.4s`, `2m5s`."""
    if value < 100:
        return f"{value:.1f}s"
    return f"{int(value) // 60}m{int(value) % 60}s"


def deadline(value: float) -> str:
    """A limit: `4m0s`, `90s` as `1m30s`, `5s`."""
    whole = round(value)
    return f"{whole // 60}m{whole % 60}s" if whole >= 60 else f"{whole}s"


def host(name: str) -> str:
    """A step's place as people call it."""
    return "cluster" if name == _CLUSTER else name


def prefix(name: str, hosts: Sequence[str]) -> str:
    """The machine in front of a line, where there is more than one to tell apart."""
    return f"{host(name)}  " if len(hosts) > 1 else ""


def started(event: RunStarted, terminal: Terminal) -> str:
    """The first line of a run."""
    dot = f" {terminal.marks.dot} "
    place = ", ".join(event.hosts) if len(event.hosts) <= 3 else f"{len(event.hosts)} machines"
    steps = f"{event.steps} steps" if event.steps != 1 else "1 step"
    known = [] if event.fleet else [steps]
    return dot.join([terminal.paint("bold", event.title), *([place] if place else []), *known])


def finished(
    event: StepFinished, terminal: Terminal, hosts: Sequence[str], counter: str = "", *, waited: bool = False
) -> str:
    """A step's last line."""
    failed = event.state == "failed"
    mark = terminal.marks.failed if failed else terminal.marks.done
    shown = terminal.paint("bad" if failed else "good", mark)
    title = f"{prefix(event.host, hosts)}{event.title}"
    there = event.state == "ok" and not waited
    note = " (already there)" if there else f" ({event.step})" if failed else ""
    return (
        f"{counter}{shown} {_padded(title + note, terminal)}  {terminal.paint('dim', seconds(event.seconds))}"
    )


def _padded(text: str, terminal: Terminal) -> str:
    return text if terminal.width and terminal.width < _TITLE_WIDTH + 24 else f"{text:<{_TITLE_WIDTH}}"


def waiting(event: StepWaiting, terminal: Terminal, hosts: Sequence[str]) -> str:
    """What a step waits for, how long at most, and what was seen last."""
    limit = f"{terminal.marks.at_most}{deadline(event.deadline)}"
    text = f"{prefix(event.host, hosts)}waiting {limit} for {event.sentence}: {event.last}"
    return f"{terminal.paint('note', terminal.marks.waiting)} {text}"


def notice(event: Notice, terminal: Terminal) -> str:
    """Something that belongs to no step."""
    place = f"{host(event.host)}: " if event.host else ""
    if event.level == "warning":
        return f"{terminal.paint('warn', 'warning:')} {place}{event.message}"
    return f"{place}{event.message}"


def summary(event: RunFinished) -> str:
    """The last line of a run."""
    counts = (
        (event.changed, "changed"),
        (event.ok, "already as it should be"),
        (event.failed, "failed"),
        (event.skipped, "not reached"),
    )
    said = ", ".join(f"{count} {what}" for count, what in counts if count)
    if event.interrupted:
        return f"interrupted after {seconds(event.seconds)}: {said or 'nothing was done'}"
    if event.failed:
        return f"stopped after {seconds(event.seconds)}: {said}"
    if not event.changed:
        return f"nothing changed: all {event.ok} steps were done already, in {seconds(event.seconds)}"
    return f"done in {seconds(event.seconds)}: {said}"


HOST_STATES: dict[str, tuple[str, Paint]] = {
    "ok": ("nothing to do", "good"),
    "changed": ("done", "good"),
    "failed": ("failed", "bad"),
    "unreachable": ("unreachable", "bad"),
    "skipped": ("not reached", "warn"),
    "drift": ("something to do", "warn"),
}
"""How it went on a machine, as people say it."""


def stage(event: HostStage, terminal: Terminal) -> str:
    """What a machine is about now."""
    return terminal.paint("dim", f"{event.host}  {event.stage}")


def host_finished(event: HostFinished, terminal: Terminal) -> list[str]:
    """A machine's last line, and what to do about it."""
    said, paint = HOST_STATES[event.state]
    counts = [f"{event.changed} changed"] if event.changed else []
    took = f"  {terminal.paint('dim', seconds(event.seconds))}" if event.seconds else ""
    why = f": {event.message}" if event.message else ""
    head = f"{event.host}  {terminal.paint(paint, ', '.join((said, *counts)))}{why}{took}"
    return [head, f"  {terminal.paint('note', 'hint:')} {event.hint}"] if event.hint else [head]


def fleet_summary(event: RunFinished) -> str:
    """The last line of a fleet's run: machines, not steps."""
    counts = (
        (event.changed, "changed"),
        (event.ok, "as they should be"),
        (event.failed, "failed or unreachable"),
        (event.skipped, "not reached"),
    )
    said = ", ".join(f"{count} {what}" for count, what in counts if count) or "no machine"
    how = "interrupted after" if event.interrupted else "stopped after" if event.failed else "done in"
    return f"{how} {seconds(event.seconds)}: machines: {said}"


def fleet_verdict(event: RunFinished) -> str:
    """The last line of a fleet's plan."""
    if event.failed:
        return f"{event.failed} {'machine' if event.failed == 1 else 'machines'} could not be examined"
    if event.changed:
        return (
            f"nothing was changed; something to do on {event.changed} of {event.ok + event.changed} machines"
        )
    return f"nothing would change on any of {event.ok} machines"


def planned(event: StepFinished, terminal: Terminal) -> str:
    """One step of a plan: its sign, what would be done, and what that does to what runs."""
    sign, how = _sign(event)
    text = f"{terminal.paint(how, sign)} {event.step:<34} {event.summary or event.title}"
    return (
        f"{text}  {terminal.paint('warn', f'[{event.impact}]')}"
        if event.impact != "none" and event.change == "change"
        else text
    )


def _sign(event: StepFinished) -> tuple[str, Paint]:
    match event.state:
        case "ok":
            return "=", "dim"
        case "later":
            return "?", "note"
        case "blocked" | "failed":
            return "!", "bad"
    sign = CHANGES.get(event.change, "~")
    return sign, "good" if sign == "+" else "bad" if sign == "-" else "warn"
