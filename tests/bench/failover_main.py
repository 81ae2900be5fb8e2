"""The program: a cluster of 3+2 from nothing, events on it, medians and worst against their bars."""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Sequence
from typing import Any

from tests.bench import failover_cluster, failover_trial, machines
from tests.bench.failover_cluster import Command
from tests.bench.failover_events import EVENTS
from tests.bench.failover_trial import Trial

MEMBERS = ("cp-1", "cp-2", "cp-3", "worker-1", "worker-2")


def main(argv: Sequence[str]) -> int:
    """0 when every bar was held."""
    given = arguments(argv)
    chosen = [event for event in EVENTS if not given.only or event.name in given.only]
    with machines.booted(2, "failover", control_planes=3) as booted:
        lab = booted["cp-1"].container.removeprefix("kubeboot-").removesuffix("-cp-1")
        cluster, commands = failover_cluster.make(lab, MEMBERS)
        failover_cluster.rest(cluster)
        trials: list[Trial] = []
        try:
            for event in chosen:
                for number in range(given.samples or event.count):
                    trials.append(failover_trial.trial(cluster, event, number, say))
        finally:
            report(trials, commands)
            print(json.dumps(summary(trials, commands)), flush=True)
    return 1 if any(trial.problems for trial in trials) else 0


def arguments(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tests/bench/failover", description=__doc__)
    parser.add_argument("-n", "--samples", type=int, help="how often each; default: as the bars say")
    parser.add_argument("--only", nargs="+", choices=[event.name for event in EVENTS], help="which events")
    return parser.parse_args(argv)


def report(trials: Sequence[Trial], commands: Sequence[Command]) -> None:
    """For people, on stdout."""
    for line in made(commands):
        print(line)
    print(f"{'event':24} {'count':>5} {'median':>8} {'worst':>8} {'bar':>6}")
    for name, found in by_event(trials).items():
        gaps = [trial.gap for trial in found]
        held = sum(not trial.problems for trial in found)
        print(
            f"{name:24} {f'{held}/{len(found)}':>5} {statistics.median(gaps):6.2f} s {max(gaps):6.2f} s"
            f" {found[0].event.bar:4.0f} s"
        )
    for trial in trials:
        for problem in trial.problems:
            print(f"MISSED {trial.event.name} on {trial.struck}: {problem}")


def made(commands: Sequence[Command]) -> list[str]:
    """How long the cluster took, and the longest pole."""
    init, *joins = commands
    last = max(joins, key=lambda join: join.began + join.seconds)
    pole, row = max(last.steps.items(), key=lambda item: item[1]["seconds"])
    lines = [f"3+2 from the bundle: {total(commands):.1f} s, of which init {init.seconds:.1f} s"]
    lines += [f"  join {join.machine}: {join.seconds:.1f} s" for join in joins]
    return [*lines, f"  longest pole: {last.machine}, {pole} ({row['seconds']:.1f} s)"]


def total(commands: Sequence[Command]) -> float:
    return max(c.began + c.seconds for c in commands) - commands[0].began


def by_event(trials: Sequence[Trial]) -> dict[str, list[Trial]]:
    found: dict[str, list[Trial]] = {}
    for trial in trials:
        found.setdefault(trial.event.name, []).append(trial)
    return found


def summary(trials: Sequence[Trial], commands: Sequence[Command]) -> dict[str, Any]:
    """Everything on one line."""
    return {
        "made_seconds": round(total(commands), 1),
        "commands": {c.machine: round(c.seconds, 1) for c in commands},
        "events": {
            name: {
                "count": len(found),
                "held": sum(not trial.problems for trial in found),
                "median": round(statistics.median(trial.gap for trial in found), 2),
                "worst": round(max(trial.gap for trial in found), 2),
                "bar": found[0].event.bar,
                "lost": sum(len(seen.lost) for trial in found for seen in trial.seen),
            }
            for name, found in by_event(trials).items()
        },
        "haproxy_mib": round(max((trial.rss for trial in trials), default=0.0), 1),
    }


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
