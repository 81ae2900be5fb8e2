"""etcd's members, and what may be asked of them; `etcd_client` does it.

An error of a change says little: it may have been made. Who gets one looks at the members again.
"""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol

from kubeboot import errors
from kubeboot.pki import endpoint

CLIENT_PORT = 2379
PEER_PORT = 2380
_TOO_MANY = "too many learner members"
_UNSYNCED = "in sync with leader"


class EtcdUnavailable(errors.Unreachable):
    """No member of etcd answers."""

    reason = "KB_ETCD_UNAVAILABLE"


class EtcdRefused(errors.KubebootError):
    """etcd says no, in its own words. `later`: it may say yes before long."""

    reason = "KB_ETCD"

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.later = any(words in message for words in (_TOO_MANY, _UNSYNCED, "unhealthy cluster"))


@dataclasses.dataclass(frozen=True)
class Member:
    """One member. Without a name it has never been started."""

    id: str
    name: str
    peer_urls: tuple[str, ...]
    client_urls: tuple[str, ...] = ()
    learner: bool = False

    @property
    def label(self) -> str:
        """What to call it."""
        return self.name or ", ".join(self.peer_urls)

    def has_peer(self, address: str) -> bool:
        """Whether it is the member at this address."""
        return any(endpoint.split(url.split("://")[-1], PEER_PORT)[0] == address for url in self.peer_urls)


class EtcdView(Protocol):
    """Read-only."""

    def members(self) -> tuple[Member, ...]: ...
    def healthy(self, member: Member) -> str | None:
        """None when the member answers for itself and has a leader, else what was seen. Never raises."""
        ...


class Etcd(EtcdView, Protocol):
    """Adds the changes, each to be made inside `exclusively`."""

    def add_learner(self, peer_url: str) -> None: ...
    def promote(self, member: Member) -> None: ...
    def remove(self, member: Member) -> None: ...
    def exclusively(self) -> AbstractContextManager[None]:
        """Nobody else changes the members meanwhile."""
        ...


class NoEtcd:
    """A run that has nothing to do with etcd's members."""

    def _none(self) -> EtcdUnavailable:
        return EtcdUnavailable("there is no etcd to talk to yet")

    def members(self) -> tuple[Member, ...]:
        raise self._none()

    def healthy(self, member: Member) -> str | None:
        return "there is no etcd to talk to yet"

    def add_learner(self, peer_url: str) -> None:
        raise self._none()

    def promote(self, member: Member) -> None:
        raise self._none()

    def remove(self, member: Member) -> None:
        raise self._none()

    def exclusively(self) -> AbstractContextManager[None]:
        return contextlib.nullcontext()


def insist(change: Callable[[], None], done: Callable[[], bool], within: float = 60.0,
           pause: Callable[[float], None] = time.sleep) -> None:  # fmt: skip
    """Try a change until it is seen to be made; an answer that was lost is not a failure."""
    end = time.monotonic() + within
    while not done():
        try:
            change()
        except (EtcdUnavailable, EtcdRefused) as error:
            if _done(done):
                return
            if not getattr(error, "later", True) or time.monotonic() > end:
                raise
            pause(0.2)


def _done(done: Callable[[], bool]) -> bool:
    try:
        return done()
    except errors.Unreachable:
        return False


def quorum_problem(etcd: EtcdView, without: Member) -> str | None:
    """Why the members could not go on without one of them; None when they could."""
    voters = [member for member in etcd.members() if not member.learner]
    if without.learner:
        return None
    rest = [member for member in voters if member.id != without.id]
    down = [member for member in rest if etcd.healthy(member) is not None]
    needed = len(rest) // 2 + 1
    if rest and len(rest) - len(down) >= needed:
        return None
    names = ", ".join(member.label for member in down) or "none"
    return (
        f"of the etcd members that would remain, {len(rest) - len(down)} of {len(rest)} are healthy and "
        f"{needed} are needed; not healthy: {names}"
    )
