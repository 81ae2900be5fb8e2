"""The virtual address of three control planes: on one machine at a time, whatever happens to that one."""

from __future__ import annotations

import dataclasses
import itertools
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from kubeboot import errors
from tests.bench import failover_probe
from tests.bench.failover_cluster import Cluster
from tests.bench.failover_probe import Place
from tests.bench.prober import MODES
from tests.e2e.harness import Lab, Machine, repeatedly
from tests.e2e.test_ha import NAMES, eventually, kubectl

pytestmark = [pytest.mark.cluster, pytest.mark.long]

EVERY = 0.05
"""Seconds between two looks at all machines."""
PROBED = 15.0
"""Seconds of writes after the strike."""
GAP = 8.0
"""Seconds between two acknowledged writes while the address moves: 3.6 are VRRP's own."""
AFTER_THAW = 3.0
"""Seconds that a machine may keep the address which wakes up and learns that another one has it."""
ADMIN = "/etc/kubernetes/admin.conf"


@dataclasses.dataclass(frozen=True)
class Site:
    """The machines, and the address as the kernel of each of them has it: also of one that is frozen."""

    lab: Lab
    virtual: str

    def docker(self, *argv: str) -> str:
        done = subprocess.run(("docker", *argv), check=True, stdout=subprocess.PIPE)
        return done.stdout.decode().strip()

    def container(self, name: str) -> str:
        return f"kubeboot-{self.lab.name}-{name}"

    def tables(self) -> dict[str, Path]:
        """Each running machine's own routing table, which lists its addresses."""
        pids = {n: self.docker("inspect", "-f", "{{.State.Pid}}", self.container(n)) for n in NAMES}
        return {name: Path(f"/proc/{pid}/net/fib_trie") for name, pid in pids.items() if pid != "0"}

    def holders(self, tables: dict[str, Path]) -> frozenset[str]:
        return frozenset(name for name, table in tables.items() if self._has(table))

    def _has(self, table: Path) -> bool:
        try:
            lines = table.read_text().splitlines()
        except OSError:
            return False
        pairs = itertools.pairwise(lines)
        return any(line.strip() == f"|-- {self.virtual}" and "LOCAL" in below for line, below in pairs)

    def holder(self) -> str:
        """The one machine that has it now."""
        found = self.holders(self.tables())
        assert len(found) == 1, found
        return next(iter(found))

    @contextmanager
    def watched(self) -> Iterator[list[tuple[float, frozenset[str]]]]:
        """Who had it, every few milliseconds."""
        seen: list[tuple[float, frozenset[str]]] = []
        tables = self.tables()
        with repeatedly(lambda: seen.append((time.monotonic(), self.holders(tables))), EVERY):
            yield seen


def shared(seen: list[tuple[float, frozenset[str]]]) -> float:
    """For how many seconds more than one machine had it."""
    return sum(b[0] - a[0] for a, b in itertools.pairwise(seen) if len(a[1]) > 1)


def moved(site: Site, away: str, seconds: float) -> float:
    """Until another machine has it, whatever the old one believes."""
    tables = site.tables()
    return eventually("another has the address", seconds, lambda: site.holders(tables) - {away})


@pytest.fixture(scope="module")
def site(request: pytest.FixtureRequest) -> Iterator[Site]:
    with Lab.up(3, 0, failed=lambda: request.session.testsfailed > 0) as lab:
        yield Site(lab, lab["cp-1"].address.rpartition(".")[0] + ".100")


@pytest.fixture(scope="module")
def cluster(site: Site) -> None:
    done = site.lab["cp-1"].run("kubeboot", "init", "--upload-certs", "--virtual-ip", site.virtual)
    join = done.out.splitlines()[1].split()
    assert join[2] == f"{site.virtual}:8443"
    with ThreadPoolExecutor(2) as pool:
        for name in NAMES[1:]:
            pool.submit(site.lab[name].run, *join).result()


def test_one_machine_has_it_and_it_leads_to_the_api(site: Site, cluster: None) -> None:
    assert site.holder() == "cp-1"
    for name in NAMES:
        conf = site.lab[name].run("grep", "server:", ADMIN).out.split()[-1]
        assert conf == f"https://{site.virtual}:8443"
        assert kubectl(site.lab[name], "get", "--raw", "/readyz") == "ok"


def other(site: Site, than: str) -> Machine:
    return next(machine for machine in site.lab.machines if machine.name != than)


def test_it_moves_when_its_machine_dies_and_writes_go_on(site: Site, cluster: None) -> None:
    dies = site.holder()
    machine = other(site, dies)
    places = tuple(Place(machine.name, mode, site.virtual) for mode in MODES)

    def strike() -> None:
        site.docker("kill", site.container(dies))
        print(f"another has the address {moved(site, dies, 10):.1f} s after its machine died")

    with site.watched() as holders:
        cluster = Cluster.of(site.lab.name, NAMES)
        probed = failover_probe.during(cluster, places, strike, PROBED, machine.name)
    print(f"shared {shared(holders):.2f} s")
    assert shared(holders) == 0
    for seen in probed:
        print(f"{seen.place}: {len(seen.acknowledged)} writes, longest gap {seen.gap:.1f} s")
        assert seen.gap <= GAP and not seen.lost


def runs(machine: Machine, program: str) -> bool:
    """A machine that boots does not answer at first."""
    try:
        return machine.run("pgrep", "-x", program, check=False).code == 0
    except errors.Unreachable:
        return False


def test_who_comes_back_does_not_take_it(site: Site, cluster: None) -> None:
    has = site.holder()
    gone = next(name for name in NAMES if name not in site.tables())
    site.docker("start", site.container(gone))
    machine = site.lab[gone]
    machine.host.close()
    eventually("keepalived again", 90, lambda: runs(machine, "keepalived"))
    with site.watched() as seen:
        time.sleep(8)
    assert {holders for _, holders in seen} == {frozenset({has})}


def test_it_moves_when_haproxy_is_gone(site: Site, cluster: None) -> None:
    has = site.holder()
    manifest = "/etc/kubernetes/manifests/haproxy.yaml"
    with site.watched() as seen:
        site.lab[has].run("mv", manifest, "/root/")
        print(f"another has the address {moved(site, has, 20):.1f} s after haproxy was taken away")
        time.sleep(2)
    site.lab[has].run("mv", "/root/haproxy.yaml", manifest)
    assert shared(seen) == 0, f"shared for {shared(seen):.2f} s"


def test_a_frozen_machine_gives_it_up_when_it_thaws(site: Site, cluster: None) -> None:
    has = site.holder()
    site.docker("pause", site.container(has))
    try:
        with site.watched() as frozen:
            print(f"another has the address {moved(site, has, 10):.1f} s after its machine froze")
            time.sleep(5)
    finally:
        thawed = time.monotonic()
        site.docker("unpause", site.container(has))
    with site.watched() as seen:
        time.sleep(6)
    late = [at - thawed for at, holders in seen if len(holders) > 1]
    print(f"frozen: shared {shared(frozen):.1f} s; for {max(late, default=0.0):.2f} s after the thaw")
    assert max(late, default=0.0) <= AFTER_THAW
    assert len(seen[-1][1]) == 1


def test_a_killed_keepalived_begins_without_it(site: Site, cluster: None) -> None:
    has = site.holder()
    with site.watched() as seen:
        site.lab[has].run("pkill", "-KILL", "keepalived")
        time.sleep(12)
    print(f"keepalived killed: shared for {shared(seen):.2f} s")
    assert shared(seen) <= 1.0
    assert len(seen[-1][1]) == 1


def test_reset_hands_it_over(site: Site, cluster: None) -> None:
    has = site.holder()
    with site.watched() as seen:
        site.lab[has].run("kubeboot", "reset", "--yes")
    nobody = sum(b[0] - a[0] for a, b in itertools.pairwise(seen) if not a[1])
    print(f"reset: nobody had the address for {nobody:.1f} s, shared {shared(seen):.2f} s")
    assert shared(seen) == 0 and site.holder() != has
