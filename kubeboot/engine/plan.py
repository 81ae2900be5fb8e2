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
    hard = requirements(plan)
    by_node = {node(s): s for s in plan.steps}
    return {node(s): hard[node(s)] | _found(plan, by_node, s, s.behind) for s in plan.steps}


def requirements(plan: Plan) -> dict[Node, frozenset[Node]]:
    """Each step with the steps without whose success it cannot be done."""
    by_node = {node(s): s for s in plan.steps}
    if len(by_node) != len(plan.steps):
        raise ValueError("two steps with one id on one host")
    givers = {
        key.name: [node(s) for s in plan.steps if key in s.gives] for s in plan.steps for key in s.gives
    }
    return {
        node(s): _found(plan, by_node, s, s.after)
        | frozenset(giver for key in s.needs for giver in givers.get(key.name, ()))
        for s in plan.steps
    }


def _found(plan: Plan, by_node: Mapping[Node, Step], step: Step, refs: frozenset[Ref]) -> frozenset[Node]:
    found = frozenset(n for ref in refs for n in _resolve(plan, by_node, step, ref))
    return found - {node(step)}


def _resolve(plan: Plan, by_node: Mapping[Node, Step], step: Step, ref: Ref) -> list[Node]:
    where, _, what = ref.partition(":")
    hosts = _hosts(plan, where)
    if what and hosts is not None:
        return _named(plan, [n for n in by_node if n[0] in hosts], what, ref)
    return _named(plan, _near(by_node, step, ref), ref, ref)


def _hosts(plan: Plan, where: str) -> frozenset[str] | None:
    if where == CLUSTER or where in plan.roles:
        return frozenset({where})
    if where in plan.roles.values():
        return frozenset(host for host, role in plan.roles.items() if role == where)
    return None


def _near(by_node: Mapping[Node, Step], step: Step, ref: Ref) -> list[Node]:
    """Where an unqualified ref looks: the same host, else the cluster; a cluster step also on every host."""
    for place in ({step.on}, {CLUSTER}):
        found = [n for n in by_node if n[0] in place and _matches(n[1], ref)]
        if found:
            return found
    return list(by_node) if step.on == CLUSTER else []


def _named(plan: Plan, among: list[Node], ref: str, whole: Ref) -> list[Node]:
    found = [n for n in among if _matches(n[1], ref)]
    if not found and not ref.endswith("/") and ref not in plan.skipped:
        raise ValueError(f"no step {whole!r} in this plan")
    return found


def _matches(step_id: str, ref: str) -> bool:
    return step_id.startswith(ref) if ref.endswith("/") else step_id == ref


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
