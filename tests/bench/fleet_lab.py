"""A fleet of real machines: nothing to do, beside a playbook of the same things; and one machine more."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.bench import failover_cluster, fleet_playbook, machines
from tests.bench.machines import LAB, TOP, Failed, Machine

NOTHING, FASTER, JOIN = 5.0, 10.0, 1.2
INVENTORY = TOP / "inventories" / "lab"


def measure(workers: int, samples: int) -> dict[str, Any]:
    """One control plane and so many workers."""
    with machines.booted(workers, "fleet") as lab:
        name = lab["cp-1"].container.removeprefix("kubeboot-").removesuffix("-cp-1")
        whole = kubeboot(name, "up", *failover_cluster.SHARED_DISK)
        average = machines.load()
        looks = {verb: [kubeboot(name, verb) for _ in range(samples)] for verb in ("plan", "up")}
        played = _played(name, lab)
        added = _added(name, workers, samples)
    medians = {verb: statistics.median(times) for verb, times in looks.items()}
    faster = {verb: played.seconds / took for verb, took in medians.items()}
    held = {
        "nothing": max(medians.values()) <= NOTHING,
        "faster": min(faster.values()) >= FASTER,
        "writes": not added["writes"],
        "join": added["ratio"] <= JOIN,
    }
    return {
        "machines": workers + 1,
        "load": average,
        "made": round(whole, 2),
        **{verb: [round(took, 2) for took in times] for verb, times in looks.items()},
        "playbook": round(played.seconds, 2),
        "things": played.things,
        "faster": {verb: round(times, 1) for verb, times in faster.items()},
        "added": added,
        "held": held,
    }


def kubeboot(lab: str, *argv: str) -> float:
    """A command as a person runs it at a workstation; its seconds."""
    environment = machines.workstation(KUBEBOOT_LAB=lab)
    command = (sys.executable, "-m", "kubeboot", *argv, "-i", str(INVENTORY))
    began = time.monotonic()
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Failed(f"{argv}: exit code {done.returncode}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
    return time.monotonic() - began


def _played(name: str, lab: Mapping[str, Machine]) -> fleet_playbook.Played:
    listed = subprocess.run(
        (str(LAB), "inventory", "--name", name), capture_output=True, text=True, check=True
    )
    with tempfile.TemporaryDirectory() as folder:
        return fleet_playbook.play(lab, json.loads(listed.stdout), Path(folder))


def _added(name: str, workers: int, samples: int) -> dict[str, Any]:
    """One worker more, by `up` and by a local join in turns; in between its machine is reset."""
    lab = _grown(name, workers + 1)
    lead, newcomer = lab["cp-1"], lab[f"worker-{workers + 1}"]
    others = [machine for machine in lab.values() if machine not in (lead, newcomer)]
    by_up, local, writes = list[float](), list[float](), list[str]()
    for sample in range(samples):
        if sample:
            _removed(lead, newcomer)
        before = [_state(machine) for machine in others]
        by_up.append(kubeboot(name, "up", *failover_cluster.SHARED_DISK))
        after = [_state(machine) for machine in others]
        writes += [path for was, now in zip(before, after, strict=True) for path, *_ in was ^ now]
        _removed(lead, newcomer)
        command = lead.run("kubeboot", "token", "create", "--print-join-command").split()
        local.append(newcomer.timed(*command, *failover_cluster.SHARED_DISK)[0])
    return {
        "up": [round(took, 2) for took in by_up],
        "localJoin": [round(took, 2) for took in local],
        "ratio": round(statistics.median(by_up) / statistics.median(local), 3),
        "writes": writes,
    }


def _removed(lead: Machine, worker: Machine) -> None:
    lead.run("kubeboot", "node", "remove", worker.name)
    worker.run("kubeboot", "reset", "--yes")


def _grown(name: str, workers: int) -> dict[str, Machine]:
    counts = ("--control-planes", "1", "--workers", str(workers))
    subprocess.run((str(LAB), "up", *counts, "--name", name), capture_output=True, check=True)
    return machines.of(name)


def _state(machine: Machine) -> frozenset[tuple[str, int, int]]:
    """What is kubeboot's on a machine, and when each thing was last written."""
    found = (machine.root / path.lstrip("/") for path in fleet_playbook.paths(machine))
    stats = ((str(at), at.lstat()) for at in found if at.exists() or at.is_symlink())
    return frozenset((path, stat.st_mtime_ns, stat.st_ctime_ns) for path, stat in stats)


def told(found: Mapping[str, Any]) -> str:
    """For people."""
    added = found["added"]
    return (
        f"{found['machines']} machines with nothing to do: plan {found['plan']} s, up {found['up']} s;"
        f" a playbook of the same {found['things']} things {found['playbook']} s, {found['faster']} times\n"
        f"one worker more: {added['up']} s, a local join {added['localJoin']} s, ratio {added['ratio']};"
        f" {len(added['writes'])} writes on the other workers"
    )
