"""`kubeboot init`: what line, environment and files make of the options, and what is printed at the end."""

from __future__ import annotations

import dataclasses
import datetime
import json
import pathlib
import re
from unittest import mock

import pytest

from kubeboot.config.spec import ClusterSpec
from kubeboot.engine.values import Secret
from kubeboot.fleet import orders
from tests.unit.cli_actions import LINE, TOKEN, Actions, cluster_file
from tests.unit.cli_support import Ran, golden, run


def test_init_without_options_asks_for_the_defaults(acts: Actions) -> None:
    assert run("init").code == 0
    assert acts.asked == [orders.InitOptions(spec=ClusterSpec())]


def test_every_flag_of_init_reaches_the_options(acts: Actions, tmp_path: pathlib.Path) -> None:
    ran = run(
        "init", "--apiserver-advertise-address", "10.0.0.11", "--apiserver-bind-port", "7443",
        "--apiserver-cert-extra-sans", "a.example.org,10.9.9.9",
        "--apiserver-cert-extra-sans", "b.example.org",
        "--control-plane-endpoint", "k8s.example.org:8443", "--pod-network-cidr", "10.10.0.0/16",
        "--service-cidr", "10.20.0.0/16", "--service-dns-domain", "corp.local",
        "--kubernetes-version", "1.36",
        "--image-repository", "mirror.example.org:5000/k8s", "--node-name", "cp-1", "--single",
        "--bundle", str(tmp_path / "b"), "--token", TOKEN, "--token-ttl", "0",
        "--skip-phases", "dns,addon/kube-proxy",
        "--ignore-preflight-errors", "Swap", "--ignore-preflight-errors", "Mem,NumCPU", "--dry-run",
        "--timeout-scale", "5",
    )  # fmt: skip
    assert ran == Ran(0, "", "")
    (found,) = acts.asked
    spec = found.spec
    assert (spec.node.advertise_address, spec.node.name) == ("10.0.0.11", "cp-1")
    assert (spec.api_server.bind_port, spec.single) == (7443, True)
    assert spec.api_server.cert_sans == ("a.example.org", "10.9.9.9", "b.example.org")
    assert spec.control_plane_endpoint == "k8s.example.org:8443"
    assert (spec.networking.pod_subnet, spec.networking.service_subnet) == ("10.10.0.0/16", "10.20.0.0/16")
    assert (spec.networking.dns_domain, spec.kubernetes_version) == ("corp.local", "v1.36.4")
    assert spec.artifacts.image_repository == "mirror.example.org:5000/k8s"
    assert spec.artifacts.bundle == str(tmp_path / "b")
    assert found.token == Secret(TOKEN)
    assert found.token_ttl == datetime.timedelta(0)
    assert found.skip == {"dns", "proxy"}
    assert found.ignore_preflight == {"Swap", "Mem", "NumCPU"}
    assert (found.dry_run, found.timeout_scale) == (True, 5.0)


def test_a_relative_bundle_is_the_one_beside_the_caller(
    acts: Actions, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run("init", "--bundle", "k.bundle")
    assert acts.asked[0].spec.artifacts.bundle == str(tmp_path / "k.bundle")


def test_flags_over_files_over_environment_over_the_default_file(
    acts: Actions, tmp_path: pathlib.Path
) -> None:
    networking = {"podSubnet": "10.1.0.0/16", "serviceSubnet": "10.91.0.0/16", "dnsDomain": "default.local"}
    default = cluster_file(tmp_path / "default.yaml", clusterName="default", networking=networking)
    given = cluster_file(
        tmp_path / "given.yaml", networking={"podSubnet": "10.3.0.0/16", "serviceSubnet": "10.93.0.0/16"}
    )
    env = {"KUBEBOOT_SERVICE_DNS_DOMAIN": "env.local", "KUBEBOOT_SERVICE_CIDR": "10.92.0.0/16"}
    run("init", "--config", str(given), "--pod-network-cidr", "10.4.0.0/16", env=env, default_file=default)
    spec = acts.asked[0].spec
    assert spec.cluster_name == "default"
    assert spec.networking.dns_domain == "env.local"
    assert spec.networking.service_subnet == "10.93.0.0/16"
    assert spec.networking.pod_subnet == "10.4.0.0/16"


def test_later_files_win_and_standard_input_is_one(acts: Actions, tmp_path: pathlib.Path) -> None:
    first = cluster_file(tmp_path / "1.yaml", clusterName="one", loadBalancer={"port": 9443})
    second = json.dumps({"apiVersion": "kubeboot.io/v1alpha1", "kind": "Cluster", "clusterName": "two"})
    run("init", "--config", str(first), "--config", "-", stdin=second)
    assert (acts.asked[0].spec.cluster_name, acts.asked[0].spec.load_balancer.port) == ("two", 9443)


def test_init_ends_with_the_join_command_alone_on_stdout(acts: Actions) -> None:
    ran = run("init")
    assert ran.out == f"{LINE}\n"
    golden("cli-init-screen.txt", re.sub(r"\b\d+h(\d+m)?\b", "LEFT", ran.err))


def test_init_without_a_token_to_show(acts: Actions) -> None:
    acts.answers["init"] = orders.InitResult(0, 5, 1.0)
    ran = run("init")
    assert ran.out == ""
    golden("cli-init-screen-no-token.txt", ran.err)


def test_quiet_init_prints_the_join_command_and_nothing_else(acts: Actions) -> None:
    assert run("init", "-q") == Ran(0, f"{LINE}\n", "", mock.ANY)


def test_init_as_json(acts: Actions) -> None:
    ran = run("init", "-o", "json")
    found = json.loads(ran.out)
    assert ran.err == ""
    assert found["kind"] == "InitResult"
    assert found["joinCommand"] == LINE
    assert found["tokenExpires"] == "2099-01-02T03:04:00Z"


def test_a_dry_run_prints_no_screen_and_leaves_no_log(acts: Actions) -> None:
    assert run("init", "--dry-run") == Ran(0, "", "", None)


def test_a_run_leaves_a_log(acts: Actions) -> None:
    assert run("init").log is not None


def test_init_says_how_a_balancer_joins(acts: Actions) -> None:
    line = Secret(f"{LINE} --role lb")
    told = dataclasses.replace(acts.answers["init"], balancer_join_command=line, endpoint="10.0.0.31:8443")
    acts.answers["init"] = told
    ran = run("init", "--load-balancer", "machines", "--control-plane-endpoint", "10.0.0.31")
    assert ran.out == f"{LINE}\n{LINE} --role lb\n"
    assert "10.0.0.31:8443, which leads to balancers" in ran.err
    assert acts.asked[0].spec.load_balancer.mode == "machines"


def test_a_virtual_address_by_a_flag(acts: Actions) -> None:
    run("init", "--virtual-ip", "10.0.0.100")
    assert acts.asked[0].spec.load_balancer.virtual_ip.address == "10.0.0.100"


BAD_INITS: list[tuple[tuple[str, ...], int, str]] = [
    (("--pod-network-cidr", "10.244.0.0"), 2, "--pod-network-cidr"),
    (("--apiserver-bind-port", "0"), 2, "--apiserver-bind-port"),
    (("--apiserver-bind-port", "x"), 2, "--apiserver-bind-port"),
    (("--token-ttl", "1 day"), 2, "is not a duration"),
    (("--token-ttl", "-1h"), 2, "is not a duration"),
    (("--token-ttl", "99999999h"), 2, "is not a duration"),
    (("--kubernetes-version", "latest"), 2, "is not a version"),
    (("--kubernetes-version", "v1.30.0"), 2, "is not supported"),
    (("--control-plane-endpoint", "k8s:"), 2, "--control-plane-endpoint"),
    (("--control-plane-endpoint", "0.0.0.0:8443"), 2, "cannot be reached"),
    (("--apiserver-advertise-address", "127.0.0.1"), 2, "cannot be reached"),
    (("--apiserver-advertise-address", "eth0"), 2, "is not an IP address"),
    (("--apiserver-cert-extra-sans", "a b"), 2, "--apiserver-cert-extra-sans"),
    (("--service-cidr", "10.244.0.0/16"), 2, "overlap"),
    (("--service-dns-domain", "Cluster.Local"), 2, "write it as cluster.local"),
    (("--image-repository", "https://registry.k8s.io"), 2, "is a URL"),
    (("--skip-phases", "coredns"), 2, "no phase"),
    (("--config", "/nonexistent.yaml"), 4, "no such file"),
    (("--config", "-"), 4, "is empty"),
    (("--config", ""), 4, "is not a file's name"),
    (("--config", "a\0b"), 4, "not a file's name"),
    (("--config", "/nonexistent.yaml", "--pod-network-cidr", "x"), 4, "2 problems"),
    (("surplus",), 2, "unexpected extra argument"),
    (("--dry-run=yes",), 2, "does not take a value"),
]


@pytest.mark.parametrize(("line", "code", "message"), BAD_INITS, ids=lambda v: str(v)[:40])
def test_a_bad_init_is_refused_before_anything_happens(
    acts: Actions, line: tuple[str, ...], code: int, message: str
) -> None:
    ran = run("init", *line)
    assert (ran.code, ran.out, ran.log, acts.asked) == (code, "", None, [])
    assert message in ran.err


@pytest.mark.parametrize("value", ["maybe", "2", ""])
def test_a_flag_from_the_environment_must_be_true_or_false(acts: Actions, value: str) -> None:
    ran = run("init", env={"KUBEBOOT_DRY_RUN": value})
    assert (ran.code, len(acts.asked)) == ((2, 0) if value else (0, 1))
    assert "KUBEBOOT_DRY_RUN" in ran.err or not value
