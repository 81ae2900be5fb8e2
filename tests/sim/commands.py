"""kubeboot's commands on machines in memory, which a test runs, kills at a place, and compares."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import threading
from collections.abc import Callable
from typing import Any

from kubeboot.config.spec import ClusterSpec
from kubeboot.engine import journal
from kubeboot.engine.events import Event
from kubeboot.engine.places import UNWATCHED, Leave, Watch, Watched
from kubeboot.engine.plan import Plan
from kubeboot.engine.run import Site, run
from kubeboot.engine.step import CLUSTER, Step
from kubeboot.engine.tally import Outcome
from kubeboot.engine.values import Secret
from kubeboot.fleet import leaving, shared
from kubeboot.kube import facts
from kubeboot.kube.api import NoApi
from kubeboot.kube.facts import ClusterFacts
from kubeboot.pki import tokens
from kubeboot.plan import etcd_machine, init, join, join_control_plane, remove, reset
from kubeboot.plan import node as nodes
from kubeboot.steps import haproxy
from kubeboot.steps import tokens as token_steps
from tests.fakes import tls
from tests.fakes.source import FakeSource
from tests.fakes.world import State, World
from tests.fakes.world_further import FurtherWorld
from tests.sim.pictures import bare, essence

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
    return init.plan(SPEC, node, SOURCE, token_steps.steps(node, TOKEN))


def join_plan(world: World) -> Plan:
    cluster = ClusterFacts(
        tls.authority().certificate,
        SPEC.model_copy(update={"control_plane_endpoint": "192.0.2.1:8443"}),
        "",
        (("192.0.2.1", 6443),),
        "v1.37.1",
    )
    spec = join.cluster_spec(SPEC, cluster)
    return join.plan(spec, nodes.settings(spec, world.host.facts(), "worker"), SOURCE, cluster)


def an_etcd_machine() -> World:
    return World("etcd-1")


def etcd_plan(world: World) -> Plan:
    node = nodes.settings(SPEC, world.host.facts(), "etcd")
    return etcd_machine.plan(SPEC, node, SOURCE)


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
    return join_control_plane.plan(cluster.spec, node, SOURCE, cluster, world.given)


def reset_plan(world: World) -> Plan:
    host = world.host
    touched = host.stat(journal.HOME) is not None
    return reset.plan(host.name, journal.undo_list(host), touched, leave(world))


def leave(world: World) -> tuple[Step, ...]:
    """As fleet.leaving finds it, by haproxy's servers alone."""
    given = shared.on_disk(world.host)
    mine = leaving.addresses(world.host)
    others = [host for host, _ in haproxy.known(world.host) if host not in mine]
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
