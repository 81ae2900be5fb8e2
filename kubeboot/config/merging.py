"""Documents laid over each other, and documents read from plain data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def deep(lower: Mapping[str, Any], upper: Mapping[str, Any]) -> dict[str, Any]:
    """The upper one's values over the lower one's; mappings are merged, lists replaced."""
    merged = dict(lower)
    for key, value in upper.items():
        below = merged.get(key)
        merged[key] = deep(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return merged


def at(data: object, path: str) -> object:
    """The value at a dotted path; None where there is none."""
    for part in path.split("."):
        data = data.get(part) if isinstance(data, dict) else None
    return data
