"""kube-controller-manager's and kube-scheduler's leaders die at once, and a Deployment grows all the same."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from tests.bench import failover_cluster, failover_events
from tests.bench.failover_cluster import Cluster
from tests.bench.failover_events import Measured

COMPONENTS = ("kube-controller-manager", "kube-scheduler")
LEADER_BAR = 20.0
SCALED_BAR = 30.0
"""A new leader, and then a pod's start."""
WITHIN = 120.0
REPLICAS = 3
PATH = "/apis/apps/v1/namespaces/default/deployments"
NAME = "grows"
DEPLOYMENT = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": NAME},
    "spec": {
        "replicas": 1,
        "selector": {"matchLabels": {"app": NAME}},
        "template": {
            "metadata": {"labels": {"app": NAME}},
            "spec": {
                "terminationGracePeriodSeconds": 0,
                "containers": [
                    {
                        "name": "it",
                        "image": "docker.io/library/httpd:latest",
                        "imagePullPolicy": "IfNotPresent",
                        "command": ["sleep", "3600"],
                    }
                ],
            },
        },
    },
}


def trial(cluster: Cluster, number: int, say: Callable[[str], None]) -> list[Measured]:
    """Kill both, let the Deployment grow, and leave a cluster at rest."""
    api = cluster.api(cluster.control_planes[number % len(cluster.control_planes)])
    api.ask("POST", PATH, DEPLOYMENT)
    failover_cluster.await_(lambda: ready(api.ask("GET", f"{PATH}/{NAME}")[1], 1), WITHIN, "one replica")
    before = {name: holder(api, name) for name in COMPONENTS}
    began = time.monotonic()
    for name in COMPONENTS:
        failover_events.signal("KILL", name)(cluster.machine(before[name].partition("_")[0]))
    grow(api)
    took = {name: changed(api, name, before[name], began) for name in COMPONENTS}
    failover_cluster.await_(
        lambda: ready(api.ask("GET", f"{PATH}/{NAME}")[1], REPLICAS), WITHIN, f"{REPLICAS} replicas"
    )
    scaled = time.monotonic() - began
    api.ask("DELETE", f"{PATH}/{NAME}")
    for machine in {who.partition("_")[0] for who in before.values()}:
        failover_cluster.rest(cluster, machine)
    say(f"  leaders killed: {took}, {REPLICAS} replicas after {scaled:.1f} s")
    found = [
        failover_events.late(f"{name}-leader", before[name], took[name], LEADER_BAR) for name in COMPONENTS
    ]
    return [*found, failover_events.late("deployment-scales", "", scaled, SCALED_BAR)]


def holder(api: Any, name: str) -> str:
    """Who leads, as machine_uuid."""
    lease = api.ask("GET", f"/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/{name}")[1]
    return str(lease["spec"]["holderIdentity"])


def changed(api: Any, name: str, before: str, began: float) -> float:
    """Seconds until somebody else leads."""

    def look() -> str | None:
        return None if holder(api, name) not in ("", before) else f"still {before}"

    failover_cluster.await_(look, WITHIN, f"{name}'s lease")
    return time.monotonic() - began


def grow(api: Any) -> None:
    """More replicas, by the API alone: nobody has to lead for that."""
    _, scale = api.ask("GET", f"{PATH}/{NAME}/scale")
    status, said = api.ask(
        "PUT", f"{PATH}/{NAME}/scale", {**scale, "spec": {**scale["spec"], "replicas": REPLICAS}}
    )
    if status != 200:
        raise RuntimeError(f"cannot scale: {status} {said}")


def ready(deployment: Any, count: int) -> str | None:
    """What it lacks of so many replicas."""
    found = deployment["status"].get("readyReplicas", 0)
    return None if found == count else f"{found} of {count} ready"
