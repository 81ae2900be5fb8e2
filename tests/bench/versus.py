"""One thing in two ways, in turns on fresh machines: how many times as long ours takes, beside its bar."""

from __future__ import annotations

import argparse
import dataclasses
import json
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tests.bench import failover_cluster, machines
from tests.bench.machines import say

WITHIN = 240.0


@dataclasses.dataclass(frozen=True)
class Sample:
    """Seconds until the last command returned, and until the Nodes were Ready."""

    command: float
    ready: float
    load: float


Samples = Mapping[str, Sequence[Sample]]
"""By way."""


@dataclasses.dataclass(frozen=True)
class Contest:
    """`ways` in the order in which `sample` measures them; `ours` may take `bar` times as long as the other.

    `what` is done; `more` goes into the summary.
    """

    prog: str
    about: str | None
    what: str
    ways: tuple[str, str]
    ours: str
    bar: float
    sample: Callable[[str], Sample]
    samples: int = 1
    more: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def ratio(self, found: Samples) -> float:
        """Ours to the other's, by their medians."""
        (other,) = set(self.ways) - {self.ours}
        return median(found[self.ours]) / median(found[other])

    def summary(self, found: Samples) -> dict[str, Any]:
        """Everything on one line."""
        samples = {way: [dataclasses.asdict(one) for one in found[way]] for way in self.ways}
        return {"ratio": round(self.ratio(found), 3), "bar": self.bar, **self.more, **samples}


def main(contest: Contest, argv: Sequence[str]) -> int:
    """0 when ours holds the bar; the last line is JSON."""
    parser = argparse.ArgumentParser(prog=contest.prog, description=contest.about)
    parser.add_argument(
        "-n", "--samples", type=int, default=contest.samples, help="how often each is measured"
    )
    given = parser.parse_args(argv)
    found: dict[str, list[Sample]] = {way: [] for way in contest.ways}
    for number in range(given.samples):
        for way in contest.ways:
            found[way].append(contest.sample(way))
            say(f"round {number + 1}: {way} {found[way][-1]}")
    for way, made in found.items():
        times = ", ".join(f"{one.ready:.2f}" for one in made)
        print(f"{way:10} {contest.what}, median {median(made):.2f} s  [{times}]")
    print(f"ratio {contest.ratio(found):.3f}, the bar is {contest.bar}")
    print(json.dumps(contest.summary(found)))
    return 0 if contest.ratio(found) <= contest.bar else 1


def timed(act: Callable[[], object], lacking: Callable[[], str | None], what: str) -> Sample:
    """Act, and wait for `what` until nothing is lacking."""
    load, began = machines.load(), time.monotonic()
    act()
    returned = time.monotonic() - began
    failover_cluster.await_(lacking, WITHIN, what, pause=0.1)
    return Sample(returned, time.monotonic() - began, load)


def median(made: Sequence[Sample]) -> float:
    return statistics.median(one.ready for one in made)
