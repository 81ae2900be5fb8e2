"""The machines that a run holds: nobody else changes them meanwhile."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from types import TracebackType

from kubeboot import errors
from kubeboot.engine import journal
from kubeboot.fleet.reach import Reached
from kubeboot.fleet.run import holder

MOST = 200
"""Machines that are changed in one run, beside the lead: each lock holds a connection."""


class Locks:
    """The lead's lock comes first: who has it has the fleet, and two runs never meet half-way.

    Safe to use from several threads.
    """

    def __init__(self, lead: Reached, command: str) -> None:
        self._lead, self._command = lead, command
        self._stack = contextlib.ExitStack()
        self._mutex = threading.Lock()
        self._held: set[str] = set()

    def __enter__(self) -> Locks:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    def lead(self) -> None:
        """Hold the fleet; Occupied when another run does."""
        with self._mutex:
            self._hold_lead()

    def take(self, who: Reached) -> None:
        """Hold a machine too; Occupied, or KB_FLEET_SIZE where there are too many.

        One that is slow to answer holds up nobody else.
        """
        with self._mutex:
            self._hold_lead()
            if who.name in self._held:
                return
            if len(self._held) > MOST:
                raise _too_many()
            self._held.add(who.name)
        held = contextlib.ExitStack()
        try:
            held.enter_context(self._lock(who))
        except errors.KubebootError:
            with self._mutex:
                self._held.discard(who.name)
            raise
        with self._mutex:
            self._stack.push(held)

    def those(self, others: Iterable[Reached]) -> dict[str, errors.KubebootError]:
        """Hold all of them that can be had; why the others cannot."""
        refused: dict[str, errors.KubebootError] = {}
        self.lead()
        for who in others:
            try:
                self.take(who)
            except errors.KubebootError as error:
                refused[who.name] = error
        return refused

    def _hold_lead(self) -> None:
        if self._lead.name not in self._held:
            self._stack.enter_context(self._lock(self._lead))
            self._held.add(self._lead.name)

    def _lock(self, who: Reached) -> AbstractContextManager[None]:
        return who.host.lock(journal.LOCK, holder(self._command))


@contextlib.contextmanager
def locked(lead: Reached, command: str) -> Iterator[Locks]:
    """One machine, or the fleet that it leads, from the beginning."""
    with Locks(lead, command) as locks:
        locks.lead()
        yield locks


def _too_many() -> errors.KubebootError:
    return errors.KubebootError(
        f"one run changes {MOST} machines at most, and others came first",
        hint="run the same command again: it continues with the rest",
        reason="KB_FLEET_SIZE",
    )
