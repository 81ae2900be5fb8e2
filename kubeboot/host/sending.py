"""Bytes on their way to a machine: which of them it has, and what they are called until all are there."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterable, Iterator

_TEMPORARY = re.compile(r"\.(.+)\.kubeboot-\w{8}")
_PART = re.compile(r"\.(.+)\.kubeboot-part-\w{8}")


def temporary(name: str, random: str) -> str:
    """What a file is called before it is renamed: hidden, so that the kubelet takes it for no manifest."""
    return f".{name}.kubeboot-{random}"


def temporary_of(name: str) -> str | None:
    """The file whose write was killed before its rename, if `name` is left from that, however deep."""
    found = _TEMPORARY.fullmatch(name)
    return (temporary_of(found[1]) or found[1]) if found else None


def part(name: str, sum: str) -> str:
    """What of a file with this sha256 has come so far: an upload that was cut goes on from there."""
    return f".{name}.kubeboot-part-{sum[:8]}"


def part_of(name: str) -> str | None:
    """The file whose upload was cut, if that is what `name` is left from."""
    found = _PART.fullmatch(name)
    return found[1] if found else None


@dataclasses.dataclass(frozen=True)
class Slice:
    """Bytes of a file that is on the machine."""

    path: str
    offset: int
    size: int


@dataclasses.dataclass(frozen=True)
class Download:
    """A file that the machine fetches from the first of these URLs that has it, and keeps under its sum.

    `member`: of a gzipped tar only this is meant.
    """

    urls: tuple[str, ...]
    sha256: str
    member: str = ""


Part = bytes | Slice | Download


@dataclasses.dataclass(frozen=True)
class OnMachine:
    """Bytes that the machine can put together itself; whoever cannot use that iterates over them."""

    parts: tuple[Part, ...]
    stream: Callable[[], Iterable[bytes]]

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.stream())
