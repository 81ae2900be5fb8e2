"""What a line of a log means, and what fixes it."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable

from kubeboot.host.api import HostView

Still = Callable[[HostView, str], bool]
"""Whether a machine is as this line of its log says."""


@dataclasses.dataclass(frozen=True)
class Cause:
    """A pattern of a log line, what it means, and what fixes it. `still`: where that can be looked up."""

    id: str
    pattern: re.Pattern[str]
    means: str
    fix: str
    still: Still | None = None


def cause(id: str, pattern: str, means: str, fix: str, still: Still | None = None) -> Cause:
    """One, whose pattern does not care about case."""
    return Cause(id, re.compile(pattern, re.IGNORECASE), means, fix, still)
