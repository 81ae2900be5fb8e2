"""etcd's members in memory, with its own rules: nobody is added while a voter is away, one learner at a time,
promotion once it is in sync.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator

from kubeboot.kube.etcd import EtcdRefused, EtcdUnavailable, Member

LATER = "etcdserver: can only promote a learner member which is in sync with leader"
UNHEALTHY = "etcdserver: unhealthy cluster"
TOO_MANY = "etcdserver: too many learner members in cluster"


def member(number: int, *, learner: bool = False, started: bool = True) -> Member:
    """cp-NUMBER at 192.0.2.1NUMBER."""
    host = f"192.0.2.1{number}"
    client = (f"https://{host}:2379",) if started else ()
    return Member(str(number), f"cp-{number}" if started else "", (f"https://{host}:2380",), client, learner)


class FakeEtcd:
    """State is public. `lost`: the next change is made, its answer is lost; `unsynced`: refusals to come."""

    def __init__(self, *members: Member) -> None:
        self.found = list(members)
        self.down: set[str] = set()
        self.lost = False
        self.unsynced = 0
        self.held = 0
        self.changes: list[str] = []

    def members(self) -> tuple[Member, ...]:
        return tuple(self.found)

    def healthy(self, member: Member) -> str | None:
        return "connection refused" if member.name in self.down or not member.name else None

    def add_learner(self, peer_url: str) -> None:
        if any(one.learner for one in self.found):
            raise EtcdRefused(f"etcd says: {TOO_MANY}")
        if any(one.name in self.down for one in self.found):
            raise EtcdRefused(f"etcd says: {UNHEALTHY}")
        self._change(f"add {peer_url}")
        self.found.append(Member(str(len(self.changes) + 90), "", (peer_url,), learner=True))
        self._answer()

    def promote(self, member: Member) -> None:
        if self.unsynced:
            self.unsynced -= 1
            raise EtcdRefused(f"etcd says: {LATER}")
        self._change(f"promote {member.label}")
        self.found = [dataclasses.replace(m, learner=False) if m.id == member.id else m for m in self.found]
        self._answer()

    def remove(self, member: Member) -> None:
        self._change(f"remove {member.label}")
        self.found = [m for m in self.found if m.id != member.id]
        self._answer()

    @contextlib.contextmanager
    def exclusively(self) -> Iterator[None]:
        self.held += 1
        try:
            yield
        finally:
            self.held -= 1

    def _change(self, what: str) -> None:
        assert self.held, "a change outside the lock"
        self.changes.append(what)

    def _answer(self) -> None:
        if self.lost:
            self.lost = False
            raise EtcdUnavailable("the answer was lost")
