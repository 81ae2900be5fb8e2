"""What is asked of etcd, and how it ended."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kubeboot.config.etcd_access import Invitation
    from kubeboot.config.spec import ClusterSpec


@dataclasses.dataclass(frozen=True)
class EtcdSnapshotSaveOptions:
    """`force`: although the file is there."""

    path: str
    force: bool = False


@dataclasses.dataclass(frozen=True)
class EtcdSnapshot:
    """A snapshot: the file's sum, etcd's last revision, the database's bytes, the members that it names."""

    path: str
    sha256: str
    revision: int
    size: int
    members: tuple[str, ...] = ()
    server: str = ""


@dataclasses.dataclass(frozen=True)
class EtcdRestoreOptions:
    """The command has asked the user already."""

    path: str
    dry_run: bool = False
    timeout_scale: float = 1.0


@dataclasses.dataclass(frozen=True)
class EtcdRecoverOptions:
    """The command has asked the user already."""

    dry_run: bool = False
    timeout_scale: float = 1.0


@dataclasses.dataclass(frozen=True)
class EtcdRepairResult:
    """How it ended. `kept`: where the old data is; `others`: machines that are not in etcd any more.

    `control_plane`: an API server is beside this machine's etcd.
    """

    changed: int
    ok: int
    seconds: float
    kept: str
    others: tuple[str, ...] = ()
    control_plane: bool = True


@dataclasses.dataclass(frozen=True)
class EtcdMachineOptions:
    """`invited` None: this is the first member. `spec` holds what is said on this machine."""

    spec: ClusterSpec
    invited: Invitation | None = None
    skip: frozenset[str] = frozenset()
    ignore_preflight: frozenset[str] = frozenset()
    dry_run: bool = False
    timeout_scale: float = 1.0


@dataclasses.dataclass(frozen=True)
class EtcdMachineResult:
    """How it ended. `voters`: how many members etcd has now."""

    changed: int
    ok: int
    seconds: float
    name: str
    voters: int = 0


@dataclasses.dataclass(frozen=True)
class EtcdRemoveOptions:
    """The name of the member."""

    name: str
    dry_run: bool = False


@dataclasses.dataclass(frozen=True)
class EtcdExportOptions:
    """Which file is to be written, and for whom."""

    to_members: bool = False
