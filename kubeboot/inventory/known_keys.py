"""Host keys by which machines were believed, as a cluster keeps them for workstations that know none.

A key is a line of a known-hosts file: one name, its type, itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from kubeboot.inventory import plain
from kubeboot.inventory.model import pin

Lines = Mapping[str, tuple[str, ...]]
"""By machine: its own keys, and those of its gateways."""


def merged(there: Iterable[str], shown: Iterable[str]) -> tuple[str, ...]:
    """What is kept of one machine once it has shown keys; another workstation may have come another way.

    Another key of a type says that the machine was made again: then none of its others counts any more.
    A name that could not be read again (an alias may be anything) is not kept.
    """
    now = {_parts(line)[:2]: line for line in shown if _is_fit(line)}
    before = {_parts(line)[:2]: line for line in there}
    again = {name for (name, kind), line in now.items() if before.get((name, kind), line) != line}
    kept = {key: line for key, line in before.items() if key[0] not in again}
    return tuple(line for _, line in sorted({**kept, **now}.items()))


def believed(lines: Iterable[str]) -> tuple[str, ...]:
    """The lines, as anybody could have written them; ValueError for what is none, or is of many hosts."""
    return tuple(_believed(line) for line in lines)


def by_name(kept: Lines) -> dict[str, tuple[str, ...]]:
    """Public keys (`type base64`) by the names that known-hosts files have machines by."""
    found: dict[str, dict[str, None]] = {}
    for lines in kept.values():
        for name, kind, key in map(_parts, lines):
            found.setdefault(name, {})[f"{kind} {key}"] = None
    return {name: tuple(keys) for name, keys in found.items()}


def _is_fit(line: str) -> bool:
    try:
        return _believed(line) == line
    except ValueError:
        return False


def _believed(line: str) -> str:
    name, kind, key = _parts(line)
    host, _, port = name.removeprefix("[").partition("]:")
    if not plain.is_host(host) or name.startswith("[") != bool(port) or not (port or "0").isdigit():
        raise ValueError(f"{name!r} is not a host name that a known-hosts file can hold")
    return f"{name} {pin(f'{kind} {key}')}"


def _parts(line: str) -> tuple[str, str, str]:
    name, kind, key = line.split(" ")
    return name, kind, key
