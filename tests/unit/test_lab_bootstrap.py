"""The lab's way into its virtual environment: looked for once, not again by all that it starts."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from lablib import bootstrap

HERE, THERE = Path("/src/here"), Path("/src/there")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Whose `.ci/venv` was run; each answers with the environment of this Python."""
    runs: list[Path] = []

    def run(argv: list[Path], **_: object) -> subprocess.CompletedProcess[bytes]:
        runs.append(argv[0])
        return subprocess.CompletedProcess(argv, 0, f"{sys.prefix}\n".encode())

    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setenv(bootstrap.ENTERED, "")
    return runs


def test_it_is_looked_for_once_in_a_checkout(asked: list[Path]) -> None:
    bootstrap.enter(HERE)
    bootstrap.enter(HERE)
    assert asked == [HERE / ".ci/venv"]


def test_another_checkout_has_its_own(asked: list[Path]) -> None:
    bootstrap.enter(HERE)
    bootstrap.enter(THERE)
    assert asked == [HERE / ".ci/venv", THERE / ".ci/venv"]


def test_another_python_goes_on_as_the_environments(
    asked: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[str] = []
    monkeypatch.setenv(bootstrap.ENTERED, f"{HERE}=/environment")
    monkeypatch.setattr(os, "execv", lambda python, argv: started.append(python))
    bootstrap.enter(HERE)
    assert started == ["/environment/bin/python"] and asked == []
