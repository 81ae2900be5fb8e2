"""Who comes first where somebody is new: the newcomers, and the others while those wait for their Nodes."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterable, Iterator, Sequence

from kubeboot.engine.events import Emit, Event, StepStarted
from kubeboot.fleet import reach
from kubeboot.fleet.survey import Cluster
from kubeboot.inventory.model import Machine

AWAITED = "node/ready"
"""From this step on a machine that joins waits for others, and so has the processors to spare."""
NEWEST = 2
"""Machines that are reached before the cluster is known. More would be in the way of its control planes."""
GRACE = 2.0
"""Seconds within which a newcomer must have been reached, if the others are to wait for it."""
PATIENCE = 30.0
"""Seconds for which the others wait at most: what goes on longer is a download, or does not go on."""


def newest(machines: Sequence[Machine]) -> tuple[Machine, ...]:
    """Who may well be new, before that is known: whoever is added to a list stands at its end."""
    return tuple(machine for machine in machines if machine.role not in reach.HEADS)[-NEWEST:]


def newcomers(cluster: Cluster, machines: Iterable[Machine]) -> tuple[Machine, ...]:
    """Those that no Node tells of, by their names and addresses: it says who comes first, and nothing else.

    Balancers have no Nodes.
    """
    names = {peer.name for peer in cluster.around.peers}
    addresses = {address for peer in cluster.around.peers for address in peer.addresses}
    nodes = (machine for machine in machines if machine.role != "lb")
    return tuple(m for m in nodes if m.name not in names and m.address not in addresses)


def ahead(cluster: Cluster | None, machines: tuple[Machine, ...]) -> tuple[Machine, ...]:
    """Who is to be reached as early as can be: newcomers, or all where there are none."""
    return (newcomers(cluster, machines) if cluster else ()) or machines


class Turns:
    """Safe to use from several threads."""

    def __init__(self, first: Iterable[str]) -> None:
        self._first = frozenset(first)
        self._coming, self._busy = set(self._first), set[str]()
        self._changed = threading.Condition()

    def is_first(self, name: str) -> bool:
        """A newcomer."""
        return name in self._first

    @contextlib.contextmanager
    def turn(self, name: str) -> Iterator[None]:
        """A newcomer's is at once; the others' when no newcomer that answers keeps the workstation busy."""
        if not self.is_first(name):
            self.wait()
        try:
            yield
        finally:
            self._over(name)

    def reached(self, name: str) -> None:
        """It answers."""
        with self._changed:
            if name in self._coming:
                self._coming.discard(name)
                self._busy.add(name)
                self._changed.notify_all()

    def hearing(self, name: str, emit: Emit) -> Emit:
        """Tells events on, and knows by them when the machine waits."""

        def hear(event: Event) -> None:
            if isinstance(event, StepStarted) and event.step == AWAITED:
                self._over(name)
            emit(event)

        return hear

    def wait(self) -> None:
        """Until it is the others' turn."""
        with self._changed:
            self._changed.wait_for(lambda: not self._coming, GRACE)
            self._changed.wait_for(lambda: not self._busy, PATIENCE)

    def _over(self, name: str) -> None:
        with self._changed:
            self._coming.discard(name)
            self._busy.discard(name)
            self._changed.notify_all()
