"""Values born at run time (a CA, a token, etcd's members): typed, in memory, never printed.

A step that `gives` a key makes it with `read`, from the machine, whether it changed something or not;
a step that `needs` a key runs after its giver and takes the value from `Values`.
"""

from __future__ import annotations

import dataclasses
import threading
from typing import Any, Generic, TypeVar, cast

T = TypeVar("T")


@dataclasses.dataclass(frozen=True)
class Key(Generic[T]):
    """The name and type of a value: `CA: Key[Authority] = Key("ca")`."""

    name: str


class Secret(Generic[T]):
    """Something that must not be seen: repr and str are `***`; `reveal()` is the only door."""

    __slots__ = ("_value",)

    def __init__(self, value: T) -> None:
        self._value = value

    def reveal(self) -> T:
        """The secret itself; pass it on, never print it."""
        return self._value

    def __repr__(self) -> str:
        return "***"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and bool(self._value == other._value)

    def __hash__(self) -> int:
        return hash(Secret)


class Values:
    """What the steps of one run have given so far. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[str, Any] = {}

    def put(self, key: Key[T], value: T) -> None:
        with self._lock:
            self._known[key.name] = value

    def get(self, key: Key[T]) -> T | None:
        """The value, or None while its giver has not made it (always possible in a dry run)."""
        with self._lock:
            return cast("T | None", self._known.get(key.name))

    def need(self, key: Key[T]) -> T:
        """The value; KeyError when the plan forgot to name it in `needs`, which is a bug."""
        with self._lock:
            return cast(T, self._known[key.name])
