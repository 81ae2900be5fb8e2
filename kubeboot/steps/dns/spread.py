"""CoreDNS on more than one machine, once there is more than one: a pod stays where it was scheduled."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from kubeboot.engine.step import CLUSTER, Check, Drift, Ok, Step, Target, View
from kubeboot.engine.values import Values
from kubeboot.kube.api import ApiView, Object
from kubeboot.steps import conditions

NAMESPACE, LABELS = "kube-system", "k8s-app=kube-dns"


@dataclasses.dataclass(frozen=True, kw_only=True)
class SpreadDns(Step):
    """The loss of one machine does not take every name server away.

    Those that were made while there was one machine are all there. The last of them by name is deleted, so
    that machines which join at once delete the same one; its anti-affinity leads the next one elsewhere.
    """

    def check(self, see: View, vals: Values) -> Check:
        found = _together(see.api)
        if not found or not _elsewhere(see.api, found):
            return Ok()
        return Drift(f"move {_last(found)} away from {found[0]['spec']['nodeName']}", "change")

    def apply(self, do: Target, vals: Values) -> None:
        if found := _together(do.api):
            do.api.delete("v1", "Pod", _last(found), NAMESPACE)


def step(*after: str) -> Step:
    """For a machine that joins with an administrator's rights."""
    return SpreadDns(id="dns/spread", title="Spread CoreDNS", on=CLUSTER, after=frozenset(after))


def _together(api: ApiView) -> Sequence[Object]:
    """CoreDNS's pods where there are several and all run on one machine; none while one is on its way."""
    listed = api.list("v1", "Pod", NAMESPACE, LABELS)
    staying = [pod for pod in listed if "deletionTimestamp" not in pod["metadata"]]
    hosts = {pod["spec"].get("nodeName") for pod in staying}
    return staying if len(staying) > 1 and len(hosts) == 1 and hosts != {None} else ()


def _elsewhere(api: ApiView, pods: Sequence[Object]) -> bool:
    """Whether another machine would take one."""
    here = pods[0]["spec"]["nodeName"]
    nodes = (node for node in api.list("v1", "Node") if node["metadata"]["name"] != here)
    return any(conditions.is_ready(node) and not node["spec"].get("unschedulable") for node in nodes)


def _last(pods: Sequence[Object]) -> str:
    return max(str(pod["metadata"]["name"]) for pod in pods)
