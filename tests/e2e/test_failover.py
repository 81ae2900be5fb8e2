"""Every failure that has a bar, as often as the bar says, on three control planes and two workers.

Hours of it are for `tests/run --chaos`; one of each cheap one is in test_ha.py. The figures are those of
tests/bench/failover, by the same code.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.bench import failover_cluster, failover_events, failover_main, failover_trial
from tests.bench.failover_cluster import Cluster
from tests.bench.failover_events import EVENTS, Event, Measured
from tests.e2e.harness import LAB, Lab, members

pytestmark = [pytest.mark.cluster, pytest.mark.chaos]
SECOND = ("cp-4", "cp-5", "cp-6")
FIVE = ("cp-1", "cp-2", "cp-3", "cp-4", "cp-5")


@pytest.fixture(scope="module")
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    with Lab.up(control_planes=3, workers=2, failed=lambda: request.session.testsfailed > 0) as lab:
        made, _ = failover_cluster.make(lab.name, failover_main.MEMBERS)
        failover_cluster.rest(made)
        yield made


Tally = Callable[[int, int], None]


def held(found: list[Measured], tally: Tally) -> None:
    print(*(f"{measured.seconds:.2f}" for measured in found), sep=", ")
    tally(sum(not measured.problems for measured in found), len(found))
    assert not [problem for measured in found for problem in measured.problems]


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.name)
def test_writes_go_on(cluster: Cluster, event: Event, tally: Tally) -> None:
    held([failover_trial.trial(cluster, event, number, print) for number in range(event.count)], tally)


@pytest.mark.parametrize("name", failover_main.OTHERS)
def test_the_cluster_helps_itself(cluster: Cluster, name: str, tally: Tally) -> None:
    count, run = failover_main.OTHERS[name]
    held([measured for number in range(count) for measured in run(cluster, number)], tally)


def test_a_wiped_machine_of_the_same_name_and_address_joins_again(cluster: Cluster) -> None:
    """A member of etcd that was never told to leave, whose machine comes back empty."""
    wiped = cluster.machine("cp-3")
    failover_events.power_off(wiped)
    subprocess.run(("docker", "rm", "--force", "--volumes", wiped.container), check=True)
    subprocess.run(
        (str(LAB), "up", "--name", cluster.lab, "--control-planes", "3", "--workers", "2"), check=True
    )
    assert cluster.machine("cp-3").address == wiped.address
    failover_cluster.await_(lambda: noticed(cluster, "cp-3"), 120, "cp-3 to be missed")
    join(cluster, ("cp-3",))
    failover_cluster.rest(cluster)


def test_a_worker_outlives_every_control_plane_that_it_knew(request: pytest.FixtureRequest) -> None:
    """All three are replaced, with other addresses; then the oldest worker is switched off and on."""
    with Lab.up(control_planes=6, workers=1, failed=lambda: request.session.testsfailed > 0) as lab:
        first, _ = failover_cluster.make(lab.name, ("cp-1", "cp-2", "cp-3", "worker-1"))
        join(first, SECOND)
        for name in first.control_planes:
            first.machine(name).run("kubeboot", "reset", "--yes")
        now = Cluster.of(lab.name, (*SECOND, "worker-1"))
        failover_cluster.await_(lambda: unknown(now), 60, "the worker to know all of them")
        worker = now.machine("worker-1")
        subprocess.run(("docker", "kill", worker.container), check=True, stdout=subprocess.DEVNULL)
        failover_cluster.await_(lambda: noticed(now, "worker-1"), 120, "the worker to be missed")
        subprocess.run(("docker", "start", worker.container), check=True, stdout=subprocess.DEVNULL)
        failover_cluster.await_(lambda: missed(now, "worker-1"), 120, "the worker to be Ready again")


def test_five_control_planes_join_at_once_and_bear_the_loss_of_two(request: pytest.FixtureRequest) -> None:
    with Lab.up(control_planes=5, workers=0, failed=lambda: request.session.testsfailed > 0) as lab:
        five, _ = failover_cluster.make(lab.name, FIVE)
        failover_cluster.rest(five)
        assert members(lab["cp-5"]) == dict.fromkeys(FIVE, True)
        leads = failover_cluster.leader(five)
        another, *left = [name for name in FIVE if name != leads]
        for name in (leads, another):
            failover_events.power_off(five.machine(name))
        began = time.monotonic()
        failover_cluster.await_(lambda: silent(five, left[0]), 60, "writes to go on")
        print(f"without two of five: {time.monotonic() - began:.1f} s")


def silent(cluster: Cluster, name: str) -> str | None:
    """What a write there comes to."""
    body = {"metadata": {"generateName": "after-"}}
    status, said = cluster.api(name).ask("POST", "/api/v1/namespaces/default/configmaps", body)
    return None if status == 201 else f"{status}: {said}"


def join(cluster: Cluster, names: tuple[str, ...]) -> None:
    """More control planes, at once, by a fresh certificate key."""
    first = cluster.machine("cp-1")
    key = first.run("kubeboot", "certs", "upload")
    argv = ("kubeboot", "token", "create", "--print-join-command", "--certificate-key-file", "-")
    command = first.run(*argv, stdin=key.encode()).split()
    with ThreadPoolExecutor(len(names)) as pool:
        list(pool.map(lambda name: failover_cluster.ran(cluster.machine(name), command), names))


def unknown(cluster: Cluster) -> str | None:
    """Which control planes the worker's haproxy has not yet."""
    config = cluster.machine("worker-1").run("cat", "/etc/kubernetes/haproxy/haproxy.cfg")
    missing = [n for n in cluster.control_planes if f"server {cluster.machine(n).address}:6443" not in config]
    return ", ".join(missing) or None


def missed(cluster: Cluster, name: str) -> str | None:
    """What a Node lacks."""
    _, node = cluster.api(cluster.control_planes[0]).ask("GET", f"/api/v1/nodes/{name}")
    return None if failover_cluster.is_ready(node) else f"{name} is not Ready"


def noticed(cluster: Cluster, name: str) -> str | None:
    """None once nobody believes any more that it is Ready."""
    return None if missed(cluster, name) else f"{name} is Ready"
