"""A plan for a thousand machines that answer late, with and without dead ones among them."""

from __future__ import annotations

import dataclasses
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from tests.bench.machines import Failed, load, workstation
from tests.fakes import swarm

SECONDS, MEMORY, CONNECTIONS, DELAY = 60.0, 512 << 20, 256, 1.05
PROCESSES = 3


@dataclasses.dataclass(frozen=True)
class Planned:
    """Seconds of the whole command and of its processors, bytes at most, and connections at most."""

    seconds: float
    cpu: float
    memory: int
    connections: int
    states: dict[str, int]
    load: float


def measure(size: int, dead: int, latest: float) -> dict[str, Any]:
    """All of them alive; then some dead, but no control plane. Answers are `latest` s late at most."""
    gone = frozenset(random.Random(1).sample(range(4, size + 1), dead))  # noqa: S311 - no secret
    alive, some = plan(size, frozenset(), latest), plan(size, gone, latest)
    wanted = Counter({"drift": size - dead, "unreachable": dead})
    if alive.states != {"drift": size} or Counter(some.states) != wanted:
        raise Failed(f"not all were planned for: {alive.states}, {some.states}")
    delay = some.seconds / alive.seconds
    held = {
        "seconds": alive.seconds <= SECONDS,
        "memory": max(alive.memory, some.memory) <= MEMORY,
        "connections": max(alive.connections, some.connections) <= CONNECTIONS,
        "delay": delay <= DELAY,
    }
    return {
        "machines": size,
        "dead": dead,
        "latest": latest,
        "alive": dataclasses.asdict(alive),
        "someDead": dataclasses.asdict(some),
        "delay": round(delay, 3),
        "held": held,
    }


def plan(size: int, dead: frozenset[int], latest: float) -> Planned:
    """One `kubeboot plan`, as a person would run it, against servers in other processes."""
    with tempfile.TemporaryDirectory() as folder, swarm.running(Path(folder), latest, PROCESSES) as servers:
        path, out = servers.cluster(size, dead), Path(folder) / "events"
        command = [sys.executable, "-m", "kubeboot", "plan", "--config", str(path), "-o", "json"]
        average, began = load(), time.monotonic()
        with out.open("wb") as events:
            child = subprocess.Popen(command, env=workstation(), stdout=events)
            _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.monotonic() - began
        if child.returncode not in (1, 10):
            raise Failed(f"plan: exit code {child.returncode}")
        return Planned(
            round(seconds, 2),
            round(used.ru_utime + used.ru_stime, 2),
            used.ru_maxrss * 1024,
            servers.count.most.value,
            _states(out),
            average,
        )


def _states(out: Path) -> dict[str, int]:
    """How many machines had each state, by the command's last line."""
    with out.open() as lines:
        last = json.loads(list(lines)[-1])
    return dict(Counter(host["state"] for host in last["hosts"]))


def told(found: dict[str, Any]) -> str:
    """For people."""
    alive, some = found["alive"], found["someDead"]
    return (
        f"{found['machines']} simulated machines, up to {found['latest']:g} s late: plan in"
        f" {alive['seconds']} s, {alive['cpu']} s of a CPU,"
        f" {alive['memory'] >> 20} MiB, {alive['connections']} connections;"
        f" with {found['dead']} dead ones {some['seconds']} s, {found['delay']} times as long"
    )
