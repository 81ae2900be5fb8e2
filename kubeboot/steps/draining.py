"""Taking what runs on a machine elsewhere before its Node goes, and clearing up after one that is gone."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterable, Sequence

from kubeboot import errors
from kubeboot.engine.step import Check, Drift, Ok, Step, Target, View
from kubeboot.engine.values import Values
from kubeboot.kube.api import ApiView, Object
from kubeboot.steps import conditions

OUT_OF_SERVICE = {"key": "node.kubernetes.io/out-of-service", "value": "removed", "effect": "NoExecute"}
"""Tells the cluster that the machine does not run, so that its volumes may be attached elsewhere at once."""
_MIRROR = "kubernetes.io/config.mirror"
_OVER = frozenset({"Succeeded", "Failed"})
_PAUSE = 2.0
_SHOWN = 5


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cordon(Step):
    """Nothing new comes to the node."""

    node: str

    def check(self, see: View, vals: Values) -> Check:
        if not alive(see.api, self.node):
            return Ok()
        found = see.api.get("v1", "Node", self.node) or {}
        return Ok() if found["spec"].get("unschedulable") else Drift(f"cordon {self.node}", "change")

    def apply(self, do: Target, vals: Values) -> None:
        do.api.patch_merge("v1", "Node", self.node, {"spec": {"unschedulable": True}})


@dataclasses.dataclass(frozen=True, kw_only=True)
class Drain(Step):
    """Every pod that can live elsewhere is evicted, as its PodDisruptionBudgets allow, and has ended.

    What a DaemonSet or the kubelet itself runs stays. A node that is not Ready, or ceases to be, is not
    waited for: nobody there could end a pod. `within`: seconds.
    """

    node: str
    within: float
    pause: Callable[[float], None] = dataclasses.field(default=time.sleep, repr=False)
    clock: Callable[[], float] = dataclasses.field(default=time.monotonic, repr=False)

    def check(self, see: View, vals: Values) -> Check:
        found = evictable(see.api, self.node) if alive(see.api, self.node) else []
        if not found:
            return Ok()
        lonely = [name(pod) for pod in found if not pod["metadata"].get("ownerReferences")]
        ends = f"; nothing will start these again: {shortened(lonely)}" if lonely else ""
        return Drift(f"evict {shortened(name(pod) for pod in found)}{ends}", "remove")

    def apply(self, do: Target, vals: Values) -> None:
        end = self.clock() + self.within
        while alive(do.api, self.node) and (found := evictable(do.api, self.node)):
            blocked = self._evict(do, found)
            if self.clock() > end:
                raise self._late(found, blocked)
            self.pause(_PAUSE)

    def _evict(self, do: Target, pods: Iterable[Object]) -> dict[str, str]:
        """Who may not be evicted now, and why."""
        staying = {}
        for pod in pods:
            meta = pod["metadata"]
            if "deletionTimestamp" in meta:
                continue
            refusal = do.api.evict(meta["name"], meta["namespace"])
            if refusal is not None:
                staying[name(pod)] = refusal
        return staying

    def _late(self, left: Sequence[Object], blocked: dict[str, str]) -> errors.TimedOut:
        ending = [f"{name(pod)}: is still ending" for pod in left if name(pod) not in blocked]
        return errors.TimedOut(
            f"{self.node} is not drained after {self.within:.0f}s: {shortened(name(pod) for pod in left)}",
            hint="make room for them elsewhere and run it again, or use --force to continue without them; "
            f"`kubectl uncordon {self.node}` if it is to stay",
            reason="KB_DRAIN",
            output="\n".join((*(f"{who}: {why}" for who, why in blocked.items()), *ending)),
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Detach(Step):
    """No volume is attached to a machine that is gone."""

    node: str

    def check(self, see: View, vals: Values) -> Check:
        node = see.api.get("v1", "Node", self.node)
        if node is None or conditions.is_ready(node):
            return Ok()
        count = len(attached(see.api, self.node))
        return Drift(f"have {count} volumes of {self.node} detached", "remove") if count else Ok()

    def apply(self, do: Target, vals: Values) -> None:
        """The taint alone; `settle` waits for what the cluster's controllers make of it."""
        node = do.api.get("v1", "Node", self.node) or {}
        taints = list(node["spec"].get("taints") or ())
        if OUT_OF_SERVICE not in taints:
            do.api.patch_merge("v1", "Node", self.node, {"spec": {"taints": [*taints, OUT_OF_SERVICE]}})


@dataclasses.dataclass(frozen=True)
class Detached:
    """Every VolumeAttachment of a node has gone; at once where there is none."""

    node: str
    deadline: float = 120.0

    @property
    def sentence(self) -> str:
        return f"the volumes of {self.node} to be detached"

    def look(self, see: View, vals: Values) -> str | None:
        node = see.api.get("v1", "Node", self.node)
        if node is None or conditions.is_ready(node):
            return None
        left = attached(see.api, self.node)
        return f"still attached: {shortened(left)}" if left else None

    def explain(self, see: View) -> str:
        return "kube-controller-manager and the volumes' CSI driver detach them; check their logs"


@dataclasses.dataclass(frozen=True, kw_only=True)
class NoPods(Step):
    """No pod is bound to a Node that is not there. The cluster's own garbage collection takes a minute."""

    node: str

    def check(self, see: View, vals: Values) -> Check:
        found = bound(see.api, self.node)
        return Drift(f"forget {shortened(map(name, found))}", "remove") if found else Ok()

    def apply(self, do: Target, vals: Values) -> None:
        for pod in bound(do.api, self.node):
            meta = pod["metadata"]
            do.api.delete("v1", "Pod", meta["name"], meta["namespace"], now=True)


def alive(api: ApiView, node: str) -> bool:
    """Whether there is someone on the machine who ends pods that are told to."""
    found = api.get("v1", "Node", node)
    return found is not None and conditions.is_ready(found)


def bound(api: ApiView, node: str) -> list[Object]:
    """The pods of a node."""
    return [pod for pod in api.list("v1", "Pod") if pod["spec"].get("nodeName") == node]


def evictable(api: ApiView, node: str) -> list[Object]:
    """Those that a drain is about."""
    return [pod for pod in bound(api, node) if not _stays(pod)]


def attached(api: ApiView, node: str) -> list[str]:
    """The VolumeAttachments of a node."""
    listed = api.list("storage.k8s.io/v1", "VolumeAttachment")
    return [str(found["metadata"]["name"]) for found in listed if found["spec"]["nodeName"] == node]


def name(pod: Object) -> str:
    """namespace/name."""
    return f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"


def shortened(names: Iterable[str]) -> str:
    """The first few, and how many more."""
    listed = list(names)
    more = len(listed) - _SHOWN
    return ", ".join(listed[:_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _stays(pod: Object) -> bool:
    meta = pod["metadata"]
    owners = meta.get("ownerReferences") or ()
    of_daemon = any(owner.get("kind") == "DaemonSet" and owner.get("controller") for owner in owners)
    mirror = _MIRROR in (meta.get("annotations") or {})
    return mirror or of_daemon or pod.get("status", {}).get("phase") in _OVER
