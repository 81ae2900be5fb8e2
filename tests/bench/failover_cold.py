"""All machines lose power at once, and come back in one order or another."""

from __future__ import annotations

import datetime
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from kubeboot.steps.dns import query
from tests.bench import failover_cluster, failover_events, machines
from tests.bench.failover_cluster import Cluster
from tests.bench.failover_events import Measured
from tests.bench.machines import Machine

BAR = 90.0
WITHIN = 300.0
ASK = f"""
import socket, sys
from {query.__name__} import ask
with socket.create_connection((sys.argv[1], 53), 1.0) as connection:
    print(*ask(connection, sys.argv[2]))
"""
DNS, NAME = "10.96.0.10", "kubernetes.default.svc.cluster.local"


def trial(cluster: Cluster, number: int, say: Callable[[str], None]) -> Measured:
    """Power for every machine, the order turning with `number`; seconds after the last of them has it."""
    members = [cluster.machine(name) for name in cluster.members]
    with ThreadPoolExecutor(len(members)) as pool:
        list(pool.map(failover_events.power_off, members))
    turned = members[number % len(members) :] + members[: number % len(members)]
    for machine in turned:
        failover_events.power_on(machine)
    wall, began = datetime.datetime.now(datetime.UTC), time.monotonic()
    failover_cluster.await_(lambda: asleep(cluster, wall), WITHIN, "all machines to be back")
    took = time.monotonic() - began
    order = " ".join(machine.name for machine in turned)
    say(f"  all power-cycled ({order}): back after {took:.1f} s")
    failover_cluster.rest(cluster, *cluster.members)
    return failover_events.late("all-power-cycled", order, took, BAR)


def asleep(cluster: Cluster, since: datetime.datetime) -> str | None:
    """Who has not reported since then, or is not Ready; and whether names are answered on a worker."""
    status, nodes = cluster.api(cluster.control_planes[0]).ask("GET", "/api/v1/nodes")
    if status != 200:
        return f"API: {status}"
    waiting = [node["metadata"]["name"] for node in nodes["items"] if not reported(node, since)]
    return f"not Ready: {', '.join(waiting)}" if waiting else nameless(cluster.machine(cluster.workers[0]))


def reported(node: Any, since: datetime.datetime) -> bool:
    """Ready, and not only because nobody has noticed yet that it is gone."""
    ready = next(c for c in node["status"]["conditions"] if c["type"] == "Ready")
    heard = datetime.datetime.fromisoformat(ready["lastHeartbeatTime"])
    return ready["status"] == "True" and heard >= since.replace(microsecond=0)


def nameless(machine: Machine) -> str | None:
    """What a question of that machine to the cluster's DNS comes to."""
    argv = ("nsenter", f"--net={machines.network(machine)}", sys.executable, "-c", ASK, DNS, NAME)
    done = subprocess.run(
        argv, capture_output=True, text=True, cwd=Path(__file__).parents[2], timeout=60, check=False
    )
    return None if done.returncode == 0 and done.stdout.strip() else f"DNS: {done.stderr[-200:]}"
