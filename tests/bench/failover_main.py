"""The program: a cluster of 3+2 from nothing, events on it, medians and worst against their bars."""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from tests.bench import failover_cluster, failover_cold, failover_leaders, failover_trial, machines
from tests.bench.failover_cluster import Cluster, Command
from tests.bench.failover_events import EVENTS, Event, Measured
from tests.bench.machines import say

POLES = 4
"""Steps of a command that are named."""
MEMBERS = ("cp-1", "cp-2", "cp-3", "worker-1", "worker-2")
OTHERS: dict[str, tuple[int, Callable[[Cluster, int], list[Measured]]]] = {
    "leaders-killed": (3, lambda cluster, n: failover_leaders.trial(cluster, n, say)),
    "all-power-cycled": (5, lambda cluster, n: [failover_cold.trial(cluster, n, say)]),
}
"""Those that are not about writes: how often, and how."""


def main(argv: Sequence[str]) -> int:
    """0 when every bar was held."""
    given = arguments(argv)
    with machines.booted(2, "failover", control_planes=3) as booted:
        lab = booted["cp-1"].container.removeprefix("kubeboot-").removesuffix("-cp-1")
        cluster, commands = failover_cluster.make(lab, MEMBERS)
        failover_cluster.rest(cluster)
        found: list[Measured] = []
        try:
            for measured in trials(cluster, given.only, given.samples, given.minutes):
                found.append(measured)
        finally:
            report(found, commands)
            print(json.dumps(summary(found, commands)), flush=True)
    return 1 if any(measured.problems for measured in found) else 0


def arguments(argv: Sequence[str]) -> argparse.Namespace:
    names = [*(event.name for event in EVENTS), *OTHERS]
    parser = argparse.ArgumentParser(prog="tests/bench/failover", description=__doc__)
    parser.add_argument("-n", "--samples", type=int, help="how often each; default: as the bars say")
    parser.add_argument("--minutes", type=float, default=600, help="begin no further event after so many")
    parser.add_argument("--only", nargs="+", choices=names, default=names, help="which events")
    return parser.parse_args(argv)


def trials(cluster: Cluster, names: Sequence[str], samples: int | None, minutes: float) -> Iterator[Measured]:
    """Every event as often as asked for, in rounds of one each, while there is time."""
    end = time.monotonic() + 60 * minutes
    for run in rounds(cluster, names, samples):
        if time.monotonic() > end:
            return
        yield from run()


def rounds(
    cluster: Cluster, names: Sequence[str], samples: int | None
) -> Iterator[Callable[[], list[Measured]]]:
    """What one trial after the other is."""
    counts = {event.name: event.count for event in EVENTS} | {
        name: count for name, (count, _) in OTHERS.items()
    }
    wanted = {name: samples or counts[name] for name in names}
    for number in range(max(wanted.values())):
        for event in EVENTS:
            if number < wanted.get(event.name, 0):
                yield partial(one, cluster, event, number)
        for name, (_, run) in OTHERS.items():
            if number < wanted.get(name, 0):
                yield partial(run, cluster, number)


def one(cluster: Cluster, event: Event, number: int) -> list[Measured]:
    return [failover_trial.trial(cluster, event, number, say)]


def report(found: Sequence[Measured], commands: Sequence[Command]) -> None:
    """For people, on stdout."""
    for line in made(commands):
        print(line)
    print(f"{'event':32} {'held':>6} {'median':>9} {'worst':>9} {'bar':>6}  medians by connection")
    for name, those in by_name(found).items():
        took = [measured.seconds for measured in those]
        held = f"{sum(not measured.problems for measured in those)}/{len(those)}"
        middle, worst = statistics.median(took), max(took)
        print(f"{name:32} {held:>6} {middle:7.2f} s {worst:7.2f} s {those[0].bar:4.0f} s  {modes(those)}")
    for measured in found:
        for problem in measured.problems:
            print(f"MISSED {measured.name} on {measured.on}: {problem}")


def modes(those: Sequence[Measured]) -> str:
    """The median gap with a connection for each write, and on a kept one."""
    return ", ".join(
        f"{mode} {statistics.median(one.gaps[mode] for one in those):.2f} s" for mode in those[0].gaps
    )


def made(commands: Sequence[Command]) -> list[str]:
    """How long the cluster took, what took longest of each command, and the longest pole."""
    init, *joins = commands
    last = max(joins, key=lambda join: join.began + join.seconds)
    pole, seconds = longest(last)[0]
    lines = [f"3+2 from the bundle: {total(commands):.1f} s"]
    for name, command in (("init", init), *((f"join {join.machine}", join) for join in joins)):
        parts = ", ".join(f"{step} {took:.1f}" for step, took in longest(command)[:POLES])
        lines.append(f"  {name}: {command.seconds:.1f} s, of which {parts}")
    return [*lines, f"  longest pole: {last.machine}, {pole} ({seconds:.1f} s)"]


def longest(command: Command) -> list[tuple[str, float]]:
    """Its steps and their seconds, the longest first."""
    took = [(name, float(row["seconds"])) for name, row in command.steps.items()]
    return sorted(took, key=lambda step: -step[1])


def total(commands: Sequence[Command]) -> float:
    return max(c.began + c.seconds for c in commands) - commands[0].began


def by_name(found: Sequence[Measured]) -> dict[str, list[Measured]]:
    names: dict[str, list[Measured]] = {}
    for measured in found:
        names.setdefault(measured.name, []).append(measured)
    return names


def summary(found: Sequence[Measured], commands: Sequence[Command]) -> dict[str, Any]:
    """Everything on one line."""
    return {
        "made_seconds": round(total(commands), 1),
        "commands": {c.machine: round(c.seconds, 1) for c in commands},
        "events": {
            name: {
                "count": len(those),
                "held": sum(not measured.problems for measured in those),
                "median": round(statistics.median(measured.seconds for measured in those), 2),
                "worst": round(max(measured.seconds for measured in those), 2),
                "gaps": [{mode: round(gap, 2) for mode, gap in one.gaps.items()} for one in those],
                "bar": those[0].bar,
                "lost": sum(measured.lost for measured in those),
            }
            for name, those in by_name(found).items()
        },
        "haproxy_mib": round(max((measured.haproxy_mib for measured in found), default=0.0), 1),
    }
