"""The gate before each control plane that is changed: everybody else must be well."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

from kubeboot import errors
from kubeboot.fleet.survey import Cluster
from kubeboot.kube.etcd import EtcdView
from kubeboot.steps import conditions

PATIENCE = 180.0
"""Seconds, before scaling: a control plane that was changed just now is well again sooner."""
LOOK = 1.0
_CONTROL_PLANE = "node-role.kubernetes.io/control-plane"


def awaited(
    cluster: Cluster, stop: threading.Event, timeout_scale: float = 1.0, etcd: EtcdView | None = None
) -> str | None:
    """None once API, etcd and every control plane's Node are well; else what was wrong to the end.

    `etcd`: the members, where they are on machines of their own.
    """
    end = time.monotonic() + PATIENCE * timeout_scale
    while (problem := next(_problems(cluster, etcd), None)) is not None:
        if time.monotonic() > end or stop.wait(LOOK):
            return problem
    return None


def _problems(cluster: Cluster, etcd: EtcdView | None) -> Iterator[str]:
    try:
        if problem := cluster.api.ready():
            yield problem
        if etcd is None and cluster.facts.spec.etcd.external is None:
            etcd = cluster.others(cluster.lead.name).etcd
        if etcd is not None:
            yield from filter(None, (etcd.healthy(member) for member in etcd.members()))
        for node in cluster.api.list("v1", "Node", labels=_CONTROL_PLANE):
            if not conditions.is_ready(node):
                yield f"Node {node['metadata']['name']} is not Ready"
    except errors.KubebootError as error:
        yield error.message
