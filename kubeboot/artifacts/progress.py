"""Downloads in words: every finding at once, and now and then how far all of them are."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from kubeboot.artifacts.download import Watch

EVERY = 5.0
"""Seconds between two sentences about what is under way."""
_MIB = 1 << 20


def spoken(
    say: Callable[[str], None], done: str = "downloaded", clock: Callable[[], float] = time.monotonic
) -> Watch:
    """Tell a person, sentence by sentence. `done` is what is done to files, in the past tense."""
    return Watch(said=say, moved=Meter(say, done, clock).moved)


class Meter:
    """Counts from any thread, and says something every few seconds."""

    def __init__(self, say: Callable[[str], None], done: str, clock: Callable[[], float]) -> None:
        self._say = say
        self._done = done
        self._clock = clock
        self._lock = threading.Lock()
        self._under_way: dict[str, tuple[int, int]] = {}
        self._finished = 0
        self._told = clock()

    def moved(self, name: str, done: int, total: int) -> None:
        """For Watch."""
        with self._lock:
            self._under_way[name] = (done, total)
            if total and done >= total:
                del self._under_way[name]
                self._finished += done
            if self._clock() - self._told >= EVERY:
                self._told = self._clock()
                self._say(self._sentence())

    def _sentence(self) -> str:
        there = self._finished + sum(done for done, _ in self._under_way.values())
        files = ", ".join(_one(name, *counts) for name, counts in self._under_way.items())
        return f"{self._done} {there // _MIB} MiB so far{f'; now {files}' if files else ''}"


def _one(name: str, done: int, total: int) -> str:
    short = name.rpartition("/")[2]
    return f"{short} {100 * done // total}%" if total else f"{short} {done // _MIB} MiB"
