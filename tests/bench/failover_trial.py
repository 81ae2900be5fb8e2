"""One event on a cluster at rest: struck, measured, taken back, judged."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from tests.bench import failover_cluster, failover_probe
from tests.bench.failover_cluster import Cluster
from tests.bench.failover_events import Event, Measured
from tests.bench.failover_probe import Place, Seen
from tests.bench.prober import MODES

RSS = "ps -C haproxy -o rss= | awk '{ sum += $1 } END { print sum / 1024 }'"
RSS_BAR = 64.0
"""MiB of all haproxy processes of a machine."""


@dataclasses.dataclass(frozen=True)
class Trial:
    """How an event went."""

    event: Event
    struck: str
    seen: tuple[Seen, ...]
    rss: float

    @property
    def gap(self) -> float:
        return max(seen.gap for seen in self._bound)

    @property
    def by_mode(self) -> dict[str, float]:
        return {mode: max(seen.gap for seen in self._bound if seen.place.mode == mode) for mode in MODES}

    @property
    def _bound(self) -> tuple[Seen, ...]:
        """Those whom the bar is for: with haproxy that of its machine, else everybody."""
        own = tuple(seen for seen in self.seen if seen.place.machine == self.struck)
        return own or self.seen

    @property
    def problems(self) -> list[str]:
        """Every bar that is missed."""
        own = [
            f"{seen.place}: {seen.gap:.2f} s without an acknowledged write, the bar is {self.event.bar:.0f} s"
            for seen in self._bound
            if seen.gap > self.event.bar
        ]
        lost = [f"{seen.place}: acknowledged and lost: {seen.lost}" for seen in self.seen if seen.lost]
        elsewhere = [
            f"{seen.place}: {len(seen.failed)} errors, and nothing happened there"
            for seen in self.seen
            if seen not in self._bound and seen.failed
        ]
        fat = [f"haproxy holds {self.rss:.0f} MiB"] if self.rss > RSS_BAR else []
        return [*own, *lost, *elsewhere, *fat]

    def __str__(self) -> str:
        gaps = "  ".join(
            f"{seen.place} {seen.gap:.2f} s ({len(seen.acknowledged)} ok, {len(seen.failed)} failed,"
            f" {seen.landed} of them landed)"
            for seen in self.seen
        )
        return f"{self.event.name} on {self.struck}: {gaps}; haproxy {self.rss:.0f} MiB"


def trial(cluster: Cluster, event: Event, number: int, say: Callable[[str], None]) -> Measured:
    """Strike once, and leave a cluster at rest. `number` turns through the machines that could be it."""
    failover_cluster.rest(cluster)
    struck = target(cluster, event, number)
    survivor = next(name for name in reversed(cluster.control_planes) if name != struck)
    places = tuple(Place(name, mode) for name in (cluster.workers[0], survivor) for mode in MODES)
    machine = cluster.machine(struck)
    try:
        seen = failover_probe.during(cluster, places, lambda: event.strike(machine), event.window, survivor)
    finally:
        event.mend(machine)
    took = failover_cluster.rest(cluster, struck)
    rss = float(cluster.machine(cluster.workers[0]).run("sh", "-c", RSS))
    made = Trial(event, struck, seen, rss)
    say(f"  {made}; at rest again after {took:.0f} s")
    lost = sum(len(one.lost) for one in seen)
    return Measured(event.name, struck, made.gap, event.bar, tuple(made.problems), lost, rss, made.by_mode)


def target(cluster: Cluster, event: Event, number: int) -> str:
    """Whom the event hits."""
    if event.target == "worker":
        return cluster.workers[0]
    if event.target == "control plane":
        return cluster.control_planes[number % len(cluster.control_planes)]
    leads = failover_cluster.leader(cluster)
    others = [name for name in cluster.control_planes if name != leads]
    return leads if event.target == "leader" else others[number % len(others)]
