"""Time that passes only when a test says so, or somebody waits."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass
class Clock:
    """Seconds; called as time.monotonic is."""

    now: float = 0.0

    def __call__(self) -> float:
        return self.now

    def wait(self, seconds: float) -> None:
        """Instead of time.sleep."""
        self.now += seconds
