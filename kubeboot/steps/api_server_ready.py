"""The waits for this machine's API server: ready, and before that, sure of its components' rights."""

from __future__ import annotations

import dataclasses

from kubeboot import render
from kubeboot.engine.step import View
from kubeboot.engine.values import Values
from kubeboot.kube.api import ApiRefused, ApiUnavailable
from kubeboot.steps import conditions, pod_logs, static_pod
from kubeboot.steps.pod_manifest import INPUTS


@dataclasses.dataclass(frozen=True)
class ApiServerReady:
    """This machine's API server answers /readyz, and it is the one that its manifest asks for."""

    node: str
    deadline: float = 240.0
    sentence: str = "the API server to be ready"

    def look(self, see: View, vals: Values) -> str | None:
        last = self.lacks(see, vals)
        if last is not None:
            return last
        try:
            running = self._running(see)
        except ApiUnavailable as error:
            return error.message
        if running in (None, self._wanted(see)):
            return None
        return "the API server still runs with its old manifest"

    def lacks(self, see: View, vals: Values) -> str | None:
        """What keeps it from being ready."""
        return see.api.ready()

    def explain(self, see: View) -> str:
        return pod_logs.explain(see.host, self.node, ("kube-apiserver", "etcd"))

    def _wanted(self, see: View) -> str | None:
        manifest = see.host.read(f"{static_pod.MANIFESTS}/kube-apiserver.yaml")
        return None if manifest is None else render.load(manifest)["metadata"]["annotations"].get(INPUTS)

    def _running(self, see: View) -> str | None:
        """From the mirror pod; None where there is none yet (a first start), or nobody may read it yet."""
        try:
            found = see.api.get("v1", "Pod", f"kube-apiserver-{self.node}", "kube-system")
        except ApiRefused:
            return None
        return found["metadata"].get("annotations", {}).get(INPUTS) if found else None


@dataclasses.dataclass(frozen=True)
class ApiServerHasRights(ApiServerReady):
    """The API server has begun to write down what its components may do.

    That is about a second before it is ready, and about as long as the kubelet takes to start a pod: a
    component that comes up when the API server is ready neither waits nor finds itself without rights.
    """

    sentence: str = "the API server to know its components' rights"

    def lacks(self, see: View, vals: Values) -> str | None:
        return _RIGHTS.look(see, vals)


_RIGHTS = conditions.ObjectExists(
    "rbac.authorization.k8s.io/v1", "ClusterRole", "system:kube-controller-manager"
)
