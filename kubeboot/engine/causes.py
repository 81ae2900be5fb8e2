"""What is known to lie behind a line in a log: consulted whenever a wait ends without its condition.

It is the engine's, not a condition's, so that no condition can forget to ask.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator

from kubeboot import errors
from kubeboot.engine.cause import Cause
from kubeboot.engine.known_causes import CAUSES
from kubeboot.host.api import HostView

UNITS = ("kubelet", "containerd")
LOGS = "/var/log/pods"
NAMESPACES = ("kube-system_", "kube-flannel_")
LINES = 40
MOST = 3
VAGUE = frozenset({"no-route", "timeout", "refused"})
"""What follows from other causes more often than not: told where nothing better is known."""


@dataclasses.dataclass(frozen=True)
class Line:
    """A line of a log, and whose it is."""

    source: str
    text: str


@dataclasses.dataclass(frozen=True)
class Suspect:
    """A cause and the line that speaks for it."""

    cause: Cause
    line: Line

    def __str__(self) -> str:
        said = self.line.text.strip()
        return (
            f"likely cause: {self.cause.means}\n    seen in {self.line.source}: {said[:300]}\n"
            f"    fix: {self.cause.fix}"
        )


def find(
    lines: Iterable[Line], holds: Callable[[Suspect], bool] = lambda suspect: True
) -> tuple[Suspect, ...]:
    """What the lines speak for and `holds`, the more telling causes first; the latest line of each."""
    found: dict[str, Suspect] = {}
    for line in lines:
        cause = next((cause for cause in CAUSES if cause.pattern.search(line.text)), None)
        if cause is not None:
            found[cause.id] = Suspect(cause, line)
    found = {id: suspect for id, suspect in found.items() if holds(suspect)}
    order = [cause.id for cause in CAUSES]
    telling = [id for id in found if id not in VAGUE] or list(found)
    return tuple(found[id] for id in sorted(telling, key=order.index))[:MOST]


def diagnose(host: HostView, last: str, said: str) -> tuple[Suspect, ...]:
    """From what a condition saw and said, and else from what this machine's logs end with.

    What was seen last is so now; a log may keep what no longer is.
    """
    own = [Line("what was waited for", text) for text in (*said.splitlines(), last)]

    def holds(suspect: Suspect) -> bool:
        still, text = suspect.cause.still, suspect.line.text
        return still is None or text == last or still(host, text)

    try:
        return find([*_recent(host), *own], holds)
    except errors.KubebootError:
        return find(own)


def _recent(host: HostView) -> Iterator[Line]:
    for unit in UNITS:
        for text in host.journal_tail(f"{unit}.service", LINES).splitlines():
            yield Line(unit, text)
    for pod in host.listdir(LOGS):
        if pod.startswith(NAMESPACES):
            yield from _pod(host, f"{LOGS}/{pod}")


def _pod(host: HostView, folder: str) -> Iterator[Line]:
    for container in host.listdir(folder):
        logs = sorted(host.listdir(f"{folder}/{container}"), key=lambda n: (len(n), n))
        data = host.read(f"{folder}/{container}/{logs[-1]}") if logs else None
        for text in (data or b"").decode(errors="replace").splitlines()[-LINES:]:
            yield Line(container, text.split(" ", 3)[-1])
