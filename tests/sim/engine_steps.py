"""Steps of a few words, and a run of them on a machine in memory."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Sequence

from kubeboot.engine.events import Event, StepFinished
from kubeboot.engine.journal import Journal
from kubeboot.engine.plan import Plan
from kubeboot.engine.run import Site, run
from kubeboot.engine.step import Check, Drift, Ok, Step, Target, View
from kubeboot.engine.tally import Outcome
from kubeboot.engine.undo import RemovePath, Undo
from kubeboot.engine.values import Key, Values
from kubeboot.kube.api import NoApi
from tests.fakes.host import FakeHost

COLOUR: Key[str] = Key("colour")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Put(Step):
    """Make a file exist."""

    path: str = ""
    data: bytes = b"x"

    def check(self, see: View, vals: Values) -> Check:
        return Ok() if see.host.read(self.path) == self.data else Drift(f"create {self.path}")

    def undo(self, see: View) -> Sequence[Undo]:
        return (RemovePath(self.path),)

    def apply(self, do: Target, vals: Values) -> None:
        do.host.write(self.path, self.data)

    def read(self, see: View, key: Key[str]) -> str:
        return (see.host.read(self.path) or b"").decode()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Says(Step):
    """Answer every check in one way; an apply that changes nothing."""

    answer: Check = Ok()

    def check(self, see: View, vals: Values) -> Check:
        return self.answer

    def apply(self, do: Target, vals: Values) -> None:
        pass


@dataclasses.dataclass(frozen=True)
class After:
    """Holds from the n-th look on."""

    looks: list[int]
    deadline: float = 5.0
    sentence: str = "the third look"

    def look(self, see: View, vals: Values) -> str | None:
        self.looks.append(1)
        return None if len(self.looks) >= 3 else f"look {len(self.looks)}"

    def explain(self, see: View) -> str:
        return "it was never looked at thrice"


def put(name: str, *after: str, **more: object) -> Put:
    return Put(id=name, title=f"Put {name}", on="cp-1", path=f"/etc/{name}", after=frozenset(after), **more)  # type: ignore[arg-type]


def plan(*steps: Step) -> Plan:
    return Plan("test", "a test", steps, {"cp-1": "control_plane"})


def go(host: FakeHost, *steps: Step, stop: threading.Event | None = None) -> tuple[Outcome, list[Event]]:
    journal = Journal(host)
    journal.begin("test")
    events: list[Event] = []
    target = Target(host, NoApi())
    site = Site(target, journal)
    return run(plan(*steps), {"cp-1": site, "@cluster": site}, events.append, stop=stop), events


def states(events: list[Event]) -> dict[str, str]:
    return {e.step: e.state for e in events if isinstance(e, StepFinished)}
