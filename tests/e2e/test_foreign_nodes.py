"""A node of `kubeadm join` in a cluster of kubeboot: it has haproxy too, and its servers stay current."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator

import pytest
from lablib import build

from kubeboot.artifacts.bundle import Bundle
from tests.bench import failover_cluster, machines, peers
from tests.e2e.harness import Lab, Machine, ill
from tests.e2e.test_balancer import failed, init, ready
from tests.e2e.test_ha import ADMIN, eventually, kubectl, servers

pytestmark = [pytest.mark.cluster, pytest.mark.long]

RENEWED = 120.0
"""Seconds until a kubelet has renewed a ConfigMap's files: a minute, and what its pods' turns differ by."""
ASKS = """
apiVersion: v1
kind: Pod
metadata: {name: asks}
spec:
  nodeName: worker-1
  containers:
    - name: asks
      image: httpd
      imagePullPolicy: IfNotPresent
      command: [sleep, "3600"]
"""
NOT_OURS = ("get", "pods", "-A", "-l", "k8s-app=kubeboot-local-lb", "-o", "jsonpath={..spec.nodeName}")


@pytest.fixture(scope="module")
def lab(request: pytest.FixtureRequest) -> Iterator[Lab]:
    with Lab.up(2, 1, lambda: failed(request)) as made:
        yield made


@pytest.fixture(scope="module")
def joins(lab: Lab) -> list[list[str]]:
    """The cluster's join commands; worker-1 has what kubeadm's documentation asks for, and our images."""
    lines = init(lab["cp-1"])
    machine = machines.of(lab.name)["worker-1"]
    machines.prepare(machine)
    peers.place_kubeadm(machine, Bundle(build.bundle_path()).catalog(), tuned=False)
    of_the_lab = "KUBELET_EXTRA_ARGS=--fail-cgroupv1=false --resolv-conf=/etc/bench-resolv.conf\n"
    machine.write("/etc/default/kubelet", of_the_lab.encode())
    machine.write("/etc/bench/join.yaml", peers.join_config(lines[0], machine).encode())
    return lines


def where(lab: Lab, *names: str) -> set[str]:
    return {f"{lab[name].address}:6443" for name in names}


def is_answered(cp: Machine) -> bool:
    asked = ("exec", "asks", "--", "nslookup", "kubernetes.default.svc.cluster.local")
    return "10.96.0.1\n" in cp.run("kubectl", "--kubeconfig", ADMIN, *asked, check=False).out


def test_kubeadm_joins_a_node_that_becomes_ready(lab: Lab, joins: list[list[str]]) -> None:
    argv = ("kubeadm", "join", "--config", "/etc/bench/join.yaml", "--ignore-preflight-errors=all")
    began, cp = time.monotonic(), lab["cp-1"]
    lab["worker-1"].run(*argv)
    eventually("worker-1 Ready", 120, lambda: ready(cp) == {"cp-1": "True", "worker-1": "True"})
    print(f"a node of kubeadm join is Ready after {time.monotonic() - began:.0f} s")
    assert kubectl(cp, *NOT_OURS).split() == ["worker-1"]
    assert servers(lab["worker-1"]) == where(lab, "cp-1")
    assert ill(cp) == []


def test_a_pod_there_resolves_a_services_name(lab: Lab, joins: list[list[str]]) -> None:
    cp = lab["cp-1"]
    kubectl(cp, "apply", "-f", "-", stdin=ASKS.encode())
    kubectl(cp, "wait", "--for=condition=Ready", "pod/asks", "--timeout=60s")
    eventually("the answer", 30, lambda: is_answered(cp))


def test_it_uses_a_control_plane_that_joins_and_forgets_one_that_leaves(
    lab: Lab, joins: list[list[str]]
) -> None:
    lab["cp-2"].run(*joins[1])
    both = where(lab, "cp-1", "cp-2")
    took = eventually("both in use", RENEWED, lambda: servers(lab["worker-1"]) == both)
    print(f"the node has both {took:.0f} s after the join")
    lab["cp-2"].run("kubeboot", "reset", "--yes")
    read = (
        "exec",
        "-n",
        "kube-system",
        "daemonset/kubeboot-local-lb",
        "--",
        "cat",
        "/run/haproxy/haproxy.cfg",
    )
    gone = eventually("cp-2 gone", RENEWED, lambda: lab["cp-2"].address not in kubectl(lab["cp-1"], *read))
    print(f"the node has forgotten cp-2 {gone:.0f} s after its reset")
    assert servers(lab["worker-1"]) == where(lab, "cp-1")


def test_it_comes_back_by_itself(lab: Lab, joins: list[list[str]]) -> None:
    machine = machines.of(lab.name)["worker-1"]
    for verb in ("kill", "start"):
        subprocess.run(("docker", verb, machine.container), check=True, stdout=subprocess.DEVNULL)
    stats = machine.argv("sh", "-c", failover_cluster.STATS)
    up = {f"{lab['cp-1'].address}:6443": "UP"}

    def told() -> str:
        return subprocess.run(stats, capture_output=True, text=True, check=False).stdout

    took = eventually("haproxy", 120, lambda: failover_cluster.servers(told()) == up)
    took += eventually("the answer", 60, lambda: is_answered(lab["cp-1"]))
    print(f"a pod there is answered {took:.0f} s after the power came back")
