"""This machine as a member of etcd: its turn, a learner, started, and only then a voter."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterable

from kubeboot import errors
from kubeboot.engine.step import Blocked, Check, Condition, Drift, Later, Ok, Step, Target, View
from kubeboot.engine.values import Key, Values
from kubeboot.kube import etcd as members
from kubeboot.kube.etcd import Member
from kubeboot.pki import endpoint
from kubeboot.steps import pod_logs

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
        other = next((m for m in found if m.learner and not m.has_peer(self.address)), None)
        if other is None or own(found, self.address):
            return None
        return f"{other.label} is joining"

    def explain(self, see: View) -> str:
        return (
            "if that machine's join has died, run it again there; if the machine is gone, "
            "`kubeboot node remove` on a control plane takes its member away"
        )


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
        mine = own(see.etcd.members(), self.address)
        data = see.host.stat(f"{self.data_dir}/member") is not None
        if mine is None and data:
            return Blocked(
                f"{self.data_dir} holds the data of a member that etcd does not have any more",
                hint="run `kubeboot reset` on this machine, then join again",
                reason="KB_ETCD_REMOVED",
            )
        if mine is None:
            return Drift("add this machine to etcd as a learner")
        if mine.name and not data:
            return Drift("replace this machine's member of etcd, whose data is gone", "change")
        return Ok()

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
            if mine is not None and mine.name:
                self._remove(do, mine)
            elif mine is not None:
                return True
            if any(member.learner for member in found):
                return False
            members.insist(
                lambda: do.etcd.add_learner(url), lambda: own(do.etcd.members(), self.address) is not None
            )
            return True

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


@dataclasses.dataclass(frozen=True)
class Started:
    """The learner runs: it has told the others its name, and answers."""

    node: str
    address: str
    deadline: float = 240.0
    sentence: str = "etcd to run here as a learner"

    def look(self, see: View, vals: Values) -> str | None:
        try:
            mine = own(see.etcd.members(), self.address)
        except errors.Unreachable as error:
            return error.message
        if mine is None:
            return "etcd does not have this machine any more"
        return see.etcd.healthy(mine)

    def explain(self, see: View) -> str:
        return pod_logs.explain(see.host, self.node, ("etcd",))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Promote(Step):
    """This machine's member votes."""

    address: str

    def check(self, see: View, vals: Values) -> Check:
        mine = own(see.etcd.members(), self.address)
        if mine is None:
            return Later("this machine's member of etcd")
        return Drift("make the learner a voter") if mine.learner else Ok()

    def apply(self, do: Target, vals: Values) -> None:
        with do.etcd.exclusively():
            mine = own(do.etcd.members(), self.address)
            if mine is not None and mine.learner:
                members.insist(lambda: do.etcd.promote(mine), lambda: self._votes(do))

    def _votes(self, do: Target) -> bool:
        mine = own(do.etcd.members(), self.address)
        return mine is not None and not mine.learner


@dataclasses.dataclass(frozen=True, kw_only=True)
class AwaitStarted(Step):
    """Wait until the learner runs."""

    condition: Condition

    def check(self, see: View, vals: Values) -> Check:
        waiting = self.condition.look(see, vals)
        return Ok() if waiting is None else Drift(f"wait for {self.condition.sentence}")

    def apply(self, do: Target, vals: Values) -> None:
        """`settle` does the waiting."""
