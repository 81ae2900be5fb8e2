"""Three control planes and a worker: made at once, hurt, the first one killed, forgotten, and replaced."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.bench import failover_cluster, failover_cold, failover_leaders, failover_probe, failover_trial
from tests.bench.failover_cluster import Cluster
from tests.bench.failover_events import EVENTS, power_off
from tests.bench.failover_probe import Place
from tests.bench.prober import MODES
from tests.e2e.harness import Lab, Machine, members

pytestmark = pytest.mark.cluster

ADMIN = "/etc/kubernetes/admin.conf"
NAMES = ("cp-1", "cp-2", "cp-3")
CHEAP = (
    "apiserver-killed", "apiserver-hung", "etcd-killed-leader", "haproxy-killed", "freeze-follower",
    "no-packets-leader",
)  # fmt: skip
"""One of each; all of them, as often as their bars say, by tests/run --chaos."""
GAP = 5.0
"""Seconds between two acknowledged writes while a control plane dies."""


@pytest.fixture(scope="module")
def lab(request: pytest.FixtureRequest) -> Iterator[Lab]:
    with Lab.up(control_planes=4, workers=1, failed=lambda: request.session.testsfailed > 0) as made:
        yield made


@pytest.fixture(scope="module")
def first(lab: Lab) -> list[str]:
    """The join commands that init ended with: a worker's and a control plane's."""
    began = time.monotonic()
    lines = lab["cp-1"].run("kubeboot", "init", "--upload-certs").out.splitlines()
    print(f"init: {time.monotonic() - began:.1f} s")
    return lines


def kubectl(machine: Machine, *argv: str, stdin: bytes | None = None) -> str:
    return machine.run("kubectl", "--kubeconfig", ADMIN, *argv, stdin=stdin).out


def eventually(what: str, seconds: float, look: object) -> float:
    began = time.monotonic()
    while not look():  # type: ignore[operator]
        assert time.monotonic() - began < seconds, f"{what}: not within {seconds:.0f} s"
        time.sleep(0.5)
    return time.monotonic() - began


def servers(machine: Machine) -> set[str]:
    """Whom haproxy sends to now, as it says itself."""
    told = machine.run("sh", "-c", failover_cluster.STATS, check=False).out
    return {server for server, state in failover_cluster.servers(told).items() if state == "UP"}


def test_two_control_planes_and_a_worker_join_at_the_same_time(lab: Lab, first: list[str]) -> None:
    worker, control_plane = (line.split() for line in first)

    def join(name: str) -> float:
        began = time.monotonic()
        lab[name].run(*(worker if name.startswith("worker") else control_plane))
        return time.monotonic() - began

    names = ("cp-2", "cp-3", "worker-1")
    with ThreadPoolExecutor(len(names)) as pool:
        took = dict(zip(names, pool.map(join, names), strict=True))
    print("joins:", ", ".join(f"{name} {seconds:.1f} s" for name, seconds in took.items()))
    assert members(lab["cp-2"]) == dict.fromkeys(NAMES, True)
    nodes = json.loads(kubectl(lab["cp-3"], "get", "nodes", "-o", "json"))["items"]
    ready = {
        n["metadata"]["name"]: next(c["status"] for c in n["status"]["conditions"] if c["type"] == "Ready")
        for n in nodes
    }
    assert ready == dict.fromkeys((*NAMES, "worker-1"), "True")


def test_a_control_plane_that_joins_again_changes_nothing(lab: Lab, first: list[str]) -> None:
    done = lab["cp-2"].run(*first[1].split())
    assert "nothing" in (done.out + done.err).lower(), done.err


def test_every_machine_uses_every_control_plane_within_a_minute(lab: Lab, first: list[str]) -> None:
    every = {f"{lab[name].address}:6443" for name in NAMES}
    machines = [lab[name] for name in (*NAMES, "worker-1")]
    took = eventually("all in use", 60, lambda: all(servers(machine) == every for machine in machines))
    print(f"every haproxy has every server after {took:.0f} s more")
    for machine in machines:
        where = "https://127.0.0.1:8443/readyz"
        pki = "/etc/kubernetes/pki/ca.crt"
        assert machine.run("curl", "-sS", "--cacert", pki, where).out == "ok"


def test_a_token_minted_by_one_api_server_passes_review_at_the_others(lab: Lab, first: list[str]) -> None:
    token = kubectl(lab["cp-1"], "create", "token", "default").strip()
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": token}}
    for name in NAMES:
        server = f"--server=https://{lab[name].address}:6443"
        argv = ("create", "-o", "json", "-f", "-")
        said = json.loads(kubectl(lab[name], server, *argv, stdin=json.dumps(review).encode()))
        assert said["status"]["authenticated"], name


@pytest.fixture(scope="module")
def cluster(lab: Lab) -> Cluster:
    return Cluster.of(lab.name, (*NAMES, "worker-1"))


@pytest.mark.parametrize("name", CHEAP)
def test_writes_go_on(cluster: Cluster, first: list[str], name: str) -> None:
    event = next(event for event in EVENTS if event.name == name)
    found = failover_trial.trial(cluster, event, 1, print)
    assert not found.problems


def test_leaders_that_die_are_followed_and_a_deployment_grows(cluster: Cluster, first: list[str]) -> None:
    found = failover_leaders.trial(cluster, 1, print)
    assert not [problem for measured in found for problem in measured.problems]


def test_all_machines_lose_power_and_come_back_by_themselves(
    lab: Lab, cluster: Cluster, first: list[str]
) -> None:
    found = failover_cold.trial(cluster, 2, print)
    for machine in lab.machines:
        machine.host.close()  # these connections have died with their machines
    assert not found.problems


def test_name_servers_are_on_more_than_one_machine(lab: Lab, first: list[str]) -> None:
    wanted = ("get", "pods", "-n", "kube-system", "-l", "k8s-app=kube-dns", "-o")
    hosts = kubectl(lab["cp-2"], *wanted, "jsonpath={.items[*].spec.nodeName}").split()
    assert len(hosts) == 2 == len(set(hosts))


def test_writes_go_on_when_the_first_machine_dies(cluster: Cluster, first: list[str]) -> None:
    places = tuple(Place(name, mode) for name in ("worker-1", "cp-2") for mode in MODES)
    dying = cluster.machine("cp-1")
    for seen in failover_probe.during(cluster, places, lambda: power_off(dying), 10.0, "cp-2"):
        print(f"{seen.place}: {len(seen.acknowledged)} writes, longest gap {seen.gap:.2f} s")
        assert seen.gap <= GAP and not seen.lost


def test_what_would_break_the_quorum_is_refused(lab: Lab, first: list[str]) -> None:
    done = lab["cp-3"].run("kubeboot", "reset", "--yes", check=False)
    assert done.code != 0 and "KB_ETCD_QUORUM" in done.err, done.err
    assert "node remove" in done.err
    assert members(lab["cp-2"]) == dict.fromkeys(NAMES, True)
    assert kubectl(lab["cp-3"], "get", "--raw", "/readyz") == "ok"


def test_the_dead_machine_is_forgotten(lab: Lab, first: list[str]) -> None:
    done = lab["cp-2"].run("kubeboot", "node", "remove", "cp-1", "--force")
    assert "and can lose 0" in done.err
    assert members(lab["cp-2"]) == {"cp-2": True, "cp-3": True}
    names = kubectl(lab["cp-3"], "get", "nodes", "-o", "name").split()
    assert sorted(names) == ["node/cp-2", "node/cp-3", "node/worker-1"]
    info = kubectl(lab["cp-3"], "get", "configmap", "cluster-info", "-n", "kube-public", "-o", "yaml")
    assert lab["cp-1"].address not in info and lab["cp-2"].address in info


def test_a_fresh_machine_takes_its_place(lab: Lab, first: list[str]) -> None:
    cp = lab["cp-3"]
    key = cp.run("kubeboot", "certs", "upload").out
    argv = ("kubeboot", "token", "create", "--print-join-command", "--certificate-key-file", "-")
    command = cp.run(*argv, stdin=key.encode()).out.split()
    began = time.monotonic()
    lab["cp-4"].run(*command)
    print(f"a control plane joined in {time.monotonic() - began:.1f} s")
    assert members(lab["cp-4"]) == {"cp-2": True, "cp-3": True, "cp-4": True}
    every = {f"{lab[name].address}:6443" for name in ("cp-2", "cp-3", "cp-4")}
    machines = [machine for machine in lab.machines if machine.name != "cp-1"]
    took = eventually("all in use", 60, lambda: all(servers(machine) == every for machine in machines))
    print(f"every haproxy sends to it {took:.0f} s later")


def test_a_worker_that_lives_is_drained_as_its_budgets_allow(lab: Lab, first: list[str]) -> None:
    cp, app = lab["cp-4"], failover_leaders.NAME
    kubectl(cp, "apply", "-f", "-", stdin=json.dumps(failover_leaders.DEPLOYMENT).encode())
    kubectl(cp, "create", "poddisruptionbudget", app, f"--selector=app={app}", "--min-available=1")
    kubectl(cp, "wait", f"deployment/{app}", "--for=condition=Available", "--timeout=180s")
    held = cp.run("kubeboot", "node", "remove", "worker-1", "--drain-timeout", "3s", check=False)
    assert held.code != 0 and "KB_DRAIN" in held.err and f"default/{app}-" in held.err, held.err
    assert f"disruption budget {app}" in held.err, held.err
    assert "node/worker-1" in kubectl(cp, "get", "nodes", "-o", "name").split()
    kubectl(cp, "delete", "poddisruptionbudget", app)
    cp.run("kubeboot", "node", "remove", "worker-1")
    assert "node/worker-1" not in kubectl(cp, "get", "nodes", "-o", "name").split()
    left = ("get", "pods", "-A", "--field-selector=spec.nodeName=worker-1", "-o", "name")
    assert kubectl(cp, *left) == ""


def test_a_control_plane_that_is_reset_leaves_first(lab: Lab, first: list[str]) -> None:
    lab["cp-3"].run("kubeboot", "reset", "--yes")
    assert members(lab["cp-4"]) == {"cp-2": True, "cp-4": True}
    assert "node/cp-3" not in kubectl(lab["cp-4"], "get", "nodes", "-o", "name").split()
