"""The locks of a fleet: a slow one holds up no others, and there are only so many."""

from __future__ import annotations

import contextlib
import dataclasses
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from kubeboot.fleet import locking
from kubeboot.fleet.reach import Reached
from kubeboot.host.facts import Facts
from kubeboot.inventory.model import Machine
from tests.sim.fleet_world import role_of


def _lockable(host: Any) -> Reached:
    return Reached(Machine(host.name, frozenset({role_of(host.name)})), host, Facts(host.name))


def test_a_machine_whose_lock_is_slow_to_be_had_holds_up_no_others() -> None:
    asked, other = threading.Event(), threading.Event()

    @dataclasses.dataclass
    class Slow:
        name: str

        @contextlib.contextmanager
        def lock(self, path: str, holder: str) -> Iterator[None]:
            if self.name == "w-1":
                asked.set()
                assert other.wait(60.0), "the others wait for it"
            elif self.name == "w-2":
                other.set()
            yield

    lead, slow, quick = (_lockable(Slow(name)) for name in ("cp-1", "w-1", "w-2"))
    with locking.Locks(lead, "up") as locks, ThreadPoolExecutor(1) as aside:
        waiting = aside.submit(locks.take, slow)
        assert asked.wait(60.0)
        locks.take(quick)
        waiting.result()


def test_one_run_holds_the_locks_of_so_many_machines_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locking, "MOST", 2)
    held: list[str] = []

    @dataclasses.dataclass
    class Locked:
        name: str

        @contextlib.contextmanager
        def lock(self, path: str, holder: str) -> Iterator[None]:
            held.append(self.name)
            yield

    people = [_lockable(Locked(name)) for name in ("cp-1", "w-2", "w-1", "w-3")]
    with locking.Locks(people[0], "up") as locks:
        assert held == []
        refused = locks.those(people)
        assert held == ["cp-1", "w-2", "w-1"]
    assert {name: error.reason for name, error in refused.items()} == {"w-3": "KB_FLEET_SIZE"}
