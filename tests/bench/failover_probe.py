"""Writes from several places while something happens to a machine, and what became of them."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from tests.bench import failover_cluster, machines, prober
from tests.bench.failover_cluster import Cluster

PROBER = Path(prober.__file__)
PORT = 8443
BEFORE = 2.0
"""Seconds of writes before anything happens."""
READ_BACK = 60.0
"""Seconds for all that was written, on a cluster that has just lost a machine."""


@dataclasses.dataclass(frozen=True)
class Place:
    """From where, whether with a connection for each write or with one for all, and through which haproxy."""

    machine: str
    mode: str
    address: str = "127.0.0.1"

    def __str__(self) -> str:
        return f"{self.machine}/{self.mode}"


@dataclasses.dataclass(frozen=True)
class Write:
    """Moments are seconds after the strike; `wrong` is None for one that was acknowledged."""

    number: int
    sent: float
    ended: float
    wrong: str | None


@dataclasses.dataclass(frozen=True)
class Seen:
    """What one prober saw, and what the cluster has of it."""

    place: Place
    writes: tuple[Write, ...]
    ended: float
    kept: frozenset[int]

    @property
    def acknowledged(self) -> list[Write]:
        return [write for write in self.writes if write.wrong is None]

    @property
    def gap(self) -> float:
        """The longest time between two acknowledged writes; the beginning and the end count as one each."""
        moments = [*(write.ended for write in self.acknowledged), self.ended]
        if not self.acknowledged:
            return float("inf")
        return max(b - a for a, b in itertools.pairwise([self.writes[0].sent, *moments]))

    @property
    def lost(self) -> list[int]:
        """Acknowledged, and not there."""
        return [write.number for write in self.acknowledged if write.number not in self.kept]

    @property
    def failed(self) -> list[Write]:
        return [write for write in self.writes if write.wrong is not None]

    @property
    def landed(self) -> int:
        """How many were not acknowledged, and are there all the same."""
        return sum(write.number in self.kept for write in self.failed)


def during(
    cluster: Cluster, places: tuple[Place, ...], strike: Callable[[], object], window: float, reader: str
) -> tuple[Seen, ...]:
    """Write from all places, strike, go on for `window` seconds; then read back through `reader`."""
    cluster.api(reader).ask("POST", "/api/v1/namespaces", {"metadata": {"name": prober.NAMESPACE}})
    with tempfile.TemporaryDirectory() as name:
        room = Path(name)
        failover_cluster.credentials(cluster.machine(reader), room)
        with contextlib.ExitStack() as stack:
            outs = [stack.enter_context(_probing(cluster, place, room)) for place in places]
            time.sleep(BEFORE)
            struck = time.monotonic()
            strike()
            time.sleep(max(0.0, struck + window - time.monotonic()))
            ended = time.monotonic() - struck
        rows = [_rows(out, struck) for out in outs]
    return tuple(
        Seen(place, writes, ended, _kept(cluster, reader, _run(place)))
        for place, writes in zip(places, rows, strict=True)
    )


@contextlib.contextmanager
def _probing(cluster: Cluster, place: Place, room: Path) -> Iterator[Path]:
    """The prober runs on this computer, in the machine's network: no processor time goes into entering it."""
    out = room / f"{_run(place)}.jsonl"
    argv = (
        "nsenter", f"--net={machines.network(cluster.machine(place.machine))}", sys.executable, str(PROBER),
        place.address, str(PORT), place.mode, _run(place), str(room),
    )  # fmt: skip
    with out.open("wb") as file, subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=file) as running:
        try:
            yield out
        finally:
            stdin: IO[bytes] | None = running.stdin
            assert stdin is not None
            stdin.close()
            code = running.wait(60)
    if code:
        raise RuntimeError(f"the prober of {place} ended with {code}")


def _run(place: Place) -> str:
    return f"{place.machine}-{place.mode}"


def _rows(out: Path, struck: float) -> tuple[Write, ...]:
    listed = (json.loads(line) for line in out.read_text().splitlines())
    return tuple(Write(n, sent - struck, ended - struck, wrong) for n, sent, ended, wrong in listed)


def _kept(cluster: Cluster, reader: str, run: str) -> frozenset[int]:
    """What is there, from etcd's quorum; then it is cleared away."""
    api, path = (
        cluster.api(reader),
        f"/api/v1/namespaces/{prober.NAMESPACE}/configmaps?labelSelector=run={run}",
    )
    status, found = api.ask("GET", path, timeout=READ_BACK)
    if status != 200:
        raise RuntimeError(f"what was written cannot be read back: {status} {found}")
    api.ask("DELETE", path, timeout=READ_BACK)
    return frozenset(int(item["data"]["number"]) for item in found["items"])
