"""What a step asks its machine: nothing twice before it writes, everything again after that."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import pytest

from kubeboot.engine import journal as journals
from kubeboot.engine.step import Target, View
from kubeboot.engine.undo import RemoveDir, RemovePath, Undo
from kubeboot.engine.values import Values
from kubeboot.host.api import Lost
from kubeboot.host.model import Stat
from kubeboot.steps.files import EnsureFile
from kubeboot.steps.units import Reader
from tests.fakes.host import FakeHost
from tests.sim.engine_steps import Put, go


class Asked(FakeHost):
    """Notes which files it was asked for, what had been written by then, and each question for entries."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[str, int]] = []
        self.entries: list[tuple[str, ...]] = []

    def stats(self, paths: tuple[str, ...]) -> dict[str, Stat | None]:
        self.entries.append(paths)
        return super().stats(paths)

    def read(self, path: str) -> bytes | None:
        self.asked.append((path, sum(change.op == "write" for change in self.changes)))
        return super().read(path)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Restores(Put):
    """Its undo asks what its check has asked."""

    def undo(self, see: View) -> Sequence[Undo]:
        return () if see.host.read(self.path) else super().undo(see)


def test_a_step_asks_nothing_twice_before_it_writes_and_everything_again_after_that() -> None:
    host = Asked()
    go(host, Restores(id="a", title="", on="cp-1", path="/etc/a"))
    assert [entry for entry in host.asked if entry[0] == "/etc/a"] == [("/etc/a", 0), ("/etc/a", 1)]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Looks(Put):
    """Looks before it writes, as often as `times` says; the connection may be lost after that."""

    times: int = 1
    lost: list[Lost] = dataclasses.field(default_factory=list)

    def apply(self, do: Target, vals: Values) -> None:
        for _ in range(self.times):
            do.host.read(self.path)
        if self.lost:
            raise self.lost.pop()
        super().apply(do, vals)


@pytest.mark.parametrize(("times", "before"), [(1, 1), (2, 2), (3, 3)])
def test_an_apply_knows_what_its_check_has_seen_and_sees_a_change_when_it_looks_again(
    times: int, before: int
) -> None:
    host = Asked()
    go(host, Looks(id="a", title="", on="cp-1", path="/etc/a", times=times))
    assert [at for path, at in host.asked if path == "/etc/a"] == [*[0] * before, 1]


def test_what_was_seen_before_a_connection_was_lost_is_asked_anew() -> None:
    host = Asked()
    go(host, Looks(id="a", title="", on="cp-1", path="/etc/a", lost=[Lost("gone")]))
    assert [at for path, at in host.asked if path == "/etc/a"] == [0, 0, 0, 1]


def test_of_what_is_not_there_nothing_more_is_asked() -> None:
    host = Asked()
    go(
        host,
        EnsureFile(id="a", title="", on="cp-1", path="/etc/a", data=b"x", reader=Reader("a.service", "1")),
    )
    assert [entry for entry in host.asked if entry[0] == "/etc/a"] == [("/etc/a", 1)]


def test_a_path_and_the_directories_above_it_are_one_question() -> None:
    host = Asked()
    go(host, EnsureFile(id="a", title="", on="cp-1", path="/etc/new/deep/a", data=b"x"))
    assert host.entries == [("/etc/new/deep/a", "/etc/new/deep", "/etc/new", "/etc", "/")]
    undone = [undo for _, undo in journals.undo_list(host)]
    assert undone == [RemovePath("/etc/new/deep/a"), RemoveDir("/etc/new/deep"), RemoveDir("/etc/new")]
