"""What a machine has said within one step before anything is changed: nothing is asked twice."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from kubeboot.host.api import HostView

_FRESH = frozenset({"dial", "facts", "journal_tail", "sync_seconds"})
"""A connection, what is measured, and what is for people."""


def remembering(host: HostView) -> HostView:
    """The same machine as it was when it was first asked. A write makes all of it worthless."""
    return cast(HostView, _Remembering(host))


class _Remembering:
    """Its reads by their arguments. An error is no answer."""

    def __init__(self, host: HostView) -> None:
        self._host = host
        self._known: dict[tuple[Any, ...], Any] = {}

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - the machine's
        found = getattr(self._host, name)
        return self._once(name, found) if callable(found) and name not in _FRESH else found

    def _once(self, name: str, look: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any) -> Any:  # noqa: ANN401 - passed on as they came
            key = (name, *args)
            if key not in self._known:
                self._known[key] = look(*args)
            return self._known[key]

        return call
