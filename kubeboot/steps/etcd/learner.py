"""This machine as a member of etcd: its turn, and a learner."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterable

from kubeboot import errors
from kubeboot.engine.step import Blocked, Check, Drift, Ok, Step, Target, View
from kubeboot.engine.values import Key, Values
from kubeboot.kube import etcd as members
from kubeboot.kube.etcd import EtcdView, Member
from kubeboot.pki import endpoint

MEMBERS: Key[tuple[Member, ...]] = Key("etcd/members")
"""The members, the machine's own among them."""

TURN = 240.0


def own(found: Iterable[Member], address: str) -> Member | None:
    """The member at an address."""
    return next((member for member in found if member.has_peer(address)), None)


@dataclasses.dataclass(frozen=True)
class LearnerFree:
    """etcd takes one learner at a time; another machine's must have become a voter."""

    address: str
    deadline: float = 240.0
    sentence: str = "etcd to take this machine as a learner"

    def look(self, see: View, vals: Values) -> str | None:
        try:
            found = see.etcd.members()
        except errors.Unreachable as error:
            return error.message
        other = self._other(found)
        return None if other is None or own(found, self.address) else f"{other.label} is joining"

    def explain(self, see: View) -> str:
        return (
            "if that machine's join has died, run it again there; if the machine is gone, "
            f"`kubeboot node remove {self._whom(see)}` on a control plane takes its member away"
            " (`kubeboot etcd remove` on a machine of etcd's own)"
        )

    def _whom(self, see: View) -> str:
        """A member that was never started has an address and no name."""
        try:
            other = self._other(see.etcd.members())
        except errors.KubebootError:
            return "NAME"
        return other.name or endpoint.host_of(other.peer_urls[0].partition("://")[2]) if other else "NAME"

    def _other(self, found: Iterable[Member]) -> Member | None:
        return next((m for m in found if m.learner and not m.has_peer(self.address)), None)


@dataclasses.dataclass(frozen=True, kw_only=True)
class AwaitTurn(Step):
    """Nothing but waiting until no other machine is etcd's learner."""

    address: str

    def check(self, see: View, vals: Values) -> Check:
        waiting = LearnerFree(self.address).look(see, vals)
        return Ok() if waiting is None else Drift(f"wait: {waiting}")

    def apply(self, do: Target, vals: Values) -> None:
        """`settle` does the waiting."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class AddLearner(Step):
    """etcd knows this machine: as a learner that will be started, or as what it has become already."""

    address: str
    data_dir: str
    pause: Callable[[float], None] = dataclasses.field(default=time.sleep, repr=False)

    def check(self, see: View, vals: Values) -> Check:
        found = see.etcd.members()
        mine = own(found, self.address)
        data = see.host.stat(f"{self.data_dir}/member") is not None
        if mine is None and data:
            return Blocked(
                f"{self.data_dir} holds the data of a member that etcd does not have any more",
                hint="run `kubeboot reset` on this machine, then join again",
                reason="KB_ETCD_REMOVED",
            )
        if mine is None:
            return self._new(see.etcd, found)
        if mine.name and not data:
            return Drift("replace this machine's member of etcd, whose data is gone", "change")
        return Ok()

    def _new(self, etcd: EtcdView, found: Iterable[Member]) -> Check:
        old = self._namesake(found)
        if old is None:
            return Drift("add this machine to etcd as a learner")
        return self._taken(etcd, old) or Drift(
            f"replace etcd's member {self.on}, which was at {', '.join(old.peer_urls)}", "change"
        )

    def _taken(self, etcd: EtcdView, old: Member) -> Blocked | None:
        """Where the namesake lives, it is another machine."""
        if etcd.healthy(old) is not None:
            return None
        return Blocked(
            f"etcd has another member {self.on}, at {', '.join(old.peer_urls)}, and it is healthy",
            hint="give this machine another name with --node-name; if the other one is to go, "
            f"`kubeboot node remove {self.on}` on a control plane first",
            reason="KB_NODE_NAME_TAKEN",
        )

    def _namesake(self, found: Iterable[Member]) -> Member | None:
        """Where this machine had another address before; etcd does not start with two members of one name."""
        return next((m for m in found if m.name == self.on and not m.has_peer(self.address)), None)

    def apply(self, do: Target, vals: Values) -> None:
        """The lock is held for each attempt only: the learner in the way needs it to become a voter."""
        end = time.monotonic() + TURN
        while not self._try(do):
            if time.monotonic() > end:
                raise errors.TimedOut(
                    f"waited {TURN:.0f}s for etcd to take another learner",
                    hint="run the same command again when the other machines have joined",
                )
            self.pause(0.2)

    def _try(self, do: Target) -> bool:
        url = endpoint.url(self.address, members.PEER_PORT)
        with do.etcd.exclusively():
            found = do.etcd.members()
            mine = own(found, self.address)
            if mine is not None and not mine.name:
                return True
            old = mine or self._namesake(found)
            if mine is None and old is not None and (taken := self._taken(do.etcd, old)):
                raise errors.KubebootError(taken.message, hint=taken.hint, reason=taken.reason)
            if old is not None:
                self._remove(do, old)
            if any(member.learner for member in found if member != old):
                return False
            try:
                members.insist(
                    lambda: do.etcd.add_learner(url), lambda: own(do.etcd.members(), self.address) is not None
                )
            except members.EtcdRefused as error:
                raise self._told(do.etcd, error) from error
            return True

    def _told(self, etcd: EtcdView, error: errors.KubebootError) -> errors.KubebootError:
        """etcd takes nobody while one of its voters is away, and does not say which."""
        away = [m.label for m in etcd.members() if not m.learner and etcd.healthy(m) is not None]
        if not away:
            return error
        return errors.KubebootError(
            f"etcd accepts no new member while {', '.join(away)} does not answer",
            hint="bring it back, or `kubeboot node remove` it on a control plane; then join again",
            reason="KB_ETCD_UNHEALTHY",
        )

    def _remove(self, do: Target, mine: Member) -> None:
        problem = members.quorum_problem(do.etcd, mine)
        if problem is not None:
            raise errors.KubebootError(
                f"this machine's old member of etcd cannot be replaced: {problem}",
                hint="bring those back first, or remove them with `kubeboot node remove`",
                reason="KB_ETCD_QUORUM",
            )
        members.insist(lambda: do.etcd.remove(mine), lambda: mine.id not in {m.id for m in do.etcd.members()})

    def read(self, see: View, key: Key[tuple[Member, ...]]) -> tuple[Member, ...]:
        return see.etcd.members()
