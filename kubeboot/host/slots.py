"""Who of many may use the few channels of a connection next: the one with the longest way still to go."""

from __future__ import annotations

import contextlib
import heapq
import itertools
import threading
from collections.abc import Iterator
from contextvars import ContextVar

URGENCY: ContextVar[float] = ContextVar("urgency", default=float("inf"))
"""Seconds of work that wait for what this thread does. Who does not say is not made to wait for others."""


class Slots:
    """Room for so many at a time; of those who wait the most urgent is next, or who came first."""

    def __init__(self, room: int) -> None:
        self._free = room
        self._lock = threading.Lock()
        self._number = itertools.count()
        self._waiting: list[tuple[float, int, threading.Event]] = []

    @contextlib.contextmanager
    def one(self) -> Iterator[None]:
        """Within the block one of them is the caller's."""
        self._take()
        try:
            yield
        finally:
            self._give()

    def _take(self) -> None:
        with self._lock:
            if self._free:
                self._free -= 1
                return
            turn = threading.Event()
            heapq.heappush(self._waiting, (-URGENCY.get(), next(self._number), turn))
        turn.wait()

    def _give(self) -> None:
        """To the next one, or back."""
        with self._lock:
            if self._waiting:
                heapq.heappop(self._waiting)[2].set()
            else:
                self._free += 1
