"""New machines of a run against each other: before there is a cluster, nobody else can tell."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from kubeboot.config.spec import ClusterSpec
from kubeboot.fleet.tasks import Task
from kubeboot.kube.surroundings import Machine
from kubeboot.steps import preflight


class Arrivals:
    """Who is new, in the order in which they were examined. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tasks: list[Task] = []

    def add(self, task: Task) -> tuple[Task, ...]:
        """Those that came before this one, which is one of them from now on."""
        with self._lock:
            names = [each.name for each in self._tasks]
            if task.name not in names:
                self._tasks.append(task)
                names.append(task.name)
            return tuple(self._tasks[: names.index(task.name)])


def compared(task: Task, earlier: Sequence[Task], ignored: frozenset[str]) -> tuple[preflight.Finding, ...]:
    """A clone, an address that two have, and a clock that differs from the first machine's."""
    if task.node is None or not earlier:
        return ()
    peers = tuple(
        Machine(each.node.name, each.who.facts.machine_id, addresses=(each.node.address,))
        for each in earlier
        if each.node is not None
    )
    around = preflight.Surroundings(peers, ahead=task.who.ahead - earlier[0].who.ahead)
    scene = preflight.Scene(ClusterSpec(), task.node, task.who.facts, task.who.view(), cluster=around)
    return preflight.examine(scene, preflight.BESIDE, ignored)
