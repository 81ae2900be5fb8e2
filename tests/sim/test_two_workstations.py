"""Two workstations want one fleet at the same moment: one gets it, the other is told whose it is."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes import sshd as servers
from tests.fakes.sshd import Sshd

CLOCKS = (-86_400.0, 86_400.0)
"""Seconds by which each workstation's clock is wrong."""


class Workstation:
    """A process with a connection of its own."""

    def __init__(self, server: Sshd, wrong_by: float) -> None:
        (server.folder / "config").write_text(server.ssh_config)
        argv = (str(server.folder / "config"), server.name, str(wrong_by), str(server.folder / "lock"))
        command = (sys.executable, "-m", "tests.sim.workstation", *argv)
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]
        )

    def tell(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write("go\n")
        self._process.stdin.flush()

    def answer(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def end(self) -> None:
        self._process.communicate(timeout=60)


@contextlib.contextmanager
def workstations(folder: Path) -> Iterator[list[Workstation]]:
    with servers.running(folder) as server:
        made = [Workstation(server, wrong_by) for wrong_by in CLOCKS]
        try:
            yield made
        finally:
            for each in made:
                each.end()


def race(both: list[Workstation]) -> tuple[int, str]:
    """Who has it; what the other was told. It is given back in the end."""
    for each in both:
        each.tell()
    said = [each.answer() for each in both]
    mine = [number for number, words in enumerate(said) if words == "mine"]
    assert len(mine) == 1, said
    both[mine[0]].tell()
    assert both[mine[0]].answer() == "done"
    return mine[0], said[1 - mine[0]]


def races(folder: Path, count: int) -> Counter[int]:
    with workstations(folder) as both:
        won = [race(both) for _ in range(count)]
    assert all(words.startswith("taken machine is being changed by ") for _, words in won), won
    return Counter(winner for winner, _ in won)


def test_one_proceeds_and_the_other_is_told(tmp_path: Path) -> None:
    assert races(tmp_path, 10).total() == 10


@pytest.mark.chaos
def test_one_proceeds_two_hundred_times(tmp_path: Path) -> None:
    won = races(tmp_path, 200)
    print(f"two workstations, clocks two days apart: one proceeded in {won.total()} of 200, {dict(won)}")
