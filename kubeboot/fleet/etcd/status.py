"""How etcd is: each member for itself, and how many of them it could still lose."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

from kubeboot import errors
from kubeboot.fleet.etcd import here as etcd_here
from kubeboot.host.local import LocalView
from kubeboot.kube.etcd import Member


class Asked(Protocol):
    """The reads that need no quorum."""

    def known(self) -> tuple[Member, ...]: ...
    def status(self, server: str) -> Mapping[str, Any]: ...


@dataclasses.dataclass(frozen=True)
class MemberStatus:
    """One member. `problem` is why it is not healthy; what it did not answer is 0 or empty."""

    name: str
    id: str
    endpoint: str
    learner: bool
    problem: str | None = None
    leader: bool = False
    version: str = ""
    db_size: int = 0
    db_in_use: int = 0
    raft_term: int = 0
    raft_index: int = 0
    raft_applied: int = 0
    alarms: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class EtcdStatus:
    """All members."""

    members: tuple[MemberStatus, ...]

    @property
    def voters(self) -> int:
        """How many members vote."""
        return sum(not member.learner for member in self.members)

    @property
    def quorum(self) -> int:
        """How many voters must be healthy."""
        return self.voters // 2 + 1

    @property
    def bears(self) -> int:
        """How many more voters may be lost; below 0 there is no quorum."""
        up = sum(not member.learner and member.problem is None for member in self.members)
        return up - self.quorum

    @property
    def leader(self) -> str | None:
        """The name of the member that leads."""
        return next((member.name for member in self.members if member.leader), None)

    @property
    def healthy(self) -> bool:
        """Every member answers and has a leader, and none has an alarm."""
        return all(member.problem is None and not member.alarms for member in self.members)


def status() -> EtcdStatus:
    """Asked from this control plane. EtcdUnavailable when no member answers at all."""
    see = LocalView()
    return look(etcd_here.client(see))


def look(etcd: Asked) -> EtcdStatus:
    """Every member that one of them knows, asked for itself, all at once."""
    found = etcd.known()
    with ThreadPoolExecutor(len(found)) as pool:
        return EtcdStatus(tuple(pool.map(lambda member: _member(etcd, member), found)))


def _member(etcd: Asked, member: Member) -> MemberStatus:
    where = member.client_urls[0] if member.client_urls else ""
    plain = MemberStatus(member.label, _hex(member.id), where, member.learner)
    if not where:
        return dataclasses.replace(plain, problem="it has never been started")
    try:
        said = etcd.status(where)
    except errors.KubebootError as error:
        return dataclasses.replace(plain, problem=error.message)
    return _told(plain, member, said)


def _told(plain: MemberStatus, member: Member, said: Mapping[str, Any]) -> MemberStatus:
    leader = str(said.get("leader", "0"))
    number = {name: int(said.get(name, 0)) for name in _NUMBERS}
    return dataclasses.replace(
        plain,
        problem=None if leader != "0" else "it has no leader",
        leader=leader == member.id,
        version=str(said.get("version", "")),
        db_size=number["dbSize"],
        db_in_use=number["dbSizeInUse"],
        raft_term=number["raftTerm"],
        raft_index=number["raftIndex"],
        raft_applied=number["raftAppliedIndex"],
        alarms=tuple(alarm for alarm in map(str, said.get("errors") or ()) if "no leader" not in alarm),
    )


_NUMBERS = ("dbSize", "dbSizeInUse", "raftTerm", "raftIndex", "raftAppliedIndex")


def _hex(id: str) -> str:
    """As etcdctl prints it."""
    return f"{int(id):x}"
