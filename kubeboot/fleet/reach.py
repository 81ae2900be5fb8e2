"""Getting in: a connection to each machine of an inventory, a bounded number at a time, and its facts."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import TypeVar

from kubeboot import errors
from kubeboot.engine.events import Emit, HostStage
from kubeboot.fleet.logins import Open, Settling, open_host
from kubeboot.host.api import HostTarget, HostView
from kubeboot.host.facts import Facts
from kubeboot.host.local import LocalHost, LocalView
from kubeboot.host.ssh.batch import Batch
from kubeboot.host.ssh.host import SshHost
from kubeboot.host.ssh.pool import ROOM, Pool
from kubeboot.inventory.model import Machine, Role

POOL = 128
"""Machines that are worked on at a time; as many are looked at as may be connected to."""
AT_A_GATE = 4
"""Handshakes at a time through one jump host, whose sshd refuses more than ten (MaxStartups)."""
AHEAD = 16
"""Machines that are reached before they are wanted; a large fleet's wait until the cluster is known."""
QUESTIONS = 8
"""At most, about one machine: each may lead one jump host further."""
HEADS: tuple[Role, ...] = ("control_plane", "etcd")
"""Machines that tell what there is; the others follow from that."""

K = TypeVar("K")
T = TypeVar("T")


@dataclasses.dataclass(frozen=True)
class Reached:
    """A machine that answered. `ahead`: its clock of this one's, by so many seconds at least."""

    machine: Machine
    host: HostTarget
    facts: Facts
    ahead: float = 0.0

    @property
    def name(self) -> str:
        """Its name in the inventory."""
        return self.machine.name

    def view(self) -> HostView:
        """The machine without its writes; over SSH many looks at a time."""
        if isinstance(self.host, SshHost):
            return Batch(self.host.connection)
        return LocalView(self.host.name) if isinstance(self.host, LocalHost) else self.host

    def staying(self) -> AbstractContextManager[None]:
        """Its connection stays open meanwhile, whoever else is to be reached."""
        return self.host.connection.staying() if isinstance(self.host, SshHost) else contextlib.nullcontext()


@dataclasses.dataclass(frozen=True)
class Crew:
    """Who answered, in the inventory's order, and why the others did not."""

    reached: tuple[Reached, ...]
    lost: Mapping[str, errors.KubebootError]


class Approach:
    """The way in to machines, which are connected to when they are wanted."""

    def __init__(self, machines: Sequence[Machine], emit: Emit, opener: Open) -> None:
        self._emit, self._opener, self._pool = emit, opener, Pool()
        ways = {_gate(machine) for machine in machines}
        self._gates = {way: threading.Semaphore(AT_A_GATE if way else ROOM) for way in ways}
        self._hosts: dict[str, HostTarget] = {}
        self._aside = ThreadPoolExecutor(ROOM, thread_name_prefix="ahead")
        self._coming: dict[str, Future[Reached]] = {}

    def _open(self, machine: Machine) -> HostTarget:
        host = self._opener(machine)
        if isinstance(host, SshHost):
            host.connection.join(self._pool)
        return host

    def set_out(self, machines: Iterable[Machine]) -> None:
        """Some of those that will be wanted are reached from now on; `reach` answers with what came of it."""
        still = (machine for machine in machines if machine.name not in self._coming)
        for machine in itertools.islice(still, AHEAD):
            self._set_out(machine)

    def _set_out(self, machine: Machine) -> Future[Reached]:
        self._coming[machine.name] = self._aside.submit(self._arrive, machine)
        return self._coming[machine.name]

    def meet(self, machine: Machine, look: Callable[[Reached], T]) -> Future[T]:
        """What a first look at a machine comes to, once it has been reached; `reach` answers with it too."""
        coming = self._set_out(machine)
        return self._aside.submit(lambda: look(coming.result()))

    def reach(self, machine: Machine) -> Reached:
        """The machine with its facts; errors.Unreachable and its like say why not."""
        coming = self._coming.get(machine.name)
        return self._arrive(machine) if coming is None else coming.result()

    def _arrive(self, machine: Machine) -> Reached:
        self._emit(HostStage(machine.name, "connecting"))
        self._hosts[machine.name] = self._open(machine)
        for _ in range(QUESTIONS):
            try:
                return self._reach(machine)
            except errors.KubebootError as error:
                if not (isinstance(self._opener, Settling) and self._opener.settle(error)):
                    raise
                close(self._hosts[machine.name])
                self._hosts[machine.name] = self._open(machine)
        return self._reach(machine)

    def _reach(self, machine: Machine) -> Reached:
        """Others who come by the same jump host do not wait until a dead machine behind it is given up."""
        host, gate = self._hosts[machine.name], self._gates[_gate(machine)]
        if not (isinstance(host, SshHost) and host.connection.has_gates):
            with gate:
                return _asked(machine, host)
        with host.connection.staying():
            with gate:
                host.connection.pass_gates()
            return _asked(machine, host)

    def crew(self, machines: Iterable[Machine]) -> Crew:
        """Everybody of them who can be reached. One that cannot costs the others nothing."""
        found, lost = each({machine.name: machine for machine in machines}, self.reach, ROOM)
        return Crew(tuple(found.values()), lost)

    def verified_keys(self) -> dict[str, tuple[str, ...]]:
        """The host keys by which machines were believed so far, and their gateways, by machine."""
        hosts = {name: host for name, host in self._hosts.items() if isinstance(host, SshHost)}
        return {name: host.connection.verified_keys for name, host in hosts.items()}

    def close(self) -> None:
        """Close every connection."""
        self._aside.shutdown()
        for host in self._hosts.values():
            close(host)


def _asked(machine: Machine, host: HostTarget) -> Reached:
    """Its clock was read at some time in between."""
    began, facts, ended = time.time(), host.facts(), time.time()
    ahead = max(facts.clock - ended, 0.0) or min(facts.clock - began, 0.0)
    return Reached(machine, host, facts, ahead if facts.clock else 0.0)


@contextlib.contextmanager
def approach(machines: Sequence[Machine], emit: Emit, opener: Open = open_host) -> Iterator[Approach]:
    """Machines that are closed in the end."""
    way = Approach(machines, emit, opener)
    try:
        yield way
    finally:
        way.close()


@contextlib.contextmanager
def crew(machines: Sequence[Machine], emit: Emit, opener: Open = open_host) -> Iterator[Crew]:
    """Everybody who can be reached, and closed in the end."""
    with approach(machines, emit, opener) as way:
        yield way.crew(machines)


def each(
    items: Mapping[str, K], work: Callable[[K], T], room: int = POOL
) -> tuple[dict[str, T], dict[str, errors.KubebootError]]:
    """Work on all of them, so many at a time: what came of it by name, and the errors of the others."""
    done: dict[str, T] = {}
    failed: dict[str, errors.KubebootError] = {}
    if not items:
        return done, failed
    with ThreadPoolExecutor(min(room, len(items)), thread_name_prefix="machine") as pool:
        running = {name: pool.submit(work, item) for name, item in items.items()}
    for name, future in running.items():
        try:
            done[name] = future.result()
        except errors.KubebootError as error:
            failed[name] = error
    return done, failed


def close(host: HostTarget) -> None:
    """Close its connection, if there is one; it opens again when it is needed."""
    if isinstance(host, SshHost):
        host.close()


def _gate(machine: Machine) -> str:
    """The way that it shares with others."""
    said = {name.lower(): value for name, value in machine.access.options}
    return said.get("proxyjump", said.get("proxycommand", ""))
