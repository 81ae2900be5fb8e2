"""Where two manifests differ, with lists of named things taken as mappings and flags as a table."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

_NAMES = ("name", "mountPath", "key", "kind")


def flat(value: object, path: str = "") -> dict[str, object]:
    """Every scalar of a document by its dotted path; an argument list as `command/flag`."""
    return dict(_walk(value, path))


def _walk(value: object, path: str) -> Iterator[tuple[str, object]]:
    if isinstance(value, Mapping):
        for name, below in value.items():
            yield from _walk(below, f"{path}/{name}")
    elif isinstance(value, Sequence) and not isinstance(value, str):
        yield from _walk(_named(value), path)
    else:
        yield path, value


def _named(items: Sequence[Any]) -> dict[str, object]:
    if all(isinstance(item, str) for item in items):
        return dict(item.partition("=")[::2] if item.startswith("--") else (item, "") for item in items)
    return {_name(item, number): item for number, item in enumerate(items)}


def _name(item: Mapping[str, Any], number: int) -> str:
    if "resources" in item and isinstance(item["resources"], Sequence):
        return "+".join(item["resources"])
    return next((str(item[n]) for n in _NAMES if n in item), str(number))


def differences(theirs: object, ours: object) -> dict[str, tuple[object, object]]:
    """Path to (theirs, ours), None where one has nothing."""
    a, b = flat(theirs), flat(ours)
    return {path: (a.get(path), b.get(path)) for path in sorted({*a, *b}) if a.get(path) != b.get(path)}


def matches(path: str, reasons: Mapping[str, str]) -> bool:
    """Whether a difference has a reason."""
    return any(fnmatch.fnmatch(path, pattern) for pattern in reasons)


def explained(found: Mapping[str, object], reasons: Mapping[str, str]) -> None:
    """Every difference has a reason, and every reason a difference."""
    unexplained = {p: v for p, v in found.items() if not any(fnmatch.fnmatch(p, r) for r in reasons)}
    assert not unexplained, f"unexplained differences: {unexplained}"
    idle = {r for r in reasons if not any(fnmatch.fnmatch(p, r) for p in found)}
    assert not idle, f"reasons without a difference: {idle}"
