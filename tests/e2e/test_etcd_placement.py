"""etcd elsewhere: on three machines of its own that kubeboot makes, and one that is not kubeboot's at all."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from kubeboot import render
from kubeboot.pki import table
from tests.e2e import bare
from tests.e2e.harness import Lab, Machine, difference, ill, members, snapshot
from tests.e2e.test_etcd import scaled, status
from tests.e2e.test_ha import eventually

pytestmark = [pytest.mark.cluster, pytest.mark.long]

ADMIN = "/etc/kubernetes/admin.conf"
ETCD = ("etcd-1", "etcd-2", "etcd-3")
WITHIN = 10.0
"""Seconds until a write is taken again after a member has died; `tests/bench/failover` has the bar."""


@pytest.fixture(scope="module")
def lab(request: pytest.FixtureRequest) -> Iterator[Lab]:
    def failed() -> bool:
        return request.session.testsfailed > 0

    with Lab.up(control_planes=2, workers=1, failed=failed, etcd=4) as made:
        yield made


@pytest.fixture(scope="module")
def before(lab: Lab) -> dict[str, str]:
    return snapshot(lab["etcd-3"])


@pytest.fixture(scope="module")
def first(lab: Lab, before: dict[str, str]) -> None:
    began = time.monotonic()
    lab["etcd-1"].run("kubeboot", "etcd", "init")
    print(f"etcd init: {time.monotonic() - began:.1f} s")


def kubectl(machine: Machine, *argv: str, check: bool = True) -> str:
    return machine.run("kubectl", "--kubeconfig", ADMIN, *argv, check=check).out


def configmaps(machine: Machine) -> set[str]:
    """None while the API does not answer."""
    return set(kubectl(machine, "get", "configmaps", "-o", "name", check=False).split())


def exported(machine: Machine, whom: str) -> bytes:
    return machine.run("kubeboot", "etcd", "export", "--for", whom, "-").out.encode()


def test_two_more_machines_join_etcd_at_the_same_time(lab: Lab, first: None) -> None:
    invitation = exported(lab["etcd-1"], "members")

    def join(name: str) -> float:
        began = time.monotonic()
        lab[name].run("kubeboot", "etcd", "join", "-", stdin=invitation)
        return time.monotonic() - began

    with ThreadPoolExecutor(2) as pool:
        print("etcd joins:", [f"{seconds:.1f} s" for seconds in pool.map(join, ETCD[1:])])
    assert members(lab["etcd-2"]) == dict.fromkeys(ETCD, True)


def test_nobody_else_reads_the_keys_and_nobody_reaches_the_kubelet(lab: Lab, first: None) -> None:
    machine = lab["etcd-2"]
    keys = machine.run("find", "/etc/kubernetes", "-name", "*.key", "-perm", "/077").out
    listening = machine.run("ss", "-Hltn", "sport = :10250").out
    assert (keys, listening) == ("", "")
    machine.run("kubeboot", "etcd", "export", "/root/etcd.access")
    assert machine.run("stat", "-c", "%a", "/root/etcd.access").out.strip() == "600"


def test_a_second_run_changes_nothing(lab: Lab, first: None) -> None:
    invitation = exported(lab["etcd-1"], "members")
    again = lab["etcd-1"].run("kubeboot", "etcd", "init", "-o", "json").out
    joined = lab["etcd-3"].run("kubeboot", "etcd", "join", "-", "-o", "json", stdin=invitation).out
    assert [json.loads(out.splitlines()[-1])["changed"] for out in (again, joined)] == [0, 0]


def test_doctor_finds_these_machines_well(lab: Lab, first: None) -> None:
    for name in ETCD:
        done = lab[name].run("kubeboot", "doctor", "-o", "json", check=False)
        found = [f for f in json.loads(done.out.splitlines()[-1])["findings"] if f["level"] == "error"]
        assert (done.code, found) == (0, []), name


@pytest.fixture(scope="module")
def cluster(lab: Lab, first: None) -> list[str]:
    """Two control planes and a worker on it; the join commands."""
    access = exported(lab["etcd-3"], "control-planes")
    argv = ("kubeboot", "init", "--upload-certs", "--external-etcd", "-")
    began = time.monotonic()
    lines = lab["cp-1"].run(*argv, stdin=access).out.splitlines()
    print(f"init: {time.monotonic() - began:.1f} s")
    with ThreadPoolExecutor(2) as pool:
        joins = pool.map(
            lambda pair: lab[pair[0]].run(*pair[1].split()), zip(("worker-1", "cp-2"), lines, strict=True)
        )
        list(joins)
    return lines


def test_control_planes_share_the_way_into_etcd_and_have_none_of_their_own(
    lab: Lab, cluster: list[str]
) -> None:
    for name in ("cp-1", "cp-2"):
        manifest = lab[name].run("cat", "/etc/kubernetes/manifests/kube-apiserver.yaml").out
        urls = ",".join(f"https://{lab[each].address}:2379" for each in ETCD)
        assert f"--etcd-servers={urls}" in manifest
        assert lab[name].run("ls", "/etc/kubernetes/manifests/etcd.yaml", check=False).code != 0
        assert lab[name].run("ls", "/etc/kubernetes/pki/etcd").out.split() == ["ca.crt"]
    said = kubectl(lab["cp-2"], "-n", "kube-system", "get", "cm", "kubeadm-config", "-o", "yaml")
    assert "external:" in said and "local:" not in said


def test_a_rerun_and_doctor_find_nothing_to_do(lab: Lab, cluster: list[str]) -> None:
    access = exported(lab["etcd-1"], "control-planes")
    wrong = lab["cp-1"].run("kubeboot", "init", check=False)
    assert wrong.code == 3 and "EtcdPlacement" in wrong.out + wrong.err
    lab["cp-1"].run("kubeboot", "init", "--external-etcd", "-", stdin=access)
    again = lab["cp-2"].run(*cluster[1].split(), "-o", "json").out
    assert json.loads(again.splitlines()[-1])["changed"] == 0
    end = time.monotonic() + 60  # CoreDNS is spread over the control planes when one joins
    while (done := lab["cp-2"].run("kubeboot", "doctor", check=False)).code:
        assert time.monotonic() < end, done.out + done.err
        time.sleep(2)


def test_writes_go_on_when_a_member_dies(lab: Lab, cluster: list[str]) -> None:
    kubectl(lab["cp-1"], "create", "configmap", "before")
    subprocess.run(("docker", "kill", f"kubeboot-{lab.name}-etcd-1"), check=True, stdout=subprocess.DEVNULL)
    died = time.monotonic()
    for number, name in enumerate(("cp-1", "cp-2") * 5):
        while lab[name].run(
            "kubectl", "--kubeconfig", ADMIN, "--request-timeout=1s", "create", "configmap", f"n{number}",
            check=False,
        ).code:  # fmt: skip
            assert time.monotonic() - died < WITHIN + 10
        if number == 1:
            took = time.monotonic() - died
            print(f"both control planes wrote again {took:.1f} s after the member died")
            assert took < WITHIN
    assert "before" in kubectl(lab["cp-2"], "get", "configmaps", "-o", "name")


def test_what_would_break_the_quorum_is_refused_and_the_dead_one_replaced(
    lab: Lab, cluster: list[str]
) -> None:
    refused = lab["etcd-2"].run("kubeboot", "reset", "--yes", check=False)
    assert refused.code != 0 and "KB_ETCD_QUORUM" in refused.err
    lab["etcd-2"].run("kubeboot", "etcd", "remove", "etcd-1")
    invitation = exported(lab["etcd-2"], "members")
    lab["etcd-4"].run("kubeboot", "etcd", "join", "-", stdin=invitation)
    assert members(lab["etcd-2"]) == {"etcd-2": True, "etcd-3": True, "etcd-4": True}
    access = exported(lab["etcd-4"], "control-planes")
    lab["cp-1"].run("kubeboot", "init", "--external-etcd", "-", stdin=access)
    manifest = lab["cp-1"].run("cat", "/etc/kubernetes/manifests/kube-apiserver.yaml").out
    assert lab["etcd-4"].address in manifest and lab["etcd-1"].address not in manifest


def test_a_member_that_is_reset_leaves_first_and_leaves_nothing(
    lab: Lab, cluster: list[str], before: dict[str, str]
) -> None:
    lab["etcd-3"].run("kubeboot", "reset", "--yes")
    assert members(lab["etcd-2"]) == {"etcd-2": True, "etcd-4": True}
    assert difference(before, snapshot(lab["etcd-3"])) == []
    assert kubectl(lab["cp-2"], "get", "--raw", "/readyz") == "ok"


def test_another_cluster_is_kept_out_of_it(lab: Lab, cluster: list[str]) -> None:
    lab["cp-2"].run("kubeboot", "reset", "--yes")
    nodes = kubectl(lab["cp-1"], "get", "nodes", "-o", "name").split()
    assert sorted(nodes) == ["node/cp-1", "node/worker-1"]
    access = exported(lab["etcd-2"], "control-planes")
    done = lab["cp-2"].run("kubeboot", "init", "--external-etcd", "-", stdin=access, check=False)
    assert done.code == 3 and "ExternalEtcdData" in done.out + done.err


SAVED = "/root/etcd.db"


def test_these_machines_take_the_cluster_back_to_a_snapshot(lab: Lab, cluster: list[str]) -> None:
    """Its API server goes on meanwhile, and is not told."""
    etcd, cp = lab["etcd-2"], lab["cp-1"]
    assert (status(etcd)["voters"], status(etcd)["survivesLossOf"]) == (2, 0)
    kubectl(cp, "create", "configmap", "kept")
    etcd.run("kubeboot", "etcd", "snapshot", "save", SAVED)
    kubectl(cp, "delete", "configmap", "kept")
    kubectl(cp, "create", "configmap", "later")
    began = time.monotonic()
    done = etcd.run("kubeboot", "etcd", "snapshot", "restore", SAVED, "--yes")
    print(f"restored in {time.monotonic() - began:.1f} s")
    assert "etcd join" in done.err and members(etcd) == {"etcd-2": True}
    took = eventually("the cluster of then", 60, lambda: "configmap/kept" in configmaps(cp))
    print(f"its API server knows {took:.1f} s later")
    assert "configmap/later" not in configmaps(cp)
    eventually("a Deployment changes", 60, lambda: scaled(cp, 3))


def test_the_other_machine_joins_again_and_when_it_dies_one_goes_on_alone(
    lab: Lab, cluster: list[str]
) -> None:
    etcd, other, cp = lab["etcd-2"], lab["etcd-4"], lab["cp-1"]
    other.run("kubeboot", "reset", "--yes")
    other.run("kubeboot", "etcd", "join", "-", stdin=exported(etcd, "members"))
    assert members(other) == {"etcd-2": True, "etcd-4": True}
    kubectl(cp, "create", "configmap", "survives")
    refused = etcd.run("kubeboot", "etcd", "recover", "--yes", check=False)
    assert refused.code == 7 and "KB_ETCD_HAS_QUORUM" in refused.err
    subprocess.run(("docker", "kill", f"kubeboot-{lab.name}-etcd-4"), check=True, stdout=subprocess.DEVNULL)
    eventually("the quorum is lost", 30, lambda: status(etcd)["hasQuorum"] is False)
    began = time.monotonic()
    etcd.run("kubeboot", "etcd", "recover", "--yes")
    print(f"recovered in {time.monotonic() - began:.1f} s")
    assert members(etcd) == {"etcd-2": True}
    eventually("the API answers", 60, lambda: "configmap/survives" in configmaps(cp))


FOREIGN = "/srv/etcd"


def test_an_etcd_that_is_not_kubeboots(lab: Lab) -> None:
    """Its own authority, its own place, a kubeadm document: a process on a machine that was reset above."""
    machine, cp = lab["etcd-3"], lab["cp-2"]
    signer = bare.authority("somebody's")
    names = (machine.address, "127.0.0.1")
    server = bare.issue(signer, table.Profile("etcd", usages=table.BOTH, names=names))
    client = bare.issue(signer, table.Profile("a-cluster"))
    _put(machine, {"ca.crt": signer.certificate, "s.crt": server.certificate, "s.key": server.key})
    install = ("install", "-m", "755", "/dev/stdin", "/usr/local/bin/etcd")
    machine.run(*install, stdin=bare.binary("etcd").read_bytes())
    url = f"https://{machine.address}:2379"
    machine.run(
        "systemd-run", "--unit", "foreign-etcd", "/usr/local/bin/etcd", "--data-dir", f"{FOREIGN}/data",
        "--listen-client-urls", url, "--advertise-client-urls", url, "--client-cert-auth",
        f"--trusted-ca-file={FOREIGN}/ca.crt", f"--cert-file={FOREIGN}/s.crt", f"--key-file={FOREIGN}/s.key",
    )  # fmt: skip
    document = render.dump(_kubeadm(url)).encode()
    argv = ("kubeboot", "init", "--config", "-")
    lacking = cp.run(*argv, stdin=document, check=False)
    assert lacking.code == 3 and "ExternalEtcdFile" in lacking.out + lacking.err
    _put(cp, {"ca.crt": signer.certificate, "c.crt": client.certificate, "c.key": server.key})
    halves = cp.run(*argv, stdin=document, check=False)
    assert halves.code == 3 and "ExternalEtcdCertificate" in halves.out + halves.err
    _put(cp, {"c.key": client.key})
    cp.run(*argv, stdin=document)
    assert kubectl(cp, "get", "--raw", "/readyz") == "ok"
    eventually("doctor finds nothing", 60, lambda: not ill(cp))
    cp.run("kubeboot", "reset", "--yes")
    assert cp.run("stat", "-c", "%a", f"{FOREIGN}/c.key").out.strip() == "600"


def _kubeadm(url: str) -> dict[str, object]:
    files = {"caFile": f"{FOREIGN}/ca.crt", "certFile": f"{FOREIGN}/c.crt", "keyFile": f"{FOREIGN}/c.key"}
    return {
        "apiVersion": "kubeadm.k8s.io/v1beta4",
        "kind": "ClusterConfiguration",
        "etcd": {"external": {"endpoints": [url], **files}},
    }


def _put(machine: Machine, files: dict[str, bytes]) -> None:
    machine.run("mkdir", "-p", FOREIGN)
    for name, data in files.items():
        machine.run("tee", f"{FOREIGN}/{name}", stdin=data)
        machine.run("chmod", "600", f"{FOREIGN}/{name}")
