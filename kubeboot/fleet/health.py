"""The gate before each control plane that is changed: everybody else must be well."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Iterator, Mapping
from types import MappingProxyType

from kubeboot import errors
from kubeboot.fleet.survey import Cluster
from kubeboot.kube.etcd import EtcdView
from kubeboot.steps import conditions

PATIENCE = 180.0
"""Seconds, before scaling: a control plane that was changed just now is well again sooner."""
LOOK = 1.0
NOBODY: Mapping[str, str] = MappingProxyType({})
_CONTROL_PLANE = "node-role.kubernetes.io/control-plane"


@dataclasses.dataclass(frozen=True)
class _Problem:
    """`of` is whose it is, if it is one machine's: a member's or a Node's name."""

    said: str
    of: str = ""


def awaited(
    cluster: Cluster,
    stop: threading.Event,
    timeout_scale: float = 1.0,
    etcd: EtcdView | None = None,
    dead: Mapping[str, str] = NOBODY,
) -> str | None:
    """None once API, etcd and every control plane's Node are well; else what was wrong to the end.

    `etcd`: the members, where they are on machines of their own. `dead`: whom nobody waits for, since this
    run could not reach them, and what is to be done about it.
    """
    end = time.monotonic() + PATIENCE * timeout_scale
    while problems := tuple(_problems(cluster, etcd)):
        hopeless = next((problem for problem in problems if problem.of in dead), None)
        if hopeless is not None:
            return f"{hopeless.said}; {dead[hopeless.of]}"
        if time.monotonic() > end or stop.wait(LOOK):
            return problems[0].said
    return None


def _problems(cluster: Cluster, etcd: EtcdView | None) -> Iterator[_Problem]:
    try:
        if problem := cluster.api.ready():
            yield _Problem(problem)
        if etcd is None and cluster.facts.spec.etcd.external is None:
            etcd = cluster.others(cluster.lead.name).etcd
        if etcd is not None:
            seen = ((member, etcd.healthy(member)) for member in etcd.members())
            yield from (_Problem(said, member.label) for member, said in seen if said)
        for node in cluster.api.list("v1", "Node", labels=_CONTROL_PLANE):
            if not conditions.is_ready(node):
                name = node["metadata"]["name"]
                said = conditions.why(node, "Ready") or "it has not reported yet"
                yield _Problem(f"Node {name} is not Ready: {said}", name)
    except errors.KubebootError as error:
        yield _Problem(error.message)
