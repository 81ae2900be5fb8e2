"""Commands: what line, environment and files make of the options, and what is printed at the end."""

from __future__ import annotations

import dataclasses
import datetime
import json
import pathlib
import re
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import pytest

from kubeboot import errors
from kubeboot.cli import actions
from kubeboot.config.spec import ClusterSpec
from kubeboot.engine.values import Secret
from kubeboot.fleet import orders, orders_cluster
from kubeboot.fleet.status import CertificateStatus, NodeStatus, PodStatus, Status
from kubeboot.steps.preflight.model import Finding
from tests.unit.cli_support import Ran, golden, run

TOKEN = "abcdef.0123456789abcdef"
PIN = f"sha256:{'1f' * 32}"
JOIN = ("join", "10.0.0.11:8443", "--token", TOKEN, "--discovery-token-ca-cert-hash", PIN)
LINE = f"kubeboot join 10.0.0.11:8443 --token {TOKEN} --discovery-token-ca-cert-hash {PIN}"
SOON = datetime.datetime(2099, 1, 2, 3, 4, tzinfo=datetime.UTC)


class Actions:
    """Stands in for every action: remembers the options, answers what it was given."""

    def __init__(self) -> None:
        self.asked: list[Any] = []
        self.answers: dict[str, Any] = {
            "init": orders.InitResult(
                3, 2, 1.5, "/etc/kubernetes/admin.conf", "10.0.0.11:8443", Secret(LINE), SOON
            ),
            "join": orders.JoinResult(4, 0, 2.0, "w-1", "kubernetes"),
            "reset": orders.ResetResult(5, 0, 3.0),
            "kubeconfig": Secret("apiVersion: v1\nkind: Config\n"),
            "token_create": orders_cluster.TokenCreateResult(Secret(TOKEN), SOON, None),
            "token_list": (),
            "token_delete": orders_cluster.TokenDeleteResult(("abcdef",)),
            "status": Status(),
            "preflight": orders.PreflightResult((), 12),
        }

    def stand_in(self, name: str) -> Callable[..., Any]:
        def act(options: Any, emit: Any = None) -> Any:
            self.asked.append(options)
            answer = self.answers[name]
            if isinstance(answer, BaseException):
                raise answer
            return answer

        return act


@pytest.fixture
def acts() -> Iterator[Actions]:
    found = Actions()
    stand_ins = {name: found.stand_in(name) for name in found.answers}
    with mock.patch.multiple(actions, **stand_ins):
        yield found


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


def _file(path: pathlib.Path, **fields: object) -> pathlib.Path:
    path.write_text(json.dumps({"apiVersion": "kubeboot.io/v1alpha1", "kind": "Cluster", **fields}))
    return path


def test_flags_over_files_over_environment_over_the_default_file(
    acts: Actions, tmp_path: pathlib.Path
) -> None:
    networking = {"podSubnet": "10.1.0.0/16", "serviceSubnet": "10.91.0.0/16", "dnsDomain": "default.local"}
    default = _file(tmp_path / "default.yaml", clusterName="default", networking=networking)
    given = _file(
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
    first = _file(tmp_path / "1.yaml", clusterName="one", loadBalancer={"port": 9443})
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


def test_join_takes_its_parts_from_the_line(acts: Actions) -> None:
    ran = run(*JOIN, "--node-name", "w-1")
    assert (ran.code, ran.out) == (0, "")
    (found,) = acts.asked
    assert (found.host, found.port, found.token, found.ca_pins) == ("10.0.0.11", 8443, Secret(TOKEN), (PIN,))
    assert found.spec.node.name == "w-1"
    golden("cli-join-screen.txt", ran.err)


@pytest.mark.parametrize(
    ("words", "role"),
    [
        ((), "worker"),
        (("--role", "worker"), "worker"),
        (("--control-plane",), "control_plane"),
        (("--control-plane", "--role", "control-plane"), "control_plane"),
        (("--role", "lb"), "load_balancer"),
    ],
)
def test_what_a_machine_joins_as(acts: Actions, words: tuple[str, ...], role: str) -> None:
    run(*JOIN, *words)
    assert acts.asked[0].role == role


def test_a_balancer_that_has_joined_is_not_called_a_node(acts: Actions) -> None:
    acts.answers["join"] = orders.JoinResult(4, 0, 2.0, "lb-1", "prod", role="load_balancer")
    said = run(*JOIN, "--role", "lb").err
    assert "lb-1 leads to the API servers of prod" in said and "node" not in said


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


@pytest.mark.parametrize(
    ("endpoint", "expected"),
    [
        ("k8s.example.org:6443", ("k8s.example.org", 6443)),
        ("[fd00::1]:8443", ("fd00::1", 8443)),
        ("10.0.0.11:1", ("10.0.0.11", 1)),
    ],
)
def test_join_endpoints(acts: Actions, endpoint: str, expected: tuple[str, int]) -> None:
    run("join", endpoint, *JOIN[2:])
    assert (acts.asked[0].host, acts.asked[0].port) == expected


def test_pins_may_be_given_in_any_case_and_more_than_once(acts: Actions) -> None:
    other = f"sha256:{'AB' * 32}"
    run(*JOIN, "--discovery-token-ca-cert-hash", f"{other},{PIN}")
    assert acts.asked[0].ca_pins == (PIN, other.lower())


def test_the_token_from_a_file_from_stdin_and_from_the_environment(
    acts: Actions, tmp_path: pathlib.Path
) -> None:
    path = tmp_path / "token"
    path.write_text(f"{TOKEN}\n")
    rest = (JOIN[0], JOIN[1], *JOIN[4:])
    run(*rest, "--token-file", str(path))
    run(*rest, "--token-file", "-", stdin=f"{TOKEN}\n")
    run(*rest, env={"KUBEBOOT_TOKEN": TOKEN})
    run(*rest, "--token-file", str(path), env={"KUBEBOOT_TOKEN": "zzzzzz.0000000000000000"})
    assert [found.token for found in acts.asked] == [Secret(TOKEN)] * 4


def test_the_token_is_gone_from_the_environment_of_what_kubeboot_starts(acts: Actions) -> None:
    import os

    seen: list[bool] = []

    def look(options: Any, emit: Any) -> Any:
        seen.append("KUBEBOOT_TOKEN" in os.environ)
        return acts.answers["join"]

    with mock.patch.object(actions, "join", look):
        run(JOIN[0], JOIN[1], *JOIN[4:], env={"KUBEBOOT_TOKEN": TOKEN})
    assert seen == [False]


BAD_JOINS: list[tuple[tuple[str, ...], str]] = [
    (("join",), "join what?"),
    (("join", "", *JOIN[2:]), "the host ``: it is empty"),
    (("join", "10.0.0.11", *JOIN[2:]), "has no port"),
    (("join", "10.0.0.11:", *JOIN[2:]), "the port ``: it is not a number"),
    (("join", "10.0.0.11:0", *JOIN[2:]), "is not between"),
    (("join", "10.0.0.11:65536", *JOIN[2:]), "is not between"),
    (("join", "10.0.0.11:x", *JOIN[2:]), "the port `x`: it is not a number"),
    (("join", "10.0.0.11:+8443", *JOIN[2:]), "is not a number"),
    (("join", "10.0.0.11:٣", *JOIN[2:]), "is not a number"),
    (("join", "10.0.0.256:8443", *JOIN[2:]), "is not an IPv4 address"),
    (("join", "10.0.0:8443", *JOIN[2:]), "is not an IPv4 address"),
    (("join", "https://10.0.0.11:8443", *JOIN[2:]), "is a URL"),
    (("join", "fd00::1:8443", *JOIN[2:]), "without brackets"),
    (("join", "[fd00::1", *JOIN[2:]), "[IPv6 address]:port"),
    (("join", "[fd00::1]8443", *JOIN[2:]), "[IPv6 address]:port"),
    (("join", "[10.0.0.11]:8443", *JOIN[2:]), "[IPv6 address]:port"),
    (("join", "[fd00::1]", *JOIN[2:]), "has no port"),
    (("join", "UPPER.example.org:8443", *JOIN[2:]), "lower-case"),
    (("join", "under_score:8443", *JOIN[2:]), "lower-case"),
    (("join", "-dash.example.org:8443", *JOIN[2:]), "no such option"),
    (("join", "a..b:8443", *JOIN[2:]), "two in a row"),
    (("join", "a b:8443", *JOIN[2:]), "not made of lower-case"),
    (("join", f"{'a' * 64}:8443", *JOIN[2:]), "longer than 63"),
    (("join", f"{'a.' * 130}a:8443", *JOIN[2:]), "longer than 253"),
    (("join", "10.0.0.11:8443", "extra", *JOIN[2:]), "unexpected extra argument"),
    ((*JOIN[:2], "--discovery-token-ca-cert-hash", PIN), "no token"),
    (JOIN[:4], "no --discovery-token-ca-cert-hash"),
    ((*JOIN[:2], "--token", "abcdef", *JOIN[4:]), "not a bootstrap token"),
    ((*JOIN[:2], "--token", "ABCDEF.0123456789abcdef", *JOIN[4:]), "not a bootstrap token"),
    ((*JOIN[:2], "--token", "", *JOIN[4:]), "not a bootstrap token"),
    ((*JOIN[:2], "--token", f"{TOKEN}0", *JOIN[4:]), "not a bootstrap token"),
    ((*JOIN[:2], "--token", f"{TOKEN}\n{TOKEN}", *JOIN[4:]), "not a bootstrap token"),
    ((*JOIN[:2], "--token"), "requires an argument"),
    ((*JOIN, "--token-file", "/nonexistent"), "not both"),
    ((*JOIN[:2], "--token-file", "/nonexistent", *JOIN[4:]), "no such file"),
    ((*JOIN[:2], "--token-file", "/", *JOIN[4:]), "is a directory"),
    ((*JOIN[:2], "--token-file", "/dev/null", *JOIN[4:]), "not a bootstrap token"),
    ((*JOIN[:2], "--token-file", "-", *JOIN[4:]), "not a bootstrap token"),
    ((*JOIN[:2], "--token-file", "-", "--config", "-", *JOIN[4:]), "can be read only once"),
    ((*JOIN[:4], "--discovery-token-ca-cert-hash", "1f" * 32), "not the hash"),
    ((*JOIN[:4], "--discovery-token-ca-cert-hash", "sha256:1f"), "not the hash"),
    ((*JOIN[:4], "--discovery-token-ca-cert-hash", f"sha1:{'1f' * 20}"), "not the hash"),
    ((*JOIN[:4], "--discovery-token-ca-cert-hash", f"sha256:{'xx' * 32}"), "not the hash"),
    ((*JOIN[:4], "--discovery-token-ca-cert-hash", ","), "no --discovery-token-ca-cert-hash"),
    ((*JOIN, "--discovery-token-unsafe-skip-ca-verification"), "no such option"),
    ((*JOIN, "--role", "master"), "is not one of"),
    ((*JOIN, "--role", "lb", "--control-plane"), "contradict each other"),
    ((*JOIN, "--role", "lb", "--certificate-key", "1f" * 32), "only useful with --control-plane"),
    ((*JOIN, "--node-name", "_"), "--node-name"),
    ((*JOIN, "--skip-phases", "dnss"), "there is no phase `dnss`"),
    ((*JOIN, "--timeout-scale", "0"), "not a number from"),
    ((*JOIN, "--timeout-scale", "nan"), "not a number from"),
    ((*JOIN, "--timeout-scale", "fast"), "not a number from"),
    ((*JOIN, "-o", "xml"), "is not one of"),
    ((*JOIN, "--color", "sometimes"), "is not one of"),
]


@pytest.mark.parametrize(("line", "message"), BAD_JOINS, ids=lambda v: v[:40] if isinstance(v, str) else "")
def test_a_bad_join_is_refused_before_anything_happens(
    acts: Actions, line: tuple[str, ...], message: str
) -> None:
    ran = run(*line)
    assert (ran.code, ran.out, ran.log, acts.asked) == (2, "", None, [])
    assert message in ran.err.lower() or message in ran.err
    assert "Traceback" not in ran.err
    assert "0123456789abcdef" not in ran.err


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


def test_reset_asks_and_takes_no_for_an_answer(acts: Actions) -> None:
    ran = run("reset", stdin="no\n", tty=True)
    assert (ran.code, ran.out) == (0, "")
    assert [found.dry_run for found in acts.asked] == [True]
    assert ran.err.endswith("type `yes`: nothing was changed\n")


def test_reset_goes_on_after_a_yes(acts: Actions) -> None:
    ran = run("reset", stdin="yes\n", tty=True)
    assert (ran.code, [found.dry_run for found in acts.asked]) == (0, [True, False])
    assert "as it was before" in ran.err


@pytest.mark.parametrize("answer", ["", "\n", "y e s\n", "yesyes\n"])
def test_reset_takes_nothing_else_for_a_yes(acts: Actions, answer: str) -> None:
    run("reset", stdin=answer, tty=True)
    assert [found.dry_run for found in acts.asked] == [True]


@pytest.mark.parametrize("flag", ["-y", "--yes", "-f", "--force"])
def test_reset_does_not_ask_when_it_was_told(acts: Actions, flag: str) -> None:
    assert run("reset", flag).code == 0
    assert [found.dry_run for found in acts.asked] == [False]


def test_reset_without_a_terminal_is_an_error_and_never_a_hang(acts: Actions) -> None:
    ran = run("reset")
    assert (ran.code, acts.asked) == (2, [])
    assert "hint: say --yes" in ran.err


def test_what_reset_could_not_remove_makes_it_fail(acts: Actions) -> None:
    acts.answers["reset"] = orders.ResetResult(5, 0, 3.0, ("/var/lib/kubelet/pods/x: busy (pid 7)",))
    ran = run("reset", "--yes")
    assert ran.code == 1
    assert "could not be removed:\n  /var/lib/kubelet/pods/x: busy (pid 7)" in ran.err
    assert json.loads(run("reset", "--yes", "-o", "json").out)["left"] == [
        "/var/lib/kubelet/pods/x: busy (pid 7)"
    ]


def test_reset_on_a_clean_machine_is_happy(acts: Actions) -> None:
    acts.answers["reset"] = orders.ResetResult(0, 0, 0.1)
    ran = run("reset", "--yes")
    assert (ran.code, ran.err) == (0, "kubeboot has left nothing on this machine\n")


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


def test_config_print_is_a_configuration_file(acts: Actions, tmp_path: pathlib.Path) -> None:
    printed = run("config", "print", "--defaults")
    golden("cli-config-defaults.yaml", printed.out)
    path = tmp_path / "c.yaml"
    path.write_text(printed.out)
    assert run("config", "print", "--config", str(path)) == printed
    assert run("config", "validate", str(path)) == Ran(0, "", f"{path}: valid\n")
    assert json.loads(run("config", "print", "-o", "json").out)["kind"] == "Cluster"


def test_config_validate(acts: Actions, tmp_path: pathlib.Path) -> None:
    bad = _file(tmp_path / "bad.yaml", clusterNmae="x", networking={"podSubnet": "10.0.0.0"})
    ran = run("config", "validate", str(bad))
    assert ran.code == 4
    golden("cli-config-invalid.txt", ran.err.replace(str(tmp_path), "TMP"))
    found = json.loads(run("config", "validate", "-o", "json", str(bad)).out)
    assert (found["kind"], found["exitCode"], found["reason"]) == ("Error", 4, "KB_CONFIG")
    assert run("config", "validate").err == "no file was given, and the defaults are valid\n"


def test_config_schema_describes_every_field(acts: Actions) -> None:
    found = json.loads(run("config", "schema").out)
    assert set(found["required"]) == {"apiVersion", "kind"}
    assert found["properties"]["kind"] == {"const": "Cluster", "title": "kind"}
    assert found["additionalProperties"] is False
    assert "certSANs" in found["$defs"]["ApiServer"]["properties"]


def test_kubeadm_documents_set_the_run_too(acts: Actions, tmp_path: pathlib.Path) -> None:
    path = tmp_path / "kubeadm.yaml"
    path.write_text(
        "apiVersion: kubeadm.k8s.io/v1beta4\nkind: JoinConfiguration\ndiscovery:\n  bootstrapToken:\n"
        f"    apiServerEndpoint: 10.0.0.11:6443\n    token: {TOKEN}\n    caCertHashes: ['{PIN}']\n"
        "nodeRegistration:\n  name: w-9\n  imagePullSerial: true\n  ignorePreflightErrors: [Swap]\n"
    )
    ran = run("join", "--config", str(path))
    (found,) = acts.asked
    assert (found.host, found.port, found.token, found.ca_pins) == ("10.0.0.11", 6443, Secret(TOKEN), (PIN,))
    assert (found.spec.node.name, found.ignore_preflight) == ("w-9", {"Swap"})
    assert "warning: " in ran.err
    assert "nodeRegistration.imagePullSerial has no effect" in ran.err


def test_a_control_plane_that_kubeadms_document_describes(acts: Actions, tmp_path: pathlib.Path) -> None:
    path, key = tmp_path / "kubeadm.yaml", "1f" * 32
    path.write_text(
        "apiVersion: kubeadm.k8s.io/v1beta4\nkind: JoinConfiguration\ndiscovery:\n  bootstrapToken:\n"
        f"    apiServerEndpoint: 10.0.0.11:6443\n    token: {TOKEN}\n    caCertHashes: ['{PIN}']\n"
        f"controlPlane: {{localAPIEndpoint: {{advertiseAddress: 10.100.0.2}}, certificateKey: '{key}'}}\n"
    )
    ran = run("join", "--config", str(path), "-v", "-v")
    (found,) = acts.asked
    assert (found.role, found.certificate_key) == ("control_plane", Secret(key))
    assert found.spec.node.advertise_address == "10.100.0.2", "the default ranges are not this cluster's"
    assert key not in ran.err + ran.out + (ran.log or "")


@pytest.mark.parametrize("upload", [True, False])
def test_kubeadms_certificate_key_is_for_an_upload(acts: Actions, upload: bool) -> None:
    text = f"apiVersion: kubeadm.k8s.io/v1beta4\nkind: InitConfiguration\ncertificateKey: '{'1f' * 32}'\n"
    ran = run("init", "--config", "-", *(["--upload-certs"] if upload else []), stdin=text)
    (found,) = acts.asked
    assert found.certificate_key == (Secret("1f" * 32) if upload else None)
    assert ("certificateKey has no effect without --upload-certs" in ran.err) is not upload


def test_a_document_for_another_command_is_named_and_not_read(acts: Actions) -> None:
    text = "".join(
        f"---\napiVersion: kubeadm.k8s.io/v1beta4\nkind: {kind}Configuration\n"
        f"nodeRegistration: {{name: {kind.lower()}}}\n"
        for kind in ("Init", "Join")
    )
    for line, other in ((("init",), "Join"), (JOIN, "Init")):
        ran = run(*line, "--config", "-", stdin=text)
        assert acts.asked[-1].spec.node.name == line[0]
        assert f": {other}Configuration has no effect on this command" in ran.err


def test_an_errors_exit_code_reason_and_hint_come_through(acts: Actions) -> None:
    acts.answers["join"] = errors.Unreachable("10.0.0.11:8443 does not answer", hint="is it up?", host="cp-1")
    ran = run(*JOIN)
    assert ran.code == 5
    assert ran.err.startswith(
        "error: 10.0.0.11:8443 does not answer\n  host   cp-1\n\nhint: is it up?\nlog: DIR/logs/"
    )
    assert ran.err.endswith("   exit 5, reason KB_UNREACHABLE\n")
    found = json.loads(run(*JOIN, "-o", "json").out)
    assert (found["kind"], found["hint"], found["exitCode"]) == ("Error", "is it up?", 5)
