"""A plan: frozen steps and the order between them. Printing it is the dry run."""

from __future__ import annotations

import dataclasses
import graphlib
from collections.abc import Iterable, Mapping

from kubeboot.engine.step import CLUSTER, Ref, Step

Node = tuple[str, str]
"""Where and what: (on, id)."""


@dataclasses.dataclass(frozen=True)
class Plan:
    """What must happen. `roles` names each host's role; `skipped` are steps that the user took out."""

    command: str
    title: str
    steps: tuple[Step, ...]
    roles: Mapping[str, str] = dataclasses.field(default_factory=dict)
    skipped: frozenset[str] = frozenset()

    def without(self, phases: Iterable[str]) -> Plan:
        """The plan less some steps, named by id or by the part before the slash."""
        names = frozenset(phases)
        gone = {s.id for s in self.steps if s.id in names or s.id.split("/")[0] in names}
        kept = tuple(s for s in self.steps if s.id not in gone)
        return dataclasses.replace(self, steps=kept, skipped=self.skipped | gone)


def node(step: Step) -> Node:
    return (step.on, step.id)


def edges(plan: Plan) -> dict[Node, frozenset[Node]]:
    """Each step with the steps that must have ended before it. ValueError for a ref that names nothing."""
    names = _Names(plan)
    hard = _requirements(plan, names)
    return {node(s): hard[node(s)] | _found(names, s, s.behind) for s in plan.steps}


def requirements(plan: Plan) -> dict[Node, frozenset[Node]]:
    """Each step with the steps without whose success it cannot be done."""
    return _requirements(plan, _Names(plan))


def _requirements(plan: Plan, names: _Names) -> dict[Node, frozenset[Node]]:
    if len({node(s) for s in plan.steps}) != len(plan.steps):
        raise ValueError("two steps with one id on one host")
    givers: dict[str, list[Node]] = {}
    for s in plan.steps:
        for key in s.gives:
            givers.setdefault(key.name, []).append(node(s))
    return {
        node(s): _found(names, s, s.after)
        | frozenset(giver for key in s.needs for giver in givers.get(key.name, ()))
        for s in plan.steps
    }


class _Names:
    """The steps of a plan by what a ref may call them: an id, or its beginning up to a slash."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._known: dict[tuple[str, str], list[Node]] = {}
        self._places = tuple(dict.fromkeys(s.on for s in plan.steps))
        for s in plan.steps:
            for name in _names(s.id):
                self._known.setdefault((s.on, name), []).append(node(s))

    def find(self, step: Step, ref: Ref) -> list[Node]:
        """What a step means by a ref; ValueError for nothing."""
        where, _, what = ref.partition(":")
        hosts = self._hosts(where) if what else None
        name = ref if hosts is None else what
        found = self._near(step, ref) if hosts is None else self._at(hosts, name)
        if not found and not name.endswith("/") and name not in self._plan.skipped:
            raise ValueError(f"no step {ref!r} in this plan")
        return found

    def _at(self, places: Iterable[str], name: str) -> list[Node]:
        return [n for place in places for n in self._known.get((place, name), ())]

    def _near(self, step: Step, ref: Ref) -> list[Node]:
        """An unqualified ref: the same host, else the cluster; a cluster step also means every host."""
        found = self._at((step.on,), ref) or self._at((CLUSTER,), ref)
        return found or (self._at(self._places, ref) if step.on == CLUSTER else [])

    def _hosts(self, where: str) -> frozenset[str] | None:
        roles = self._plan.roles
        if where == CLUSTER or where in roles:
            return frozenset({where})
        if where in roles.values():
            return frozenset(host for host, role in roles.items() if role == where)
        return None


def _names(step_id: str) -> Iterable[str]:
    yield step_id
    yield from (step_id[: at + 1] for at, letter in enumerate(step_id) if letter == "/")


def _found(names: _Names, step: Step, refs: frozenset[Ref]) -> frozenset[Node]:
    return frozenset(n for ref in refs for n in names.find(step, ref)) - {node(step)}


def remaining(plan: Plan, order: Mapping[Node, frozenset[Node]]) -> dict[Node, float]:
    """Seconds from the start of each step to the end of the plan along its longest path."""
    cost = {node(s): s.cost for s in plan.steps}
    followers: dict[Node, list[Node]] = {n: [] for n in order}
    for n, before in order.items():
        for b in before:
            followers[b].append(n)
    known: dict[Node, float] = {}
    for n in reversed(ordered(order)):
        known[n] = cost[n] + max((known[f] for f in followers[n]), default=0.0)
    return known


def ordered(order: Mapping[Node, frozenset[Node]]) -> list[Node]:
    """One order of the steps that respects the plan."""
    return list(graphlib.TopologicalSorter(order).static_order())
