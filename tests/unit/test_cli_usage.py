"""A wrong command line: told with the nearest right one, before anything is looked at."""

from __future__ import annotations

from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kubeboot import errors
from kubeboot.cli import actions, app
from kubeboot.host.local import LocalView
from tests.unit.cli_support import run


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        (("inti",), "did you mean `init`?"),
        (("jion",), "did you mean `join`?"),
        (("kubeconfg",), "did you mean `kubeconfig`?"),
        (("token", "lst"), "did you mean `list`?"),
        (("config", "valdate"), "did you mean `validate`?"),
        (("init", "--dryrun"), "did you mean `--dry-run`?"),
        (("init", "--pod-network-cird", "x"), "did you mean `--pod-network-cidr`?"),
        (("join", "--discovery-token-ca-cert-hsh", "x"), "did you mean `--discovery-token-ca-cert-"),
        (("zzzzzz",), "`kubeboot --help` lists what there is"),
        (("init", "--zzzzzz"), "`kubeboot init --help` lists what there is"),
        (("init", "--foo"), "`kubeboot init --help` lists what there is"),
        (("init", "--lock", "x"), "`kubeboot init --help` lists what there is"),
        (("up", "--foo"), "`kubeboot up --help` lists what there is"),
        (("reset", "--fore"), "did you mean `--force`?"),
        (("completion", "powershell"), "`kubeboot completion --help` lists what there is"),
        (("version", "-o"), "`kubeboot --help` lists what there is"),
    ],
)
def test_did_you_mean(line: tuple[str, ...], hint: str) -> None:
    ran = run(*line)
    assert (ran.code, ran.out) == (2, "")
    assert f"hint: {hint}" in ran.err
    first = ran.err.splitlines()[0].removeprefix("error: ")
    assert first[0].islower() or first[0] == "`"
    assert not first.endswith(".")


def test_a_file_that_cannot_be_read_is_told_with_what_to_do() -> None:
    ran = run("init", "--token-file", "/nonexistent/token")
    assert ran.code == 2
    assert "--token-file /nonexistent/token cannot be read: no such file" in ran.err.splitlines()[0]
    assert "hint: name a file" in ran.err


JOIN = ("join", "127.0.0.1:1", "--token", "abcdef.0123456789abcdef")
PINNED = ("--discovery-token-ca-cert-hash", f"sha256:{'0f' * 32}")


@pytest.mark.parametrize("line", [("init",), ("etcd", "init"), (*JOIN, *PINNED)], ids=" ".join)
@pytest.mark.parametrize("dry", [(), ("--dry-run",)], ids=["", "dry"])
def test_a_bundle_that_is_not_there_is_told_before_any_look(
    line: tuple[str, ...], dry: tuple[str, ...]
) -> None:
    with mock.patch.object(LocalView, "facts", side_effect=AssertionError("looked at")):
        ran = run(*line, *dry, "--bundle", "/nonexistent/k.bundle")
    assert (ran.code, ran.out) == (4, "")
    assert ran.err.splitlines()[0] == "error: there is no bundle /nonexistent/k.bundle"
    assert "--bundle" in ran.err.split("hint: ")[1]


WORDS = st.sampled_from(
    ["init", "join", "reset", "token", "create", "list", "delete", "config", "print", "validate",
     "--config", "-", "--token", "--dry-run", "--yes", "-o", "json", "-v", "-q", "--debug", "--color",
     "never", "--help", "--", "10.0.0.11:8443", "abcdef.0123456789abcdef", "--node-name", "\x1b[31m", "",
     "--discovery-token-ca-cert-hash", f"sha256:{'0f' * 32}", "--pod-network-cidr", "10.0.0.0/8",
     "--token-ttl", "0", "=", "--=", "-x"]
)  # fmt: skip
TEXTS = st.text(st.characters(blacklist_characters="\0", blacklist_categories=()), max_size=30)
TOKEN_ACTIONS = ("token_create", "token_list", "token_delete")
DOCUMENTED = {0, 1, 2, 3, 4, 5, 6, 7, 130}


@settings(max_examples=300, deadline=None)
@given(st.lists(st.one_of(WORDS, TEXTS), max_size=8), st.text(max_size=60))
def test_no_command_line_gives_a_traceback(line: list[str], stdin: str) -> None:
    names = ("init", "join", "reset", "status", "preflight", "doctor", "kubeconfig", *TOKEN_ACTIONS)
    failing = {name: mock.Mock(side_effect=errors.Unreachable("nobody there")) for name in names}
    with mock.patch.multiple(actions, **failing):
        ran = run(*line, stdin=stdin.encode("utf-8", "replace"))
    assert ran.code in DOCUMENTED
    assert "KB_BUG" not in ran.err
    told = "--debug" in line or sum(word in ("-v", "--verbose") for word in line) > 1
    assert "Traceback" not in ran.err or told


def test_every_command_is_in_the_table() -> None:
    assert set(app.COMMANDS) == {
        "init", "join", "reset", "status", "preflight", "token", "kubeconfig", "config", "completion",
        "version", "certs", "node", "artifacts", "bundle", "support", "doctor", "etcd",
        "up", "plan", "down", "exec",
    }  # fmt: skip
