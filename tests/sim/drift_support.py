"""What a dry run and a run say of a machine in memory that somebody has changed."""

from __future__ import annotations

from kubeboot.engine import journal
from kubeboot.engine.events import Event, StepFinished
from kubeboot.engine.inspect import inspect
from kubeboot.engine.plan import Plan
from kubeboot.engine.run import Site, run
from kubeboot.engine.step import CLUSTER, View
from tests.fakes.world import World


def look(world: World, plan: Plan) -> dict[str, StepFinished]:
    """What a dry run says is to be done, by step."""
    events: list[Event] = []
    view = View(world.host, world.api)
    inspect(plan, {world.host.name: view, CLUSTER: view}, events.append)
    found = (event for event in events if isinstance(event, StepFinished))
    return {event.step: event for event in found if event.state != "ok"}


def rerun(world: World, plan: Plan) -> dict[str, StepFinished]:
    """What a run did, by step."""
    events: list[Event] = []
    book = journal.Journal(world.host)
    book.begin(plan.command)
    sites = {on: Site(world.target(on), book) for on in (world.host.name, CLUSTER)}
    assert run(plan, sites, events.append, timeout_scale=0.02).failures == ()
    found = (event for event in events if isinstance(event, StepFinished))
    return {event.step: event for event in found if event.state == "changed"}


def announced(found: dict[str, StepFinished]) -> set[str]:
    """The steps that are said to restart something."""
    return {step for step, event in found.items() if event.impact != "none" and event.change == "change"}
