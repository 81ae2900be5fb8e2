"""How often a server is asked again, and after which pauses."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from typing import TypeVar

from kubeboot.artifacts.trouble import Failure

T = TypeVar("T")


@dataclasses.dataclass(frozen=True)
class Patience:
    """How often one server is asked again without progress, after which pauses, and how to wait."""

    tries: int = 4
    pauses: tuple[float, ...] = (0.5, 2.0, 5.0)
    most: int = 200
    sleep: Callable[[float], None] = time.sleep

    def rest(self, failure: Failure, idle: int) -> None:
        """Wait as long as the server asked for, or as we find polite."""
        pause = self.pauses[min(idle, len(self.pauses) - 1)]
        self.sleep(failure.after if failure.after is not None else pause)

    def __call__(self, ask: Callable[[], T]) -> T:
        """Ask again for a small thing while that may help."""
        for idle in range(1, self.tries):
            try:
                return ask()
            except Failure as failure:
                if not failure.again:
                    raise
                self.rest(failure, idle - 1)
        return ask()
