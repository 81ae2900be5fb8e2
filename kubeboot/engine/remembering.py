"""What the machine has said within one step before anything is changed: nothing is asked twice."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import PurePosixPath
from typing import Any, cast

from kubeboot.engine.places import HOST_WRITES
from kubeboot.host.api import HostTarget, HostView
from kubeboot.host.model import Stat

_FRESH = frozenset({"dial", "facts", "journal_tail", "sync_seconds"})
"""A connection, what is measured, and what is for people."""
_NOTHING: Mapping[str, Any] = {"read": None, "sha256": None, "listdir": ()}
"""What a path has at which there is nothing."""


class Memory:
    """A machine's answers by their question, for one step. An error is no answer."""

    def __init__(self, host: HostTarget) -> None:
        self._host = host
        self._known: dict[tuple[Any, ...], Any] = {}

    def view(self) -> HostView:
        """The machine as it was when it was first asked."""
        return cast(HostView, _Remembering(self._host, self._known))

    def target(self) -> HostTarget:
        """The machine to act on. An answer that is known is given once more, and none after a write."""
        return cast(HostTarget, _Recalling(self._host, self._known))

    def forget(self) -> None:
        """Ask everything anew."""
        self._known.clear()


class _Remembering:
    """Reads, each once."""

    def __init__(self, host: HostTarget, known: dict[tuple[Any, ...], Any]) -> None:
        self._host = host
        self._known = known

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - the machine's
        found = getattr(self._host, name)
        return self._once(name, found) if callable(found) and name not in _FRESH else found

    def stat(self, path: str) -> Stat | None:
        """With it what is above is asked for: an undo will want to know which directories are not there."""
        if ("stat", path) not in self._known:
            found = self._host.stats((path, *map(str, PurePosixPath(path).parents)))
            self._known |= {("stat", each): stat for each, stat in found.items()}
        return cast("Stat | None", self._known["stat", path])

    def _once(self, name: str, look: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any) -> Any:  # noqa: ANN401 - passed on as they came
            key = (name, *args)
            if name in _NOTHING and self._known.get(("stat", *args), look) is None:
                self._known[key] = _NOTHING[name]
            if key not in self._known:
                self._known[key] = look(*args)
            return self._known[key]

        return call


class _Recalling:
    """Who asks a second time wants to see a change."""

    def __init__(self, host: HostTarget, known: dict[tuple[Any, ...], Any]) -> None:
        self._host = host
        self._known = known

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - the machine's
        found = getattr(self._host, name)
        if not callable(found):
            return found
        return self._writing(found) if name in HOST_WRITES else self._reading(name, found)

    def _writing(self, change: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:  # noqa: ANN401 - passed on as they came
            self._known.clear()
            return change(*args, **options)

        return call

    def _reading(self, name: str, look: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:  # noqa: ANN401 - passed on as they came
            key = (name, *args)
            return self._known.pop(key) if key in self._known else look(*args, **options)

        return call
