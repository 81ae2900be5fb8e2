"""Run it again, proven: killed at every change of every step, one more run makes what a clean run makes."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import graphlib
import json
import operator
import re
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from kubeboot.config.spec import ClusterSpec
from kubeboot.engine import journal
from kubeboot.engine import plan as plans
from kubeboot.engine.events import Event
from kubeboot.engine.execute import Context, execute
from kubeboot.engine.failpoints import UNWATCHED, Leave, Watch, Watched
from kubeboot.engine.plan import Plan
from kubeboot.engine.run import Site, run
from kubeboot.engine.step import CLUSTER, Step, View
from kubeboot.engine.tally import Outcome
from kubeboot.engine.undo import Undo
from kubeboot.engine.values import Secret, Values
from kubeboot.fleet import leaving, shared
from kubeboot.kube import facts
from kubeboot.kube.api import NoApi
from kubeboot.kube.facts import ClusterFacts
from kubeboot.pki import tokens
from kubeboot.plan import etcd_machine, init, join, join_control_plane, remove, reset
from kubeboot.plan import node as nodes
from kubeboot.steps import load_balancer
from kubeboot.steps import tokens as token_steps
from kubeboot.steps.basic import Await
from tests.fakes import tls
from tests.fakes.api import BOOKKEEPING
from tests.fakes.entries import File
from tests.fakes.source import FakeSource
from tests.fakes.world import State, World
from tests.fakes.world_further import FurtherWorld

SPEC = ClusterSpec()
SOURCE = FakeSource()
TOKEN = Secret(tokens.parse("abcdef.0123456789abcdef"))
Place = tuple[str, str]


class Killed(BaseException):
    """As SIGKILL: nothing catches it, and nothing is changed any more."""


class Recorder:
    """The places of a run, in the order in which it passes them."""

    def __init__(self) -> None:
        self.places: list[Place] = []

    def __call__(self, step: str, operation: str, leave: Leave) -> None:
        self.places.append((step, operation))


class Killer:
    """Kills the run at one place."""

    def __init__(self, place: Place, stop: threading.Event) -> None:
        self._place = place
        self._stop = stop
        self.done = False

    def __call__(self, step: str, operation: str, leave: Leave) -> None:
        if self.done:
            raise Killed
        if (step, operation) == self._place:
            leave()
            self.done = True
            self._stop.set()
            raise Killed


def quiet(event: Event) -> None:
    """Nobody listens."""


def a_machine() -> World:
    return World("cp-1")


def a_worker() -> World:
    made = World("worker-1", tls.authority())
    for kind, name, space in (
        ("DaemonSet", "kube-flannel-ds", "kube-flannel"),
        ("DaemonSet", "kube-proxy", "kube-system"),
    ):
        made.api.put({"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": name, "namespace": space}})
    return made


def init_plan(world: World) -> Plan:
    node = nodes.settings(SPEC, world.host.facts(), "control_plane")
    return init.plan(SPEC, node, SOURCE, 2, token_steps.steps(node, TOKEN))


def join_plan(world: World) -> Plan:
    cluster = ClusterFacts(
        tls.authority().certificate,
        SPEC.model_copy(update={"control_plane_endpoint": "192.0.2.1:8443"}),
        "",
        (("192.0.2.1", 6443),),
        "v1.37.1",
    )
    spec = join.cluster_spec(SPEC, cluster)
    return join.plan(spec, nodes.settings(spec, world.host.facts(), "worker"), SOURCE, 2, cluster)


def an_etcd_machine() -> World:
    return World("etcd-1")


def etcd_plan(world: World) -> Plan:
    node = nodes.settings(SPEC, world.host.facts(), "etcd")
    return etcd_machine.plan(SPEC, node, SOURCE, 2)


def a_further_machine() -> FurtherWorld:
    return FurtherWorld(INIT.clean[0])


def further_plan(world: World) -> Plan:
    assert isinstance(world, FurtherWorld)
    cluster = ClusterFacts(
        world.given["ca.crt"],
        facts.cluster_spec(world.api),
        INIT.clean[0].host.files["/var/lib/kubelet/config.yaml"].data.decode(),
        (("192.0.2.11", 6443),),
        "v1.37.1",
    )
    node = nodes.settings(cluster.spec, world.host.facts(), "control_plane")
    return join_control_plane.plan(cluster.spec, node, SOURCE, 2, cluster, world.given)


def reset_plan(world: World) -> Plan:
    host = world.host
    touched = host.stat(journal.HOME) is not None
    return reset.plan(host.name, journal.undo_list(host), touched, leave(world))


def leave(world: World) -> tuple[Step, ...]:
    """As fleet.leaving finds it, by haproxy's servers alone."""
    given = shared.on_disk(world.host)
    mine = leaving.addresses(world.host)
    others = [host for host, _ in load_balancer.known(world.host) if host not in mine]
    if not isinstance(world, FurtherWorld) or not shared.is_complete(given, None) or not others:
        return ()
    going = remove.Going(world.host.name, mine, others[0], given["ca.crt"])
    return remove.steps("leave", going, by_name=False)


def go(plan: Plan, world: World, watch: Watch = UNWATCHED, stop: threading.Event | None = None) -> Outcome:
    """As fleet.run does it."""
    if not plan.steps:
        return run(plan, {}, quiet)
    book = journal.Journal(world.host)
    book.begin(plan.command)
    here = world.target(world.host.name)
    own = dataclasses.replace(here, api=NoApi()) if plan.command == "reset" else here
    sites = {world.host.name: Site(own, book), CLUSTER: Site(world.target(CLUSTER), book)}
    return run(plan, sites, quiet, stop=stop, timeout_scale=0.02, watch=watch)


SECRET = re.compile(r"/etc/kubernetes/(pki/.*|[a-z-]+\.conf)|/var/lib/kubelet/pki/.*|/var/lib/etcd/.*")
INPUTS = re.compile(rb"(kubeboot\.io/inputs: )\S+")
STAYS = ("net.bridge.bridge-nf-call-iptables", "net.bridge.bridge-nf-call-ip6tables")
"""Kernel modules stay, and bring these."""


def essence(world: World) -> dict[str, Any]:
    """What two runs have in common: not keys, signatures and what is computed from them."""
    found = world.host.snapshot()
    found["files"] = {path: _plain(path, file) for path, file in found["files"].items()}
    objects = sorted(map(_object, world.api.objects.values()), key=operator.itemgetter(0))
    return found | world.cluster() | {"objects": objects}


def _plain(path: str, file: File) -> File:
    data = b"***" if SECRET.fullmatch(path) else INPUTS.sub(rb"\1***", file.data)
    return dataclasses.replace(file, data=data)


def _object(obj: dict[str, Any]) -> tuple[str, object]:
    kind, meta = obj["kind"], obj["metadata"]
    if kind == "CertificateSigningRequest":
        return kind, None
    name = f"{kind} {meta.get('namespace')}/{meta['name']}"
    if kind == "Secret" or meta["name"] == "cluster-info":
        return name, sorted(obj["data"])
    ignored = (*BOOKKEEPING, "annotations") if kind == "Pod" else BOOKKEEPING
    return name, {**obj, "metadata": {key: value for key, value in meta.items() if key not in ignored}}


def bare(world: World) -> dict[str, Any]:
    """The machine without its modules, which nobody unloads."""
    found = world.host.snapshot(ignore=("/var/log/kubeboot",))
    found["sysctls"] = {key: value for key, value in found["sysctls"].items() if key not in STAYS}
    return {name: table for name, table in found.items() if name != "modules"} | world.cluster()


RACED = ("network/first-pods",)
"""flannel may have written what such a step is about to write: then it does less, and has no such place."""


@dataclasses.dataclass(frozen=True)
class Command:
    """A command with the world that it runs in, what a clean run makes of that, and the places it passes."""

    name: str
    make: Callable[[], World]
    plan: Callable[[World], Plan]

    @functools.cached_property
    def before(self) -> dict[str, Any]:
        return bare(self.make())

    @functools.cached_property
    def steps(self) -> Plan:
        return self.plan(self.make())

    @functools.cached_property
    def clean(self) -> tuple[World, list[Place]]:
        world, recorder = self.make(), Recorder()
        assert go(self.steps, world, Watched(recorder)).failures == ()
        return world, recorder.places

    @functools.cached_property
    def made(self) -> dict[str, Any]:
        return essence(self.clean[0])

    def killed(self, place: Place) -> World:
        world, stop = self.make(), threading.Event()
        killer = Killer(place, stop)
        with contextlib.suppress(Killed):
            go(self.steps, world, Watched(killer), stop)
            assert place[0] in RACED, f"{place} was not reached"
        world.sound()
        return world


INIT = Command("init", a_machine, init_plan)
JOIN = Command("join", a_worker, join_plan)
ETCD = Command("etcd init", an_etcd_machine, etcd_plan)
FURTHER = Command("join --control-plane", a_further_machine, further_plan)


def after(command: Command) -> Callable[[], World]:
    @functools.cache
    def state() -> State:
        return command.clean[0].save()

    def make() -> World:
        world = command.make()
        world.restore(state())
        return world

    return make


@functools.cache
def reset_of(command: Command) -> Command:
    return Command(f"reset after {command.name}", after(command), reset_plan)


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


def differing(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """By table, what is in one and not in the other."""
    found = {}
    for name in one.keys() | other.keys():
        has, wants = one.get(name), other.get(name)
        if has != wants and isinstance(has, dict) and isinstance(wants, dict):
            found[name] = {
                k: (has.get(k), wants.get(k)) for k in {*has, *wants} if has.get(k) != wants.get(k)
            }
        elif has != wants:
            found[name] = (has, wants)
    return found


def converges(command: Command, place: Place) -> None:
    """Killed there and run again once: as a clean run; once more: nothing; reset: nothing left."""
    world = command.killed(place)
    assert go(command.steps, world).failures == (), place
    assert differing(command.made, essence(world)) == {}, place
    assert go(command.steps, world).changed == 0, place
    assert go(reset_plan(world), world).failures == (), place
    assert differing(command.before, bare(world)) == {}, place


def goes(command: Command, place: Place) -> None:
    """Killed there and reset at once: nothing left."""
    world = command.killed(place)
    assert go(reset_plan(world), world).failures == (), place
    assert differing(command.before, bare(world)) == {}, place


def ends(command: Command, place: Place) -> None:
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
        goes(command, place)

    check()


@by_name
def test_a_reset_killed_anywhere_and_run_again_leaves_nothing(command: Command) -> None:
    @SAMPLED
    @given(st.sampled_from(reset_of(command).clean[1]))
    def check(place: Place) -> None:
        ends(command, place)

    check()


@pytest.mark.chaos
@by_name
def test_everything_everywhere(command: Command, tally: Callable[[int, int], None]) -> None:
    places, ends_of = command.clean[1], reset_of(command).clean[1]
    for place in places:
        converges(command, place)
        goes(command, place)
    for place in ends_of:
        ends(command, place)
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
