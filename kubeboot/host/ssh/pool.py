"""How many connections are open at a time: an idle one makes room for one that is wanted.

The latest of the idle ones does: who goes round all machines again comes to the oldest first.
"""

from __future__ import annotations

import contextlib
import threading
from collections import Counter
from collections.abc import Iterator
from typing import Protocol

from kubeboot import errors

ROOM = 240
"""Fewer than 256, as a server may see one that is closed a moment longer."""

PATIENCE = 900.0
"""Seconds in which one of those that are open is done; locks are not, before their run is."""


class Member(Protocol):
    """What a pool closes; it opens again when it is used."""

    def close(self) -> None: ...


class Pool:
    """Room for so many open connections. Safe to use from several threads."""

    def __init__(self, room: int = ROOM) -> None:
        self._room = room
        self._changed = threading.Condition()
        self._busy: Counter[Member] = Counter()
        self._idle: dict[Member, None] = {}
        self._closing: set[Member] = set()

    @contextlib.contextmanager
    def using(self, member: Member) -> Iterator[None]:
        """Within the block it is open or opens, and stays so; before that it may have to wait for room.

        TimedOut when nobody makes any.
        """
        self.keep(member)
        try:
            yield
        finally:
            with self._changed:
                self._busy[member] -= 1
                if not self._busy[member]:
                    del self._busy[member]
                    self._idle[member] = None
                    self._changed.notify_all()

    def keep(self, member: Member) -> None:
        """It stays open from now on: something else goes through it that nobody counts."""
        while (victim := self._take(member)) is not None:
            victim.close()
            with self._changed:
                self._closing.remove(victim)
                self._changed.notify_all()

    def _take(self, member: Member) -> Member | None:
        """Room for a member; or else who is to be closed first."""
        with self._changed:
            while not self._may_open(member):
                if self._idle and member not in self._closing:
                    victim, _ = self._idle.popitem()
                    self._closing.add(victim)
                    return victim
                if not self._changed.wait(PATIENCE):
                    raise _full(self._room)
            self._idle.pop(member, None)
            self._busy[member] += 1
            return None

    def _may_open(self, member: Member) -> bool:
        """One that is just being closed would be cut off in its first command."""
        if member in self._closing:
            return False
        open_now = len(self._busy) + len(self._idle) + len(self._closing)
        return member in self._busy or member in self._idle or open_now < self._room


def _full(room: int) -> errors.TimedOut:
    return errors.TimedOut(
        f"all {room} connections were in use for {PATIENCE:g} s",
        hint="run the same command again: nothing is done twice",
    )
