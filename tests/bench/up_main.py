"""Three control planes and two workers from booted machines: by `kubeboot up`, and by local commands."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tests.bench import failover_cluster, machines, observe
from tests.bench.machines import TOP, Failed, Machine

BAR = 1.3
WITHIN = 240.0
PLANES, WORKERS = 3, 2


@dataclasses.dataclass(frozen=True)
class Made:
    """Seconds until the last command returned, and until every Node was Ready."""

    command: float
    ready: float
    load: float


def main(argv: Sequence[str]) -> int:
    """0 when `up` holds the bar."""
    parser = argparse.ArgumentParser(prog="tests/bench/up", description=__doc__)
    parser.add_argument("-n", "--samples", type=int, default=1, help="how often each is measured")
    given = parser.parse_args(argv)
    found: dict[str, list[Made]] = {name: [] for name in WAYS}
    for number in range(given.samples):
        for name in WAYS:
            found[name].append(sample(name))
            say(f"round {number + 1}: {name} {found[name][-1]}")
    ratio = median(found["up"]) / median(found["local"])
    for name, made in found.items():
        times = ", ".join(f"{one.ready:.1f}" for one in made)
        print(f"{name:6} {PLANES}+{WORKERS} Ready, median {median(made):.1f} s  [{times}]")
    print(f"ratio {ratio:.2f}, the bar is {BAR}")
    print(json.dumps(summary(found, ratio)))
    return 0 if ratio <= BAR else 1


def sample(name: str) -> Made:
    """Fresh machines; nothing has been prepared on them."""
    with machines.booted(WORKERS, f"up-{name}", control_planes=PLANES) as lab:
        load, began = machines.load(), time.monotonic()
        WAYS[name](lab)
        returned = time.monotonic() - began
        failover_cluster.await_(lambda: lacking(lab), WITHIN, "every Node", pause=0.1)
        return Made(returned, time.monotonic() - began, load)


def up(lab: Mapping[str, Machine]) -> None:
    """From an inventory alone."""
    container = lab["cp-1"].container
    name = container.removeprefix("kubeboot-").removesuffix("-cp-1")
    command = (sys.executable, "-m", "kubeboot", "up", "-i", str(TOP / "inventories" / "lab"))
    environment = {**os.environ, "KUBEBOOT_LAB": name, "PYTHONPATH": str(TOP)}
    argv = (*command, *failover_cluster.SHARED_DISK)
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Failed(f"up: exit code {done.returncode}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")


def local(lab: Mapping[str, Machine]) -> None:
    """init on the first machine; then every other one joins at the same moment."""
    _, result = failover_cluster.ran(lab["cp-1"], ["kubeboot", "init", "--upload-certs"])
    joins = {
        machine: result["controlPlaneJoinCommand" if machine.name.startswith("cp-") else "joinCommand"]
        for name, machine in lab.items()
        if name != "cp-1"
    }
    with ThreadPoolExecutor(len(joins)) as pool:
        list(
            pool.map(lambda pair: pair[0].run(*pair[1].split(), *failover_cluster.SHARED_DISK), joins.items())
        )


WAYS: dict[str, Callable[[Mapping[str, Machine]], None]] = {"local": local, "up": up}


def lacking(lab: Mapping[str, Machine]) -> str | None:
    """Who is not Ready yet."""
    api = observe.Api(lab["cp-1"])
    asked = {name: api.ask("GET", f"/api/v1/nodes/{name}") for name in lab}
    bad = [n for n, (status, node) in asked.items() if status != 200 or not failover_cluster.is_ready(node)]
    return f"{', '.join(bad)} not Ready" if bad else None


def median(made: Sequence[Made]) -> float:
    return statistics.median(one.ready for one in made)


def summary(found: Mapping[str, Sequence[Made]], ratio: float) -> dict[str, Any]:
    """Everything on one line."""
    samples = {name: [dataclasses.asdict(one) for one in made] for name, made in found.items()}
    return {"ratio": round(ratio, 3), "bar": BAR, "controlPlanes": PLANES, "workers": WORKERS, **samples}


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
