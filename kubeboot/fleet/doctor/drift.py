"""What a rerun of the command that made a machine would change: each such thing is a finding."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from kubeboot import errors
from kubeboot.engine.events import Event, StepFinished
from kubeboot.engine.plan import Plan
from kubeboot.fleet.run import Others, dry_run
from kubeboot.host.api import HostView
from kubeboot.kube.api import ApiView
from kubeboot.steps.preflight import Finding

UNSEEN = ("token/",)
"""Steps whose drift is no illness: a token that has expired."""


def findings(
    planned: Callable[[], tuple[Plan, Others]], name: str, see: HostView, api: ApiView, command: str
) -> Iterable[Finding]:
    """By a dry run of the plan; what keeps that from being made is a finding too."""
    events: list[Event] = []
    try:
        plan, others = planned()
        dry_run(plan, name, see, api, events.append, others=others)
    except errors.KubebootError as error:
        hint = error.hint or f"kubeboot {command} --dry-run shows where"
        yield Finding("Drift", f"drift cannot be checked: {error.message}", hint, "warning")
    for event in events:
        if isinstance(event, StepFinished) and event.state != "ok" and not event.step.startswith(UNSEEN):
            yield Finding(
                f"Drift-{event.step}",
                f"{event.title}: {event.summary}",
                f"kubeboot {command} again: it changes that and nothing else",
            )
