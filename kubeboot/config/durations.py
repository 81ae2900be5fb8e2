"""Durations as Go writes them: `24h`, `1h30m`, `0`."""

from __future__ import annotations

import datetime
import re

_UNITS = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_PART = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)(ms|d|h|m|s)")
_WHOLE = re.compile(rf"^(?:{_PART.pattern})+\Z")
LONGEST = datetime.timedelta(days=36500)


def parse(text: str) -> datetime.timedelta | None:
    """The duration; None when the text is none, or too long to mean anything."""
    if text == "0":
        return datetime.timedelta(0)
    if not _WHOLE.match(text):
        return None
    seconds = sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text))
    return datetime.timedelta(seconds=seconds) if seconds <= LONGEST.total_seconds() else None


def words(duration: datetime.timedelta) -> str:
    """The duration for people: `23h59m`, `4m0s`, `12s`."""
    seconds = max(0, round(duration.total_seconds()))
    hours, minutes = seconds // 3600, seconds % 3600 // 60
    if hours:
        return f"{hours}h{minutes}m" if minutes else f"{hours}h"
    return f"{minutes}m{seconds % 60}s" if minutes else f"{seconds}s"
