"""Whole commands in memory, with keys and tokens that are looked for wherever they must not be."""

from __future__ import annotations

import base64
import dataclasses
import datetime
import functools
import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from kubeboot import log
from kubeboot.engine import inspect, journal
from kubeboot.engine.events import Event
from kubeboot.engine.plan import Plan
from kubeboot.engine.run import Site, run
from kubeboot.engine.step import CLUSTER
from kubeboot.engine.values import Secret
from kubeboot.fleet import shared
from kubeboot.fleet.access import create_token
from kubeboot.fleet.orders_cluster import TokenCreateOptions
from kubeboot.kube.api import NoApi
from kubeboot.pki import pem, tokens
from tests.fakes.world import World
from tests.sim import commands
from tests.sim.commands import Command

MADE = (commands.INIT, commands.JOIN, commands.ETCD, commands.FURTHER)
COMMANDS = (*MADE, *map(commands.reset_of, MADE))
KEY = "5e" * 32
OWN = ("/etc/kubernetes/", "/var/lib/kubelet/", "/var/lib/etcd/")
"""Where a machine's own secrets are."""


@dataclasses.dataclass
class Ran:
    """A world after a command: all that was told of it, and what was there to be told."""

    world: World
    events: list[Event]
    log: str
    canaries: list[bytes]


def secrets(world: World) -> Iterator[bytes]:
    """The bodies of private keys, plain and as kubeconfigs have them, tokens, and the certificate key."""
    yield from (commands.TOKEN.reveal().secret.encode(), KEY.encode())
    for file in world.host.files.values():
        for block in pem.blocks(file.data, "PRIVATE KEY"):
            yield block.splitlines()[1][24:60]
            yield base64.b64encode(block)[60:100]


@functools.cache
def ran(command: Command, logs: Path) -> Ran:
    """Run it with the log that it would have, where nobody has told the redactor of anything."""
    world, events = command.make(), list[Event]()
    before = list(secrets(world))
    kept = log.start(command.name.replace(" ", "-"), logs, log.Redactor())
    try:
        logging.getLogger("kubeboot").debug("plan: %r", command.steps)
        _look(command.steps, world, events)
        assert _go(command.steps, world, events)
        logging.getLogger("kubeboot").debug("events: %r", events)
    finally:
        kept.close()
    assert kept.path is not None
    return Ran(world, events, kept.path.read_text(), [*before, *secrets(world)])


def _look(plan: Plan, world: World, events: list[Event]) -> None:
    views = {name: world.target(name).see for name in (world.host.name, CLUSTER)}
    inspect.inspect(plan, views, events.append)


def _go(plan: Plan, world: World, events: list[Event]) -> bool:
    book = journal.Journal(world.host)
    book.begin(plan.command)
    here = world.target(world.host.name)
    own = dataclasses.replace(here, api=NoApi()) if plan.command == "reset" else here
    sites = {world.host.name: Site(own, book), CLUSTER: Site(world.target(CLUSTER), book)}
    return run(plan, sites, events.append, timeout_scale=0.02).failures == ()


def held(canaries: list[bytes], text: bytes) -> list[bytes]:
    return [canary for canary in canaries if canary in text]


@pytest.fixture(params=COMMANDS, ids=lambda command: command.name.replace(" ", "-"))
def done(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Ran:
    return ran(request.param, tmp_path_factory.getbasetemp() / "logs")


def test_there_is_something_to_find(done: Ran) -> None:
    assert len(set(done.canaries)) >= 4 and all(len(canary) >= 16 for canary in done.canaries)


def test_no_event_no_plan_and_no_log_holds_a_secret(done: Ran) -> None:
    assert held(done.canaries, "\n".join(map(repr, done.events)).encode()) == []
    assert held(done.canaries, done.log.encode()) == []


def test_secrets_lie_in_their_owner_s_files_alone(done: Ran) -> None:
    for path, file in done.world.host.files.items():
        if held(done.canaries, file.data):
            assert path.startswith(OWN), path
            assert file.mode & 0o077 == 0, f"{path}: {file.mode:o}"


def test_the_journal_and_what_it_keeps_hold_none(done: Ran) -> None:
    kept = {
        p: f.data
        for p, f in done.world.host.files.items()
        if p.startswith((journal.HOME, "/tmp/", "/var/log/"))
    }
    assert {path for path, data in kept.items() if held(done.canaries, data)} == set()


def test_only_secrets_of_the_cluster_hold_any(done: Ran) -> None:
    for obj in done.world.api.snapshot().values():
        if obj["kind"] != "Secret":
            assert held(done.canaries, json.dumps(obj).encode()) == [], obj["metadata"]["name"]


def test_what_is_uploaded_for_control_planes_is_sealed() -> None:
    world = commands.after(commands.INIT)()
    before = set(map(str, world.api.snapshot()))
    shared.upload(world.api, world.host, KEY)
    canaries = list(secrets(world))
    new = [obj for key, obj in world.api.snapshot().items() if str(key) not in before]
    assert {obj["metadata"]["name"] for obj in new} >= {"kubeadm-certs"}
    for obj in new:
        data = b"\n".join(base64.b64decode(value) for value in obj.get("data", {}).values())
        assert held(canaries, data + json.dumps(obj).encode()) == []


def test_a_token_s_secret_is_in_its_own_secret_alone() -> None:
    world = commands.after(commands.INIT)()
    given = tokens.generate()
    wanted = TokenCreateOptions(Secret(given.text), datetime.timedelta(hours=1), usages=("authentication",))
    made = create_token(world.api, wanted)
    assert given.secret not in repr(made)
    holds = [o for o in world.api.snapshot().values() if given.secret in json.dumps(o)]
    coded = base64.b64encode(given.secret.encode()).decode()
    holds += [o for o in world.api.snapshot().values() if coded in json.dumps(o)]
    assert {obj["metadata"]["name"] for obj in holds} == {f"bootstrap-token-{given.id}"}
