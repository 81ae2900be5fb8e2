"""`kubeboot join`: the endpoint, the token and the pins of its line, and which lines are refused."""

from __future__ import annotations

import json
import pathlib
from typing import Any
from unittest import mock

import pytest

from kubeboot import errors
from kubeboot.cli import actions
from kubeboot.engine.values import Secret
from kubeboot.fleet import orders
from tests.unit.cli_actions import JOIN, PIN, TOKEN, Actions
from tests.unit.cli_support import golden, run


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
