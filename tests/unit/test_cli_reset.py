"""`kubeboot reset`: whom it asks, what it takes for a yes, and what it says about the rest."""

from __future__ import annotations

import json

import pytest

from kubeboot.fleet import orders
from tests.unit.cli_actions import Actions
from tests.unit.cli_support import run


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
