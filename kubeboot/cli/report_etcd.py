"""etcd's members and snapshots as people and machines read them."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from kubeboot.cli import screens
from kubeboot.fleet.orders_etcd import EtcdRepairResult, EtcdSnapshot

if TYPE_CHECKING:
    from kubeboot.fleet.etcd.status import EtcdStatus, MemberStatus

RESTORE_LOSES = "this takes the whole cluster back to the snapshot: everything written since is lost"
RECOVER_LOSES = (
    "this continues with what this machine knows: writes that only the lost machines had agreed on are lost"
)
_JOIN = (
    "to make a machine a control plane (again): `sudo kubeboot reset --yes` on it, if it was one; then here",
    "  sudo kubeboot certs upload | sudo kubeboot token create --print-join-command --certificate-key-file -",
    "prints what to run on it",
)
_MEMBERS = (
    "to make a machine a member (again): `sudo kubeboot reset --yes` on it, if it was one; then",
    "  `sudo kubeboot etcd export --for members FILE` here, and `sudo kubeboot etcd join FILE` on it;",
    "then tell the control planes: `sudo kubeboot etcd export FILE` here, and on the first of them",
    "  `sudo kubeboot init --external-etcd FILE`; run their join on the others",
)


def status_data(found: EtcdStatus) -> dict[str, Any]:
    """EtcdStatus for machines."""
    return {
        "healthy": found.healthy,
        "leader": found.leader,
        "voters": found.voters,
        "quorum": found.quorum,
        "hasQuorum": found.bears >= 0,
        "survivesLossOf": max(found.bears, 0),
        "members": [_member(member) for member in found.members],
    }


def _member(member: MemberStatus) -> dict[str, Any]:
    return {
        "name": member.name,
        "id": member.id,
        "endpoint": member.endpoint,
        "healthy": member.problem is None and not member.alarms,
        "problem": member.problem,
        "leader": member.leader,
        "learner": member.learner,
        "version": member.version,
        "dbSizeBytes": member.db_size,
        "dbInUseBytes": member.db_in_use,
        "raftTerm": member.raft_term,
        "raftIndex": member.raft_index,
        "raftAppliedIndex": member.raft_applied,
        "alarms": list(member.alarms),
    }


def status_text(found: EtcdStatus) -> str:
    """A table, what is wrong, and the margin."""
    head = ("MEMBER", "ENDPOINT", "ROLE", "VERSION", "DB", "IN USE", "TERM", "INDEX", "HEALTH")
    wrong = [f"{m.name}: {why}" for m in found.members for why in (m.problem, *m.alarms) if why]
    return "\n".join(
        [screens.table(head, [_row(member) for member in found.members]), "", *wrong, _margin(found)]
    )


def _row(member: MemberStatus) -> tuple[str, ...]:
    role = "leader" if member.leader else "learner" if member.learner else "voter"
    well = "alarm" if member.alarms else "ok"
    numbers = (_mib(member.db_size), _mib(member.db_in_use), str(member.raft_term), str(member.raft_index))
    told = (member.version, *numbers, well) if member.problem is None else ("",) * 5 + ("no",)
    return (member.name, member.endpoint, role, *told)


def _margin(found: EtcdStatus) -> str:
    if found.bears < 0:
        return (
            f"no quorum: {found.quorum} of {found.voters} voters are needed; bring one back, or, if they are "
            "gone for good, `sudo kubeboot etcd recover` on a machine that is left"
        )
    more = "members" if found.bears != 1 else "member"
    return (
        f"survives the loss of {found.bears} more {more} ({found.quorum} of {found.voters} voters are needed)"
    )


def snapshot_data(made: EtcdSnapshot) -> dict[str, Any]:
    """EtcdSnapshot for machines."""
    return {**dataclasses.asdict(made), "members": list(made.members)}


def snapshot_text(made: EtcdSnapshot) -> str:
    """One fact a line."""
    lines = (
        ("file", made.path),
        ("sha256", made.sha256),
        ("revision", str(made.revision)),
        ("size", f"{made.size} bytes"),
        ("members", ", ".join(made.members)),
        ("from", made.server),
    )
    return "\n".join(f"{name:<9} {text}" for name, text in lines if text)


def repair_data(result: EtcdRepairResult) -> dict[str, Any]:
    """A restore or a recovery for machines."""
    return {
        "changed": result.changed,
        "ok": result.ok,
        "seconds": round(result.seconds, 3),
        "kept": result.kept,
        "others": list(result.others),
    }


def restored(result: EtcdRepairResult) -> str:
    """What is done, and what to do with the other machines."""
    lines = ["", "the cluster is as it was when the snapshot was taken; etcd runs on this machine alone"]
    return "\n".join([*lines, *_kept(result), *(_again(result) if result.others else ())])


def recovered(result: EtcdRepairResult) -> str:
    """What is done, and how to forget and replace the machines that are gone."""
    forget = [f"  sudo kubeboot node remove {name}" for name in result.others]
    return "\n".join(
        [
            "",
            "etcd continues on this machine alone, and cannot lose a single member: join others soon",
            *_kept(result),
            *(
                [
                    "forget the machines that are gone, once they count as NotReady, which takes a minute:",
                    *forget,
                ]
                if forget
                else ()
            ),
            *_again(result),
        ]
    )


def _again(result: EtcdRepairResult) -> tuple[str, ...]:
    return _JOIN if result.control_plane else _MEMBERS


def _kept(result: EtcdRepairResult) -> list[str]:
    return [f"the previous data is in {result.kept}; remove it once you are satisfied"] if result.kept else []


def _mib(size: int) -> str:
    return f"{size / (1 << 20):.1f} MiB"
