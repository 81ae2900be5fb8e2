"""etcd's data on real machines: saved, damaged, restored; the quorum lost for good; all power gone."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.e2e.harness import Lab, Machine, members
from tests.e2e.test_ha import eventually, kubectl

pytestmark = [pytest.mark.cluster, pytest.mark.long]

COLD = 90.0
"""Seconds from the last boot until every Node is Ready and DNS answers."""
FILE = "/root/etcd.db"
PLACE = "recover/alone:after-1"
"""The manifest with --force-new-cluster is written."""
RESOLVE = (
    "import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(1);"
    r"q = b'\0\7\1\0\0\1\0\0\0\0\0\0\nkubernetes\7default\3svc\7cluster\5local\0\0\1\0\1';"
    "s.sendto(q, ('10.96.0.10', 53));"
    r"assert s.recv(512)[3] & 15 == 0"
)


@pytest.fixture(scope="module")
def lab(request: pytest.FixtureRequest) -> Iterator[Lab]:
    with Lab.up(control_planes=5, workers=0, failed=lambda: request.session.testsfailed > 0) as made:
        yield made


@pytest.fixture(scope="module")
def cp(lab: Lab) -> Machine:
    """The first control plane, of a cluster of three."""
    first = lab["cp-1"]
    command = first.run("kubeboot", "init", "--upload-certs").out.splitlines()[1].split()
    together(lab, ("cp-2", "cp-3"), *command)
    return first


def together(lab: Lab, names: tuple[str, ...], *command: str) -> None:
    with ThreadPoolExecutor(len(names)) as pool:
        list(pool.map(lambda name: lab[name].run(*command), names))


def joining(cp: Machine) -> tuple[str, ...]:
    key = cp.run("kubeboot", "certs", "upload").out
    argv = ("kubeboot", "token", "create", "--print-join-command", "--certificate-key-file", "-")
    return tuple(cp.run(*argv, stdin=key.encode()).out.split())


def status(machine: Machine) -> dict[str, object]:
    found: dict[str, object] = json.loads(
        machine.run("kubeboot", "etcd", "status", "-o", "json", check=False).out
    )
    return found


def power(lab: Lab, what: str, *names: str) -> None:
    machines = [f"kubeboot-{lab.name}-{name}" for name in names]
    subprocess.run(("docker", what, *machines), check=True, stdout=subprocess.DEVNULL)


def configmaps(machine: Machine) -> set[str]:
    return set(kubectl(machine, "get", "configmaps", "-o", "name").split())


def test_status_tells_what_etcd_could_lose(cp: Machine) -> None:
    found = status(cp)
    assert (found["healthy"], found["voters"], found["survivesLossOf"]) == (True, 3, 1)
    shown = cp.run("kubeboot", "etcd", "status").out
    assert "survives the loss of 1 more member" in shown and "leader" in shown


def test_a_full_disk_keeps_no_half_of_a_snapshot(cp: Machine) -> None:
    cp.run("mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", "/mnt")
    done = cp.run("kubeboot", "etcd", "snapshot", "save", "/mnt/etcd.db", check=False)
    assert done.code == 1 and "no space left" in done.err and "KB_DISK" in done.err, done.err
    assert cp.run("ls", "-A", "/mnt").out == ""
    cp.run("umount", "/mnt")


def test_what_was_saved_comes_back_and_what_came_later_is_gone(lab: Lab, cp: Machine) -> None:
    kubectl(cp, "create", "configmap", "kept")
    saved = json.loads(lab["cp-2"].run("kubeboot", "etcd", "snapshot", "save", FILE, "-o", "json").out)
    assert sorted(saved["members"]) == ["cp-1", "cp-2", "cp-3"] and saved["revision"] > 100
    assert lab["cp-2"].run("kubeboot", "etcd", "snapshot", "save", FILE, check=False).code == 2
    assert lab["cp-2"].run("stat", "-c", "%a", FILE).out == "600\n"
    data = subprocess.run(
        ("docker", "exec", f"kubeboot-{lab.name}-cp-2", "cat", FILE), check=True, capture_output=True
    )
    cp.run("sh", "-c", f"cat >{FILE}", stdin=data.stdout)
    kubectl(cp, "delete", "configmap", "kept")
    kubectl(cp, "create", "configmap", "later")
    began = time.monotonic()
    done = cp.run("kubeboot", "etcd", "snapshot", "restore", FILE, "--yes")
    print(f"restored in {time.monotonic() - began:.1f} s")
    assert "configmap/kept" in configmaps(cp) and "configmap/later" not in configmaps(cp)
    assert members(cp) == {"cp-1": True}
    assert "cp-2" in done.err and "before-restore-" in done.err
    eventually("a Deployment changes", 60, lambda: scaled(cp, 3))
    assert "cp-1" in cp.run("kubeboot", "etcd", "snapshot", "status", FILE).out


def scaled(cp: Machine, replicas: int) -> bool:
    """Controllers follow, whose watches began before the restore."""
    kubectl(cp, "-n", "kube-system", "scale", "deployment/coredns", f"--replicas={replicas}")
    shown = kubectl(cp, "-n", "kube-system", "get", "deployment/coredns", "-o", "jsonpath={.status.replicas}")
    return shown == str(replicas)


def test_damaged_data_is_replaced(lab: Lab, cp: Machine) -> None:
    together(lab, ("cp-2", "cp-3"), "kubeboot", "reset", "--yes")
    kubectl(cp, "create", "configmap", "later")
    cp.run("sh", "-c", "head -c 100000 /dev/zero >/var/lib/etcd/member/snap/db; pkill -x etcd")
    eventually("etcd is down", 60, lambda: cp.run("kubeboot", "etcd", "status", check=False).code == 5)
    cp.run("kubeboot", "etcd", "snapshot", "restore", FILE, "--yes")
    assert "configmap/kept" in configmaps(cp) and "configmap/later" not in configmaps(cp)


def test_the_other_control_planes_join_again(lab: Lab, cp: Machine) -> None:
    together(lab, ("cp-2", "cp-3"), *joining(cp))
    assert members(lab["cp-3"]) == dict.fromkeys(("cp-1", "cp-2", "cp-3"), True)
    done = cp.run("kubeboot", "etcd", "recover", "--yes", check=False)
    assert done.code == 7 and "KB_ETCD_HAS_QUORUM" in done.err


def test_one_of_three_goes_on_alone(lab: Lab, cp: Machine) -> None:
    kubectl(cp, "create", "configmap", "survives")
    power(lab, "kill", "cp-2", "cp-3")
    eventually("the quorum is lost", 30, lambda: status(cp)["hasQuorum"] is False)
    assert cp.run("kubeboot", "etcd", "status", check=False).code == 1
    cp.run("kubeboot", "etcd", "snapshot", "save", "/root/alone.db")
    killed = cp.run(
        "sh", "-c", f"KUBEBOOT_FAIL={PLACE}:kill kubeboot etcd recover --yes; exit $?", check=False
    )
    assert killed.code == 137, killed.err
    began = time.monotonic()
    done = cp.run("kubeboot", "etcd", "recover", "--yes")
    print(f"recovered in {time.monotonic() - began:.1f} s")
    assert members(cp) == {"cp-1": True}
    assert "configmap/survives" in configmaps(cp)
    assert "node remove cp-2" in done.err and "before-recover-" in done.err
    running = cp.run("sh", "-c", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '").out
    assert "--data-dir=/var/lib/etcd" in running and "--force-new-cluster" not in running
    for name in ("cp-2", "cp-3"):
        cp.run("kubeboot", "node", "remove", name, "--force")
    together(lab, ("cp-4", "cp-5"), *joining(cp))
    assert (status(cp)["survivesLossOf"], status(cp)["healthy"]) == (1, True)


def test_a_lost_machine_that_boots_again_is_kept_out(lab: Lab, cp: Machine) -> None:
    power(lab, "start", "cp-2")
    time.sleep(20)
    assert members(cp) == dict.fromkeys(("cp-1", "cp-4", "cp-5"), True)
    power(lab, "kill", "cp-2")


@pytest.mark.parametrize("order", [("cp-5", "cp-4", "cp-1")])
def test_all_come_back_by_themselves(lab: Lab, cp: Machine, order: tuple[str, ...]) -> None:
    power(lab, "kill", *order)
    boots = {}
    for name in order:
        boots[name] = time.time()
        power(lab, "start", name)
    last = time.monotonic()
    eventually("every Node is Ready", COLD, lambda: all_ready(lab, boots))
    print(f"Ready {time.monotonic() - last:.1f} s after the last boot")
    eventually("DNS answers", COLD, lambda: answers(lab, "cp-4"))
    took = time.monotonic() - last
    print(f"DNS answers {took:.1f} s after the last boot")
    assert took <= COLD


def inside(lab: Lab, name: str, *argv: str) -> subprocess.CompletedProcess[str]:
    """Not by SSH: the connection died with the machine."""
    machine = ("docker", "exec", f"kubeboot-{lab.name}-{name}")
    return subprocess.run((*machine, *argv), capture_output=True, text=True, timeout=20)


def all_ready(lab: Lab, boots: dict[str, float]) -> bool:
    """Ready, and said so after the boot: etcd remembers what was so before."""
    admin = ("kubectl", "--kubeconfig", "/etc/kubernetes/admin.conf", "--request-timeout=3s")
    done = inside(lab, "cp-4", *admin, "get", "nodes,leases", "-A", "-o", "json")
    if done.returncode:
        return False
    items = json.loads(done.stdout)["items"]
    ready = {
        item["metadata"]["name"]
        for item in items
        if item["kind"] == "Node"
        and any(c["type"] == "Ready" and c["status"] == "True" for c in item["status"]["conditions"])
    }
    renewed = {
        item["metadata"]["name"]: item["spec"]["renewTime"]
        for item in items
        if item["kind"] == "Lease" and item["metadata"]["namespace"] == "kube-node-lease"
    }
    since = {name: time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at)) for name, at in boots.items()}
    return all(name in ready and renewed.get(name, "") > at for name, at in since.items())


def answers(lab: Lab, name: str) -> bool:
    return inside(lab, name, "python3", "-c", RESOLVE).returncode == 0
