"""Three control planes and a worker: made at once, the first one killed, forgotten, and replaced."""

from __future__ import annotations

import itertools
import json
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.e2e.harness import Lab, Machine

pytestmark = pytest.mark.cluster

ADMIN = "/etc/kubernetes/admin.conf"
PROBER = Path(__file__).with_name("prober.sh").read_bytes()
NAMES = ("cp-1", "cp-2", "cp-3")
PROBED = 16
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


def members(machine: Machine) -> dict[str, bool]:
    """Name and whether it votes, as etcd itself says."""
    pki = "/etc/kubernetes/pki/etcd"
    identity = ("--cert", f"{pki}/healthcheck-client.crt", "--key", f"{pki}/healthcheck-client.key")
    url = "https://127.0.0.1:2379/v3/cluster/member/list"
    done = machine.run("curl", "-sS", "--cacert", f"{pki}/ca.crt", *identity, "-d", "{}", url)
    return {m.get("name", ""): not m.get("isLearner", False) for m in json.loads(done.out)["members"]}


def eventually(what: str, seconds: float, look: object) -> float:
    began = time.monotonic()
    while not look():  # type: ignore[operator]
        assert time.monotonic() - began < seconds, f"{what}: not within {seconds:.0f} s"
        time.sleep(0.5)
    return time.monotonic() - began


def servers(machine: Machine) -> set[str]:
    text = machine.run("cat", "/etc/kubernetes/haproxy/haproxy.cfg").out
    return {line.split()[2] for line in text.splitlines() if line.startswith("    server ")}


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


def test_writes_go_on_when_the_first_machine_dies(lab: Lab, first: list[str]) -> None:
    places = {"worker-1": lab["worker-1"], "cp-2": lab["cp-2"]}
    conf = lab["cp-2"].run("cat", ADMIN).out.encode()
    for name, machine in places.items():
        machine.run("tee", "/root/admin.conf", stdin=conf)
        machine.run("tee", "/root/prober.sh", stdin=PROBER)
        kubectl(lab["cp-2"], "create", "configmap", f"probe-{name}")

    def probe(name: str) -> list[tuple[float, str]]:
        out = places[name].run("sh", "/root/prober.sh", str(PROBED), f"probe-{name}").out
        return [(float(at), n) for at, n in (line.split() for line in out.splitlines())]

    with ThreadPoolExecutor(len(places)) as pool:
        running = {name: pool.submit(probe, name) for name in places}
        time.sleep(4)
        subprocess.run(("docker", "kill", f"kubeboot-{lab.name}-cp-1"), check=True, stdout=subprocess.DEVNULL)
        acknowledged = {name: future.result() for name, future in running.items()}
    for name, writes in acknowledged.items():
        gap = max(b[0] - a[0] for a, b in itertools.pairwise(writes))
        print(f"{name}: {len(writes)} writes, longest gap {gap:.2f} s")
        assert gap <= GAP
        kept = json.loads(kubectl(lab["cp-2"], "get", "configmap", f"probe-{name}", "-o", "json"))["data"]
        assert {n for _, n in writes} <= set(kept.values())


def test_what_would_break_the_quorum_is_refused(lab: Lab, first: list[str]) -> None:
    done = lab["cp-3"].run("kubeboot", "reset", "--yes", check=False)
    assert done.code != 0 and "KB_ETCD_QUORUM" in done.err, done.err
    assert "node remove" in done.err
    assert members(lab["cp-2"]) == dict.fromkeys(NAMES, True)
    assert kubectl(lab["cp-3"], "get", "--raw", "/readyz") == "ok"


def test_the_dead_machine_is_forgotten(lab: Lab, first: list[str]) -> None:
    done = lab["cp-2"].run("kubeboot", "node", "remove", "cp-1", "--force")
    assert "bears the loss of 0" in done.err
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


def test_a_control_plane_that_is_reset_leaves_first(lab: Lab, first: list[str]) -> None:
    lab["cp-3"].run("kubeboot", "reset", "--yes")
    assert members(lab["cp-4"]) == {"cp-2": True, "cp-4": True}
    assert "node/cp-3" not in kubectl(lab["cp-4"], "get", "nodes", "-o", "name").split()
