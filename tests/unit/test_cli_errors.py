"""What goes wrong, and how it is said: one block, the documented exit code, never a traceback."""

from __future__ import annotations

import errno
import json
from unittest import mock

import click
import pytest

from kubeboot import errors
from kubeboot.cli import actions, failure
from kubeboot.cli.terminal import Terminal
from tests.unit.cli_support import golden, run

EXIT_CODES = {
    errors.KubebootError: 1,
    errors.UsageProblem: 2,
    errors.PreflightFailed: 3,
    errors.ConfigInvalid: 4,
    errors.Unreachable: 5,
    errors.TimedOut: 6,
    errors.Occupied: 7,
    errors.Interrupted: 130,
}


@pytest.mark.parametrize(("kind", "code"), EXIT_CODES.items(), ids=lambda v: getattr(v, "__name__", v))
def test_exit_codes(kind: type[errors.KubebootError], code: int) -> None:
    with mock.patch.object(actions, "init", side_effect=kind("it went wrong")):
        ran = run("init")
    assert ran.code == code
    assert ran.err.splitlines()[0] == "error: it went wrong"
    assert ran.err.endswith(f"exit {code}, reason {kind.reason}\n")
    assert "Traceback" not in ran.err
    assert "Traceback" in (ran.log or "")


def test_the_whole_output_of_a_failed_command_is_in_the_log() -> None:
    with mock.patch.object(actions, "init", side_effect=BLOCKS["long"]):
        ran = run("init")
    assert "line 9\n" not in ran.err
    assert "line 9\n" in (ran.log or "")


ETCD = errors.TimedOut(
    "etcd member `cp-2` did not become healthy within 1m0s",
    hint="check that port 2380 is open between control planes, then run the same command again",
    host="cp-2",
    step="etcd/member",
    reason="KB_ETCD_UNHEALTHY",
    output="dial tcp 10.0.0.12:2380: connect: connection refused\n",
)
BLOCKS = {
    "full": ETCD,
    "bare": errors.KubebootError("it went wrong"),
    "long": errors.KubebootError("a command failed", output="\n".join(f"line {n}" for n in range(30))),
    "preflight": errors.PreflightFailed(
        "30 findings", output="\n".join(f"[ERROR A{n}] x" for n in range(30))
    ),
    "usage": failure.from_click(click.UsageError("Got unexpected extra argument (x).")),
    "interrupted": failure.interrupted(),
    "bug": failure.unexpected(ValueError("two\nlines"), logged=True),
    "bug-unlogged": failure.unexpected(KeyError(), logged=False),
}


def test_the_error_block() -> None:
    path = "/var/log/kubeboot/2026-11-20T23-41-07-init.log"
    said = [f"[{name}]\n{failure.block(error, path, Terminal())}" for name, error in BLOCKS.items()]
    said.append(f"[painted]\n{failure.block(ETCD, None, Terminal(color=True))}")
    golden("cli-errors.txt", "\n\n".join(said) + "\n")


def test_an_error_as_json_is_on_stdout_and_for_people_on_stderr() -> None:
    with mock.patch.object(actions, "init", side_effect=ETCD):
        ran = run("init", "-o", "json")
    found = json.loads(ran.out)
    assert {k: found[k] for k in ("kind", "reason", "exitCode", "host", "step")} == {
        "kind": "Error", "reason": "KB_ETCD_UNHEALTHY", "exitCode": 6, "host": "cp-2", "step": "etcd/member",
    }  # fmt: skip
    assert ran.err.startswith("error: etcd member")


def test_a_bug_is_one_sentence_and_its_traceback_is_in_the_log() -> None:
    with mock.patch.object(actions, "status", side_effect=ZeroDivisionError("division by zero")):
        ran = run("status")
    assert ran.code == 1
    assert ran.err.startswith("error: something unexpected happened: ZeroDivisionError: division by zero\n")
    assert "reason KB_BUG" in ran.err
    assert "log: DIR/logs/" in ran.err
    assert "ZeroDivisionError: division by zero" in (ran.log or "")
    assert "Traceback" not in ran.err


@pytest.mark.parametrize(
    "error",
    [OSError(errno.EMFILE, "Too many open files"), MemoryError(), RuntimeError("can't start new thread")],
)
def test_a_limit_of_the_system_is_no_bug(error: BaseException) -> None:
    with mock.patch.object(actions, "status", side_effect=error):
        ran = run("status")
    assert (ran.code, "ulimit" in ran.err, "KB_LIMIT" in ran.err) == (1, True, True)


def test_a_bug_before_any_log_opens_one() -> None:
    with mock.patch("kubeboot.config.loader.load", side_effect=ZeroDivisionError):
        ran = run("config", "print")
    assert (ran.code, "Traceback" in (ran.log or "")) == (1, True)


def test_a_bug_in_a_dry_run_leaves_no_file() -> None:
    with mock.patch.object(actions, "init", side_effect=ZeroDivisionError):
        ran = run("init", "--dry-run")
    assert (ran.code, ran.log) == (1, None)
    assert "the log has it" not in ran.err


def test_debug_shows_the_traceback_of_anything() -> None:
    for error in (ZeroDivisionError("x"), errors.TimedOut("y")):
        with mock.patch.object(actions, "status", side_effect=error):
            ran = run("status", "--debug")
            before = run("--debug", "status")
        assert "Traceback (most recent call last)" in ran.err
        assert before.code == ran.code
        assert "Traceback (most recent call last)" in before.err


def test_ctrl_c_is_130_and_says_how_to_go_on() -> None:
    with mock.patch.object(actions, "init", side_effect=KeyboardInterrupt):
        ran = run("init")
    assert ran.code == 130
    assert "hint: run the same command again; finished steps are kept" in ran.err
