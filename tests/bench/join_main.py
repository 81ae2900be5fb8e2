"""A second control plane joins, by kubeboot and by kubeadm: from a prepared machine to a Ready Node."""

from __future__ import annotations

import argparse
import dataclasses
import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from lablib import build

from kubeboot.artifacts.bundle import Bundle
from tests.bench import failover_cluster, machines, observe, peers
from tests.bench.machines import Machine

BAR = 0.6
WITHIN = 240.0
UPLOAD = ("kubeadm", "init", "phase", "upload-certs", "--upload-certs", "--config", "/etc/bench/kubeadm.yaml")
KUBEADM = ("--ignore-preflight-errors=all",)


@dataclasses.dataclass(frozen=True)
class Join:
    """Seconds until the command returned, and until the Node was Ready."""

    command: float
    ready: float
    load: float


def main(argv: Sequence[str]) -> int:
    """0 when kubeboot holds the bar."""
    parser = argparse.ArgumentParser(prog="tests/bench/join", description=__doc__)
    parser.add_argument("-n", "--samples", type=int, default=3, help="how often each is measured")
    given = parser.parse_args(argv)
    found: dict[str, list[Join]] = {name: [] for name in PEERS}
    for number in range(given.samples):
        for name in PEERS:
            found[name].append(sample(name))
            say(f"round {number + 1}: {name} {found[name][-1]}")
    ratio = median(found["kubeboot"]) / median(found["kubeadm"])
    for name, joins in found.items():
        times = ", ".join(f"{join.ready:.2f}" for join in joins)
        print(f"{name:10} control-plane join, median {median(joins):.2f} s  [{times}]")
    print(f"ratio {ratio:.3f}, the bar is {BAR}")
    print(json.dumps(summary(found, ratio)))
    return 0 if ratio <= BAR else 1


def sample(name: str) -> Join:
    """Two fresh machines: the first control plane is made, the second one's join is measured."""
    with machines.booted(0, f"join-{name}", control_planes=2) as lab:
        first, second = lab["cp-1"], lab["cp-2"]
        for machine in (first, second):
            machines.prepare(machine)
        command = PEERS[name](first, second)
        failover_cluster.await_(lambda: lacks(first, first), WITHIN, "the first control plane")
        load, began = machines.load(), time.monotonic()
        second.run(*command)
        returned = time.monotonic() - began
        failover_cluster.await_(lambda: lacks(first, second), WITHIN, "the Node", pause=0.1)
        return Join(returned, time.monotonic() - began, load)


def kubeboot(first: Machine, second: Machine) -> tuple[str, ...]:
    """The command that makes `second` a control plane."""
    _, result = failover_cluster.ran(first, ["kubeboot", "init", "--upload-certs"])
    return (*result["controlPlaneJoinCommand"].split(), *failover_cluster.SHARED_DISK)


def kubeadm(first: Machine, second: Machine) -> tuple[str, ...]:
    """As documented, with a shared endpoint, which is the first machine's."""
    catalog = Bundle(build.bundle_path()).catalog()
    for machine in (first, second):
        peers.place_kubeadm(machine, catalog, tuned=False, address=first.address)
    path = "/etc/bench/kubeadm.yaml"
    text = (first.read(path) or b"").decode()
    shared = f"kind: ClusterConfiguration\ncontrolPlaneEndpoint: {first.address}:6443"
    first.write(path, text.replace("kind: ClusterConfiguration", shared).encode())
    first.run("sh", "-c", f"set -e; {peers.INIT}; {peers.APPLY}")
    key = first.run(*UPLOAD).split()[-1]
    token = first.run("kubeadm", "token", "create", "--print-join-command", "--kubeconfig", observe.ADMIN)
    place = (
        f"\ncontrolPlane:\n  certificateKey: {key}\n"
        f"  localAPIEndpoint: {{advertiseAddress: {second.address}}}\n"
    )
    config = peers.join_config(token.split(), second) + place
    second.write("/etc/bench/join.yaml", config.encode())
    return ("kubeadm", "join", "--config", "/etc/bench/join.yaml", *KUBEADM)


PEERS: dict[str, Callable[[Machine, Machine], tuple[str, ...]]] = {
    "kubeboot": kubeboot,
    "kubeadm": kubeadm,
}


def lacks(first: Machine, second: Machine) -> str | None:
    """What the Node of `second` lacks."""
    status, node = observe.Api(first).ask("GET", f"/api/v1/nodes/{second.name}")
    ready = status == 200 and failover_cluster.is_ready(node)
    return None if ready else f"{second.name} is not Ready"


def median(joins: Sequence[Join]) -> float:
    return statistics.median(join.ready for join in joins)


def summary(found: dict[str, list[Join]], ratio: float) -> dict[str, Any]:
    """Everything on one line."""
    return {
        "ratio": round(ratio, 3),
        "bar": BAR,
        **{name: [dataclasses.asdict(join) for join in joins] for name, joins in found.items()},
    }


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
