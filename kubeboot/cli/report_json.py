"""Events as JSON lines on stdout, each with apiVersion and kind."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

from kubeboot.cli.console import Console
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

API_VERSION = "kubeboot.io/v1alpha1"


def line(kind: str, data: Mapping[str, Any]) -> str:
    """One object of this kind, on one line."""
    return json.dumps({"apiVersion": API_VERSION, "kind": kind, **data})


class Json:
    """One line per event."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._total = 0
        self._done = 0

    def show(self, event: Event) -> None:
        """Print the event."""
        kind, data = self._data(event)
        self._console.data(line(kind, data))

    def close(self) -> None:
        """Nothing to end."""

    def _data(self, event: Event) -> tuple[str, dict[str, Any]]:
        match event:
            case RunStarted():
                self._total, self._done = event.steps, 0
                return "RunStarted", dataclasses.asdict(event)
            case StepStarted():
                return "StepEvent", self._step(event.step, event.host, "started", name=event.title)
            case StepWaiting():
                return "StepEvent", self._waiting(event)
            case StepFinished():
                self._done += 1
                return "StepEvent", self._finished(event)
            case Notice():
                return "Notice", dataclasses.asdict(event)
            case HostStage() | HostFinished():
                return type(event).__name__, dataclasses.asdict(event)
            case RunFinished():
                return "RunFinished", dataclasses.asdict(event) | {"seconds": round(event.seconds, 3)}

    def _waiting(self, event: StepWaiting) -> dict[str, Any]:
        told = {"message": event.sentence, "last": event.last, "deadline": event.deadline}
        return self._step(event.step, event.host, "waiting", **told)

    def _finished(self, event: StepFinished) -> dict[str, Any]:
        told = {
            "name": event.title,
            "message": event.summary,
            "change": event.change,
            "impact": event.impact,
            "reason": event.reason,
            "diff": event.diff,
        }
        times = {"seconds": round(event.seconds, 3), "at": round(event.at, 3)}
        return self._step(event.step, event.host, event.state, **told, **times)

    def _step(self, step: str, host: str, state: str, **more: object) -> dict[str, Any]:
        count = {"currentstep": self._done, "totalsteps": self._total}
        said = {key: value for key, value in more.items() if value not in (None, "")}
        return {"step": step, "host": host, "state": state, **count, **said}
