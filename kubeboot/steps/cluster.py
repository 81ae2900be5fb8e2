"""What a cluster says of itself and who may read it: one burst of objects once the API answers."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

from kubeboot.config.spec import ClusterSpec
from kubeboot.engine.step import CLUSTER, Ref, Step
from kubeboot.engine.values import Values
from kubeboot.kube import configmaps, rbac
from kubeboot.kube.api import Object
from kubeboot.steps import objects
from kubeboot.steps.authorities import CA

NAMESPACES = ("default", rbac.PUBLIC, rbac.SYSTEM)
"""The API server makes them too, but not before it says that it is ready."""

_IDS = {
    configmaps.KUBEADM: "cluster/kubeadm-config",
    configmaps.KUBELET: "cluster/kubelet-config",
    configmaps.KUBEBOOT: "cluster/kubeboot-config",
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class EnsureClusterInfo(objects.EnsureObject):
    """ConfigMap cluster-info, with the authority that step pki/ca gives."""

    obj: Object = dataclasses.field(default_factory=dict, repr=False)
    control_plane: str

    def wanted(self, vals: Values) -> Object | None:
        pair = vals.get(CA)
        return configmaps.cluster_info(pair.reveal().certificate, self.control_plane) if pair else None


def steps(
    spec: ClusterSpec,
    control_plane: str,
    kubelet_config: Mapping[str, Any],
    after: Iterable[Ref] = ("control-plane/ready",),
) -> tuple[Step, ...]:
    """Namespaces, RBAC and ConfigMaps. `control_plane` is the endpoint as "host:port"."""
    settings = (
        configmaps.kubeadm_config(spec, control_plane),
        configmaps.kubelet_config(kubelet_config),
        configmaps.kubeboot_config(spec, control_plane),
    )
    balancers = rbac.balancers() if spec.load_balancer.mode == "machines" else ()
    return (
        *(objects.ensure(_namespace(name), after=after) for name in NAMESPACES),
        *(_within(obj, after) for obj in (*rbac.objects(), *balancers, *settings)),
        EnsureClusterInfo(
            id="cluster/info",
            title=f"Apply ConfigMap {rbac.PUBLIC}/{configmaps.INFO}",
            on=CLUSTER,
            after=frozenset({*after, f"cluster/namespace-{rbac.PUBLIC}"}),
            needs=frozenset({CA}),
            control_plane=control_plane,
        ),
    )


def _namespace(name: str) -> Object:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def _within(obj: Object, after: Iterable[Ref]) -> Step:
    """The step for an object, behind its namespace's."""
    space = obj["metadata"].get("namespace")
    made = objects.ensure(obj, after=(*after, *((f"cluster/namespace-{space}",) if space else ())))
    known = _IDS.get(obj["metadata"]["name"]) if obj["kind"] == "ConfigMap" else None
    return dataclasses.replace(made, id=known) if known else made
