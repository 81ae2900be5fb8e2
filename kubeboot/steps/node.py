"""A machine's Node: registered by its kubelet, marked as what it is, and Ready."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

from kubeboot.config.node import NodeSettings
from kubeboot.config.spec import ClusterSpec
from kubeboot.engine.step import Check, Drift, Later, Ok, Ref, Step, Target, View
from kubeboot.engine.values import Values
from kubeboot.kube.api import ApiError, Object
from kubeboot.steps import basic, conditions, objects
from kubeboot.steps.kubelet import settings as kubelet_config

CONTROL_PLANE = "node-role.kubernetes.io/control-plane"
NO_EXTERNAL_BALANCER = "node.kubernetes.io/exclude-from-external-load-balancers"
TRIES = 5

Taint = tuple[str, str, str]
"""(key, value, effect)."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class MarkNode(Step):
    """A Node has these labels and taints. Others' taints stay; a control plane's own goes when unwanted."""

    node: str
    labels: tuple[tuple[str, str], ...]
    taints: tuple[Taint, ...]

    def check(self, see: View, vals: Values) -> Check:
        return objects.answered(see, lambda: self._check(see))

    def _check(self, see: View) -> Check:
        found = see.api.get("v1", "Node", self.node)
        if found is None:
            return Later(f"the Node {self.node}")
        missing = self._missing(found)
        return Drift(f"Node {self.node}: {', '.join(missing)}", "change") if missing else Ok()

    def apply(self, do: Target, vals: Values) -> None:
        """Taints are one list that the cluster's controllers write too: a lost race is run again."""
        for left in reversed(range(TRIES)):
            found = do.api.get("v1", "Node", self.node)
            if found is None:
                raise ApiError(f"there is no Node {self.node}", status=404)
            try:
                do.api.patch_merge("v1", "Node", self.node, self._patch(found))
                return
            except ApiError as error:
                if error.status != 409 or not left:
                    raise

    def _missing(self, node: Object) -> tuple[str, ...]:
        has, tainted = node["metadata"].get("labels") or {}, set(_taints(node))
        wants = set(self.taints)
        return (
            *(f"label {name}={value}" for name, value in self.labels if has.get(name) != value),
            *(f"taint {_text(taint)}" for taint in self.taints if taint not in tainted),
            *(f"no taint {_text(t)}" for t in sorted(tainted - wants) if t[0] == CONTROL_PLANE),
        )

    def _patch(self, node: Object) -> dict[str, Any]:
        replaced = {(key, effect) for key, _, effect in self.taints}
        others = [
            entry
            for entry in _listed(node)
            if entry["key"] != CONTROL_PLANE and (entry["key"], entry["effect"]) not in replaced
        ]
        mine = [_entry(*taint) for taint in self.taints]
        version = node["metadata"]["resourceVersion"]
        return {
            "metadata": {"resourceVersion": version, "labels": dict(self.labels)},
            "spec": {"taints": [*others, *mine] or None},
        }


def steps(
    spec: ClusterSpec, node: NodeSettings, after: Iterable[Ref] = ("kubelet/service", "control-plane/ready")
) -> tuple[Step, ...]:
    """For init: wait for the Node, mark it, wait until it is Ready."""
    mark = MarkNode(
        id="node/mark",
        title=f"Mark {node.name} as a control plane",
        on=node.name,
        after=frozenset({"node/registered"}),
        node=node.name,
        labels=(*_roles(spec), *kubelet_config.local(node), *node.labels),
        taints=node.taints,
    )
    return (_registered(node, after), mark, _ready(node))


def worker_steps(node: NodeSettings, after: Iterable[Ref] = ("kubelet/service",)) -> tuple[Step, ...]:
    """For join: labels and taints are the kubelet's to register, as a join token may not set them."""
    return (_registered(node, after), _ready(node))


def _roles(spec: ClusterSpec) -> tuple[tuple[str, str], ...]:
    """On a cluster of one machine no external load balancer has anywhere else to go."""
    return ((CONTROL_PLANE, ""),) if spec.single else ((CONTROL_PLANE, ""), (NO_EXTERNAL_BALANCER, ""))


def _registered(node: NodeSettings, after: Iterable[Ref]) -> Step:
    return basic.Await(
        id="node/registered",
        title=f"Wait for {node.name} to register",
        on=node.name,
        after=frozenset(after),
        condition=conditions.NodeRegistered(node.name),
        cost=2.0,
    )


def _ready(node: NodeSettings) -> Step:
    return basic.Await(
        id="node/ready",
        title=f"Wait for {node.name} to be Ready",
        on=node.name,
        after=frozenset({"node/registered"}),
        condition=conditions.NodeReady(node.name),
        cost=4.0,
    )


def _listed(node: Object) -> list[Mapping[str, Any]]:
    return list(node.get("spec", {}).get("taints") or ())


def _taints(node: Object) -> tuple[Taint, ...]:
    return tuple(_taint(entry) for entry in _listed(node))


def _taint(entry: Mapping[str, Any]) -> Taint:
    return entry["key"], entry.get("value") or "", entry["effect"]


def _entry(key: str, value: str, effect: str) -> dict[str, str]:
    return {"key": key, **({"value": value} if value else {}), "effect": effect}


def _text(taint: Taint) -> str:
    key, value, effect = taint
    return f"{key}={value}:{effect}" if value else f"{key}:{effect}"
