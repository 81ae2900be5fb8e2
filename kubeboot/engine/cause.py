"""What a line of a log means, and what fixes it."""

from __future__ import annotations

import dataclasses
import re


@dataclasses.dataclass(frozen=True)
class Cause:
    """A pattern of a log line, what it means, and what fixes it."""

    id: str
    pattern: re.Pattern[str]
    means: str
    fix: str


def cause(id: str, pattern: str, means: str, fix: str) -> Cause:
    """One, whose pattern does not care about case."""
    return Cause(id, re.compile(pattern, re.IGNORECASE), means, fix)
