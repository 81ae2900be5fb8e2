"""Run it again, proven: killed at every change of every step, one more run makes what a clean run makes."""

from __future__ import annotations

import dataclasses
import graphlib
import json
import threading
from collections.abc import Callable, Iterator

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from kubeboot.engine import journal
from kubeboot.engine import plan as plans
from kubeboot.engine.execute import Context, execute
from kubeboot.engine.places import Leave, Watched
from kubeboot.engine.step import Step, View
from kubeboot.engine.undo import Undo
from kubeboot.engine.values import Values
from kubeboot.plan import reset
from kubeboot.steps.basic import Await
from tests.fakes.world import State, World
from tests.sim.commands import (
    ETCD,
    FURTHER,
    INIT,
    JOIN,
    TOKEN,
    Command,
    Place,
    Recorder,
    a_machine,
    go,
    quiet,
    reset_of,
    reset_plan,
)
from tests.sim.pictures import bare, differing, essence


def ready(command: Command, world: World, vals: Values) -> Iterator[Step]:
    """The steps in an order in which nobody waits for what comes later."""
    steps = {plans.node(step): step for step in command.steps.steps}
    sorter = graphlib.TopologicalSorter(plans.edges(command.steps))
    sorter.prepare()
    waiting: list[Step] = []
    while sorter.is_active():
        waiting += [steps[n] for n in sorter.get_ready()]
        step = next(
            s for s in waiting if not isinstance(s, Await) or not s.condition.look(see(world, s), vals)
        )
        waiting.remove(step)
        yield step
        sorter.done(plans.node(step))


def see(world: World, step: Step) -> View:
    return world.target(step.on).see


def step_by_step(command: Command) -> int:
    """Kill at every place of every step, and run that step again on a copy of what is left then."""
    world, spare, count = command.make(), command.make(), 0
    vals, context = Values(), Context(Values(), quiet, threading.Event())
    book = journal.Journal(world.host)
    book.begin(command.name)
    for step in ready(command, world, vals):
        left: list[tuple[str, State]] = []

        def reach(name: str, operation: str, leave: Leave, left: list[tuple[str, State]] = left) -> None:
            clean = world.save()
            leave()
            world.sound()
            left.append((operation, world.save()))
            world.restore(clean)

        watched = dataclasses.replace(context, vals=vals, watch=Watched(reach))
        execute(step, world.target(step.on), book, watched)
        made, undone = essence(world), set(undoing(world))
        for operation, state in left:
            spare.restore(state)
            again = journal.Journal(spare.host)
            again.begin(command.name)
            execute(step, spare.target(step.on), again, dataclasses.replace(context, vals=vals))
            where = f"{command.name} killed at {step.id}:{operation}"
            assert differing(made, essence(spare)) == {}, where
            assert set(undoing(spare)) >= undone, where
            count += 1
    return count


def undoing(world: World) -> list[Undo]:
    return [undo for _, undo in journal.undo_list(world.host)]


def converges(command: Command, place: Place) -> None:
    """Killed there and run again once: as a clean run; once more: nothing; reset: nothing left."""
    world = command.killed(place)
    assert go(command.steps, world).failures == (), place
    assert differing(command.made, essence(world)) == {}, place
    assert go(command.steps, world).changed == 0, place
    assert go(reset_plan(world), world).failures == (), place
    assert differing(command.before, bare(world)) == {}, place


def taken_back(command: Command, place: Place) -> None:
    """Killed there and reset at once: nothing left."""
    world = command.killed(place)
    assert go(reset_plan(world), world).failures == (), place
    assert differing(command.before, bare(world)) == {}, place


def reset_again(command: Command, place: Place) -> None:
    """A reset that is killed there and run again leaves nothing."""
    world = reset_of(command).killed(place)
    assert go(reset_plan(world), world).failures == (), place
    assert differing(command.before, bare(world)) == {}, place
    assert reset_plan(world).steps == (), place


SAMPLED = settings(max_examples=12, derandomize=True, deadline=None, phases=(Phase.generate, Phase.target))
COMMANDS = (INIT, JOIN, ETCD, FURTHER)
by_name = pytest.mark.parametrize("command", COMMANDS, ids=lambda c: c.name)


@by_name
def test_each_step_killed_at_each_of_its_places_is_brought_about_by_one_more_run(command: Command) -> None:
    assert step_by_step(command) > 200
    assert step_by_step(reset_of(command)) > 200


@by_name
def test_a_run_killed_anywhere_and_run_again_is_a_clean_run(command: Command) -> None:
    @SAMPLED
    @given(st.sampled_from(command.clean[1]))
    def check(place: Place) -> None:
        converges(command, place)

    check()


@by_name
def test_a_run_killed_anywhere_can_be_taken_back(command: Command) -> None:
    @SAMPLED
    @given(st.sampled_from(command.clean[1]))
    def check(place: Place) -> None:
        taken_back(command, place)

    check()


@by_name
def test_a_reset_killed_anywhere_and_run_again_leaves_nothing(command: Command) -> None:
    @SAMPLED
    @given(st.sampled_from(reset_of(command).clean[1]))
    def check(place: Place) -> None:
        reset_again(command, place)

    check()


@pytest.mark.chaos
@by_name
def test_everything_everywhere(command: Command, tally: Callable[[int, int], None]) -> None:
    places, ends_of = command.clean[1], reset_of(command).clean[1]
    for place in places:
        converges(command, place)
        taken_back(command, place)
    for place in ends_of:
        reset_again(command, place)
    tally(len(places) + len(ends_of), len(places) + len(ends_of))


def test_every_change_has_a_place_before_and_after_it() -> None:
    world, recorder = a_machine(), Recorder()
    go(INIT.steps, world, Watched(recorder))
    ours = (
        change for change in world.host.changes if not change.subject.startswith("/var/lib/kubeboot/journal")
    )
    kept = sum(change.subject.startswith((journal.BEFORE, journal.HOME)) for change in world.host.changes)
    befores = sum(operation.startswith("before-") for _, operation in recorder.places)
    afters = sum(operation.startswith("after-") for _, operation in recorder.places)
    assert befores == afters
    assert 0 < len(list(ours)) + len(world.api.changes) - befores <= kept


def test_a_reset_killed_while_it_forgets_is_finished_by_the_next_one() -> None:
    world = a_machine()
    world.host.write(f"{journal.HOME}/before/0", b"")
    world.host.write(journal.LOCK, b"")
    assert reset.plan("cp-1", journal.undo_list(world.host)).steps == ()
    assert go(reset_plan(world), world).failures == ()
    assert differing(INIT.before, bare(world)) == {}


def test_no_secret_is_in_the_journal_or_in_a_config_map() -> None:
    world = INIT.clean[0]
    token = TOKEN.reveal()
    keys = [f.data for path, f in world.host.files.items() if path.endswith(".key")]
    assert len(keys) > 5
    bodies = [b"".join(key.splitlines()[1:-1]) for key in keys]
    home = [f.data for path, f in world.host.files.items() if path.startswith(journal.HOME)]
    maps = [json.dumps(o).encode() for o in world.api.objects.values() if o["kind"] == "ConfigMap"]
    for text in (*home, *maps):
        assert token.secret.encode() not in text
        assert b"PRIVATE KEY" not in text
        assert not [body for body in bodies if body in text.replace(b"\n", b"")]
