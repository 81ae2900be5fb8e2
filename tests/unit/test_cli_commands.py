"""Commands that hand something out or tell what there is: kubeconfig, token, status, preflight."""

from __future__ import annotations

import datetime
import json

import pytest

from kubeboot.engine.values import Secret
from kubeboot.fleet import orders, orders_cluster
from kubeboot.fleet.status import CertificateStatus, NodeStatus, PodStatus, Status
from kubeboot.steps.preflight.model import Finding
from tests.unit.cli_actions import LINE, SOON, TOKEN, Actions
from tests.unit.cli_support import golden, run


def test_kubeconfig_is_all_that_is_on_stdout(acts: Actions) -> None:
    ran = run("kubeconfig", "--server", "https://k8s.example.org:8443/")
    assert (ran.code, ran.out, ran.err) == (0, "apiVersion: v1\nkind: Config\n", "")
    assert acts.asked[0].server == "https://k8s.example.org:8443"


@pytest.mark.parametrize("server", ["k8s:8443", "http://k8s", "https://", "https://a b", "https://k8s:99999"])
def test_kubeconfig_refuses_what_is_no_server(acts: Actions, server: str) -> None:
    assert (run("kubeconfig", "--server", server).code, acts.asked) == (2, [])


def test_token_create_prints_the_token(acts: Actions) -> None:
    ran = run("token", "create", "--ttl", "2h", "--description", "rack 7", "--usages", "signing")
    assert (ran.code, ran.out) == (0, f"{TOKEN}\n")
    assert "2099-01-02 03:04 UTC" in ran.err
    (found,) = acts.asked
    assert (found.ttl, found.description, found.usages) == (
        datetime.timedelta(hours=2),
        "rack 7",
        ("signing",),
    )
    assert (found.token, found.join_command) == (None, False)


def test_token_create_prints_the_join_command(acts: Actions) -> None:
    acts.answers["token_create"] = orders_cluster.TokenCreateResult(Secret(TOKEN), SOON, Secret(LINE))
    assert run("token", "create", TOKEN, "--print-join-command").out == f"{LINE}\n"
    assert (acts.asked[0].token, acts.asked[0].join_command) == (Secret(TOKEN), True)
    assert json.loads(run("token", "create", "-o", "json").out)["joinCommand"] == LINE


@pytest.mark.parametrize(
    "line",
    [
        ("create", "nonsense"),
        ("create", "--usages", "everything"),
        ("create", "--groups", "system:masters"),
        ("create", "--groups", "system:bootstrappers:"),
        ("create", "--ttl", "soon"),
        ("create", "--description", "two\nlines"),
        ("create", TOKEN, "--token-file", "x"),
        ("create", TOKEN, TOKEN),
        ("delete",),
        ("delete", "ABC"),
        ("delete", "abcdef", "abcdef."),
        ("list", "abcdef"),
        ("creat",),
        (),
    ],
)
def test_bad_token_lines(acts: Actions, line: tuple[str, ...]) -> None:
    ran = run("token", *line)
    assert (ran.code, ran.out, acts.asked) == (2, "", [])
    assert "0123456789abcdef" not in ran.err


def test_token_list(acts: Actions) -> None:
    past = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    acts.answers["token_list"] = (
        orders_cluster.Token("abcdef", None, ("authentication", "signing"), "for rack 7"),
        orders_cluster.Token("zzzzzz", past, ("signing",)),
    )
    assert run("token", "list").out == (
        "ID      EXPIRES IN  USAGES                  DESCRIPTION\n"
        "abcdef  never       authentication,signing  for rack 7\n"
        "zzzzzz  expired     signing\n"
    )
    assert [t["id"] for t in json.loads(run("token", "list", "-o", "json").out)["tokens"]] == [
        "abcdef",
        "zzzzzz",
    ]


def test_no_tokens_is_no_output(acts: Actions) -> None:
    assert (run("token", "list").out, run("token", "list").code) == ("", 0)


def test_token_delete_takes_ids_and_whole_tokens(acts: Actions) -> None:
    assert run("token", "delete", "abcdef", "zzzzzz.0123456789abcdef").code == 0
    assert acts.asked[0].ids == ("abcdef", "zzzzzz")
    acts.answers["token_delete"] = orders_cluster.TokenDeleteResult((), ("abcdef",))
    ran = run("token", "delete", "abcdef")
    assert (ran.code, "reason KB_NO_TOKEN" in ran.err) == (1, True)


def test_token_generate_asks_nobody(acts: Actions) -> None:
    from kubeboot.pki import tokens

    first, second = run("token", "generate"), run("token", "generate")
    assert tokens.parse(first.out).text + "\n" == first.out != second.out
    assert acts.asked == []


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
            CertificateStatus("/etc/kubernetes/pki/ca.crt", None, authority=True),
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
