"""`kubeboot status` and `kubeboot preflight`: what was found, in words, JSON and exit codes."""

from __future__ import annotations

import json

from kubeboot.fleet import orders
from kubeboot.fleet.status import CertificateStatus, NodeStatus, PodStatus, Status
from kubeboot.steps.preflight.model import Finding
from tests.unit.cli_actions import Actions
from tests.unit.cli_support import golden, run


def test_status(acts: Actions) -> None:
    acts.answers["status"] = Status(
        nodes=(
            NodeStatus("cp-1", "control-plane", True, "v1.37.1", "10.0.0.11", "containerd://2.3.7"),
            NodeStatus("w-1", "worker", False, "v1.37.1", "10.0.0.12", "containerd://2.3.7"),
        ),
        pods=(PodStatus("kube-system", "coredns-1", "cp-1", True, 0, "Running"),),
        certificates=(
            CertificateStatus("/etc/kubernetes/pki/apiserver.crt", 364),
            CertificateStatus("/var/lib/kubelet/pki/kubelet-client-current.pem", 12),
        ),
    )
    ran = run("status")
    assert ran.code == 1
    golden("cli-status.txt", ran.out)
    found = json.loads(run("status", "-o", "json").out)
    assert (found["healthy"], found["nodes"][1]["ready"], found["certificates"][1]["daysLeft"]) == (
        False,
        False,
        12,
    )


def test_status_where_the_api_does_not_answer(acts: Actions) -> None:
    acts.answers["status"] = Status(problem="connection refused")
    ran = run("status")
    assert (ran.code, ran.out) == (1, "cannot reach the API: connection refused\n")
    acts.answers["status"] = Status()
    assert run("status").out == "there is no cluster on this machine\n"


def test_preflight_prints_every_finding_with_its_fix(acts: Actions) -> None:
    acts.answers["preflight"] = orders.PreflightResult(
        (
            Finding("Swap", "swap is on: /dev/sda2", "swapoff -a", "warning"),
            Finding("Port-6443", "port 6443 is held by nginx (pid 7)", "stop it", host="cp-1"),
        ),
        61,
    )
    ran = run("preflight", "--ignore-preflight-errors", "Swap")
    assert ran.code == 3
    assert acts.asked[0].ignore_preflight == {"Swap"}
    golden("cli-preflight.txt", ran.out)
    assert [f["name"] for f in json.loads(run("preflight", "-o", "json").out)["findings"]] == [
        "Swap",
        "Port-6443",
    ]


def test_preflight_of_a_fit_machine(acts: Actions) -> None:
    ran = run("preflight")
    assert (ran.code, ran.out, ran.log) == (0, "12 checks, nothing found: this machine is fit\n", None)
