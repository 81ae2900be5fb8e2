"""Several looks at a machine together, where what they want may have to be fetched first (host.ssh.batch)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol, TypeVar, runtime_checkable

from kubeboot.host.api import HostView, Unread

T = TypeVar("T")


@runtime_checkable
class Fetches(Protocol):
    """A view that notes what it cannot answer yet."""

    def fetch(self) -> None:
        """Get it."""
        ...


def settled(see: HostView, look: Callable[[], T]) -> T:
    """What a look at the view comes to, once all that it asks for has been fetched."""
    while True:
        try:
            return look()
        except Unread:
            if not isinstance(see, Fetches):
                raise
            see.fetch()


def together(looks: Iterable[Callable[[], T]]) -> list[T]:
    """The answers of all looks; Unread when one is missing, and by then all are noted."""
    answers: list[T] = []
    unread = False
    for look in looks:
        try:
            answers.append(look())
        except Unread:
            unread = True
    if unread:
        raise Unread
    return answers
