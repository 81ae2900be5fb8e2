"""A dry run's answer: what would be done, step by step."""

from __future__ import annotations

from collections.abc import Callable

from kubeboot.cli import words
from kubeboot.cli.terminal import Terminal
from kubeboot.engine.events import Event, HostFinished, Notice, RunFinished, RunStarted, StepFinished

LEGEND = "+ create  ~ change  - remove  = as it should be  ? known later  ! blocked"


class PlanLines:
    """One line per step, and what it would do to what runs; diffs where they are wanted."""

    def __init__(self, write: Callable[[str], None], terminal: Terminal, *, diffs: bool = False) -> None:
        self._write = write
        self._terminal = terminal
        self._diffs = diffs
        self._hosts: tuple[str, ...] = ()
        self._host = ""
        self._later = 0
        self._fleet = False

    def show(self, event: Event) -> None:
        """Print the event, if it belongs into a plan."""
        match event:
            case RunStarted():
                self._hosts, self._later, self._fleet = event.hosts, 0, event.fleet
                self._write(f"{words.started(event, self._terminal)}\n{LEGEND}")
            case StepFinished():
                self._step(event)
            case HostFinished():
                self._finished(event)
            case Notice():
                self._write(words.notice(event, self._terminal))
            case RunFinished():
                self._write(words.fleet_verdict(event) if self._fleet else _verdict(event, self._later))
            case _:
                pass

    def close(self) -> None:
        """Nothing to end."""

    def _step(self, event: StepFinished) -> None:
        self._later += event.state == "later"
        if self._fleet and event.state == "ok" and not self._diffs:
            return
        if len(self._hosts) > 1 and event.host != self._host:
            self._host = event.host
            self._write(self._terminal.paint("bold", words.host(event.host)))
        self._write(f"  {words.planned(event, self._terminal)}")
        if self._diffs and event.diff:
            self._write("\n".join(self._diff_line(text) for text in event.diff.splitlines()))

    def _finished(self, event: HostFinished) -> None:
        """A machine's own line where it has no steps to show, or could not be examined."""
        self._host = ""
        if event.state != "drift" or event.message:
            for line in words.host_finished(event, self._terminal):
                self._write(line)

    def _diff_line(self, text: str) -> str:
        if text.startswith("+"):
            return f"      {self._terminal.paint('good', text)}"
        return f"      {self._terminal.paint('bad', text) if text.startswith('-') else text}"


def _verdict(event: RunFinished, later: int) -> str:
    if event.failed:
        return f"{event.failed} blocked: a run would stop there"
    if not event.changed:
        return f"nothing would change: all {event.ok} steps are done already"
    known = event.changed - later
    said = [
        f"{known} to do" if known else "",
        f"{later} known only then" if later else "",
        f"{event.ok} done already" if event.ok else "",
    ]
    return f"nothing was changed; a run has {', '.join(text for text in said if text)}"
