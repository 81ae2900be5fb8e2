"""What happened, as frozen values. Reporters in cli/ are their only consumers that print."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Literal

State = Literal["ok", "changed", "failed", "skipped", "later", "drift", "blocked"]


@dataclasses.dataclass(frozen=True)
class RunStarted:
    """`fleet`: machines are counted instead of steps, whose number is not known yet."""

    command: str
    title: str
    steps: int
    hosts: tuple[str, ...]
    fleet: bool = False


@dataclasses.dataclass(frozen=True)
class StepStarted:
    step: str
    host: str
    title: str


@dataclasses.dataclass(frozen=True)
class StepWaiting:
    """A settle condition does not hold yet; `last` is what was seen."""

    step: str
    host: str
    sentence: str
    deadline: float
    last: str


@dataclasses.dataclass(frozen=True)
class StepFinished:
    """`summary` and `diff` are those of the Drift that was found. Seconds since the step (the run) began."""

    step: str
    host: str
    title: str
    state: State
    seconds: float
    at: float
    summary: str = ""
    change: str = ""
    impact: str = "none"
    diff: str | None = None
    reason: str | None = None


@dataclasses.dataclass(frozen=True)
class Notice:
    """Something the operator should know that belongs to no step."""

    level: Literal["info", "warning"]
    message: str
    host: str = ""


@dataclasses.dataclass(frozen=True)
class RunFinished:
    ok: int
    changed: int
    failed: int
    skipped: int
    seconds: float
    interrupted: bool = False


HostState = Literal["ok", "changed", "failed", "unreachable", "skipped", "drift"]


@dataclasses.dataclass(frozen=True)
class HostStage:
    """What a machine of a fleet is about now: `connecting`, `joining` …"""

    host: str
    stage: str


@dataclasses.dataclass(frozen=True)
class HostFinished:
    """How it went on one machine of a fleet. Steps are counted; `message` and `hint` tell of a failure."""

    host: str
    state: HostState
    ok: int = 0
    changed: int = 0
    seconds: float = 0.0
    message: str = ""
    hint: str | None = None
    reason: str | None = None


Event = (
    RunStarted | StepStarted | StepWaiting | StepFinished | Notice | RunFinished | HostStage | HostFinished
)

Emit = Callable[[Event], None]
"""Whoever is told of events: a reporter, or what passes them on."""
