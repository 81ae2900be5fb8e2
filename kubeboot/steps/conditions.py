"""What is waited for in the cluster's API. An API that does not answer is one more thing last seen."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from kubeboot.engine.step import View
from kubeboot.engine.values import Values
from kubeboot.kube.api import ApiUnavailable, Object

KUBELET = "kubelet.service"
_LINES = 15


@dataclasses.dataclass(frozen=True)
class _OfNode:
    """What a Node tells of itself. `name` is the Node's, and the machine's that is asked why not."""

    name: str
    deadline: float = 120.0

    def look(self, see: View, vals: Values) -> str | None:
        try:
            found = see.api.get("v1", "Node", self.name)
        except ApiUnavailable as error:
            return error.message
        return f"there is no Node {self.name} yet" if found is None else self.lacks(found)

    def lacks(self, node: Object) -> str | None:
        """What of the condition the Node does not show yet."""
        raise NotImplementedError

    def explain(self, see: View) -> str:
        return see.host.journal_tail(KUBELET, _LINES)


@dataclasses.dataclass(frozen=True)
class NodeRegistered(_OfNode):
    """The kubelet has made its Node."""

    @property
    def sentence(self) -> str:
        return f"the kubelet to register {self.name}"

    def lacks(self, node: Object) -> str | None:
        return None


@dataclasses.dataclass(frozen=True)
class NodeHasPodCidr(_OfNode):
    """The controller manager has given the Node its range of pod addresses."""

    @property
    def sentence(self) -> str:
        return f"{self.name} to be given a pod network"

    def lacks(self, node: Object) -> str | None:
        return None if node.get("spec", {}).get("podCIDR") else f"{self.name} has no podCIDR yet"

    def explain(self, see: View) -> str:
        return "kube-controller-manager assigns it; check its log, and whether the pod subnet is used up"


@dataclasses.dataclass(frozen=True)
class NodeReady(_OfNode):
    """The Node says Ready."""

    deadline: float = 240.0

    @property
    def sentence(self) -> str:
        return f"{self.name} to be Ready"

    def lacks(self, node: Object) -> str | None:
        return None if is_ready(node) else why(node, "Ready") or f"{self.name} has not reported yet"


@dataclasses.dataclass(frozen=True)
class ObjectExists:
    """Somebody has made an object."""

    api_version: str
    kind: str
    name: str
    namespace: str | None = None
    deadline: float = 120.0

    @property
    def sentence(self) -> str:
        where = f" in {self.namespace}" if self.namespace else ""
        return f"{self.kind} {self.name}{where}"

    def look(self, see: View, vals: Values) -> str | None:
        try:
            found = see.api.get(self.api_version, self.kind, self.name, self.namespace)
        except ApiUnavailable as error:
            return error.message
        return None if found is not None else "it is not there yet"

    def explain(self, see: View) -> str:
        return "a controller in kube-controller-manager makes it; check its log"


@dataclasses.dataclass(frozen=True)
class PodReadyOn:
    """A pod with these labels is Ready on a node."""

    node: str
    namespace: str
    labels: str
    deadline: float = 240.0

    @property
    def sentence(self) -> str:
        return f"a pod {self.namespace}/{self.labels} on {self.node} to be Ready"

    def look(self, see: View, vals: Values) -> str | None:
        try:
            pods = self._pods(see)
        except ApiUnavailable as error:
            return error.message
        if any(map(is_ready, pods)):
            return None
        return next((why(pod, "Ready") or "it is not Ready" for pod in pods), "it is not there yet")

    def explain(self, see: View) -> str:
        try:
            pods = self._pods(see)
        except ApiUnavailable as error:
            return error.message
        return "\n".join(f"{c['type']}: {c.get('message', '')}" for pod in pods for c in _conditions(pod))

    def _pods(self, see: View) -> list[Object]:
        found = see.api.list("v1", "Pod", self.namespace, self.labels)
        return [pod for pod in found if pod.get("spec", {}).get("nodeName") == self.node]


def is_ready(node: Object) -> bool:
    """Whether a Node or a Pod reports that it is ready."""
    return any(c.get("type") == "Ready" and c.get("status") == "True" for c in _conditions(node))


def why(obj: Object, kind: str) -> str | None:
    """What a Node or a Pod says of one of its conditions."""
    return next(
        (str(c.get("message") or c.get("reason")) for c in _conditions(obj) if c["type"] == kind), None
    )


def _conditions(obj: Object) -> Iterator[Mapping[str, Any]]:
    yield from obj.get("status", {}).get("conditions") or ()
