"""What the fleet is asked for and how it ended: frozen options and results, light to import."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from kubeboot.engine.values import Secret

if TYPE_CHECKING:
    from kubeboot.artifacts.api import Catalog
    from kubeboot.config.etcd_access import Access, Invitation
    from kubeboot.config.node import Role
    from kubeboot.config.spec import ClusterSpec
    from kubeboot.engine.events import HostFinished
    from kubeboot.fleet.doors import Door
    from kubeboot.inventory.model import Inventory
    from kubeboot.steps.preflight.model import Finding

ADMIN_CONF = "/etc/kubernetes/admin.conf"


@dataclasses.dataclass(frozen=True)
class InitOptions:
    """`token` None: make one. `token_ttl` zero: it does not expire. `skip` are step groups or step ids.

    `etcd`: how to get into an etcd elsewhere, to be installed; its endpoints are in `spec`.
    """

    spec: ClusterSpec
    token: Secret[str] | None = None
    token_ttl: datetime.timedelta = datetime.timedelta(hours=24)
    certificate_key: Secret[str] | None = None
    etcd: Access | None = None
    skip: frozenset[str] = frozenset()
    ignore_preflight: frozenset[str] = frozenset()
    dry_run: bool = False
    timeout_scale: float = 1.0


@dataclasses.dataclass(frozen=True)
class InitResult:
    """How init ended. `join_command` is None when there is no token to show (a dry run, `token` skipped)."""

    changed: int
    ok: int
    seconds: float
    kubeconfig: str = ADMIN_CONF
    endpoint: str = ""
    join_command: Secret[str] | None = None
    token_expires: datetime.datetime | None = None
    single: bool = False
    control_plane_join_command: Secret[str] | None = None
    balancer_join_command: Secret[str] | None = None


@dataclasses.dataclass(frozen=True)
class JoinOptions:
    """`spec` holds what is said on this machine: its node's options and where artifacts are."""

    host: str
    port: int
    token: Secret[str]
    ca_pins: tuple[str, ...]
    spec: ClusterSpec
    role: Role = "worker"
    certificate_key: Secret[str] | None = None
    skip: frozenset[str] = frozenset()
    ignore_preflight: frozenset[str] = frozenset()
    dry_run: bool = False
    timeout_scale: float = 1.0


@dataclasses.dataclass(frozen=True)
class JoinResult:
    """How join ended."""

    changed: int
    ok: int
    seconds: float
    node: str = ""
    cluster: str = ""
    voters: int = 0
    role: Role = "worker"


@dataclasses.dataclass(frozen=True)
class ResetOptions:
    """The command has asked the user already."""

    dry_run: bool = False
    timeout_scale: float = 1.0
    force: bool = False


@dataclasses.dataclass(frozen=True)
class ResetResult:
    """How reset ended. `left` is what could not be removed; anything in it makes the exit code 1."""

    changed: int
    ok: int
    seconds: float
    left: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class StatusOptions:
    """Which kubeconfig to ask the API with."""

    kubeconfig: str = ADMIN_CONF


@dataclasses.dataclass(frozen=True)
class SupportOptions:
    """`to` None: a new file here, named after the machine and the time."""

    to: str | None = None


@dataclasses.dataclass(frozen=True)
class DoctorOptions:
    """Whom to ask, and where this machine's artifacts are."""

    spec: ClusterSpec
    kubeconfig: str = ADMIN_CONF


@dataclasses.dataclass(frozen=True)
class PreflightOptions:
    """`ignore_preflight` demotes findings to warnings."""

    spec: ClusterSpec
    ignore_preflight: frozenset[str] = frozenset()


@dataclasses.dataclass(frozen=True)
class PreflightResult:
    """Every finding, the demoted ones as warnings. `checks` is how many checks ran."""

    findings: tuple[Finding, ...]
    checks: int = 0


@dataclasses.dataclass(frozen=True)
class TokenCreateOptions:
    """`token` None: make one. `ttl` zero: it does not expire. Empty `usages` and `groups`: kubeadm's."""

    token: Secret[str] | None = None
    ttl: datetime.timedelta = datetime.timedelta(hours=24)
    description: str = ""
    usages: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    join_command: bool = False
    certificate_key: Secret[str] | None = None
    kubeconfig: str = ADMIN_CONF


@dataclasses.dataclass(frozen=True)
class TokenCreateResult:
    """`join_command` is there when it was asked for."""

    token: Secret[str]
    expires: datetime.datetime | None = None
    join_command: Secret[str] | None = None


@dataclasses.dataclass(frozen=True)
class CertsUploadOptions:
    """`key` None: make one."""

    key: Secret[str] | None = None
    kubeconfig: str = ADMIN_CONF


@dataclasses.dataclass(frozen=True)
class NodeRemoveOptions:
    """`force`: what runs there is not taken elsewhere first, though the Node is Ready."""

    node: str
    kubeconfig: str = ADMIN_CONF
    force: bool = False
    drain_timeout: datetime.timedelta = datetime.timedelta(minutes=5)
    dry_run: bool = False


@dataclasses.dataclass(frozen=True)
class NodeRemoveResult:
    """How it ended. `voters`: how many members etcd has left; 0 where it runs elsewhere."""

    changed: int
    ok: int
    seconds: float
    voters: int


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


@dataclasses.dataclass(frozen=True)
class TokenListOptions:
    """Which kubeconfig to ask the API with."""

    kubeconfig: str = ADMIN_CONF


@dataclasses.dataclass(frozen=True)
class Token:
    """A bootstrap token as `token list` shows it: never its secret."""

    id: str
    expires: datetime.datetime | None
    usages: tuple[str, ...] = ()
    description: str = ""
    groups: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class TokenDeleteOptions:
    """The public ids of the tokens."""

    ids: tuple[str, ...]
    kubeconfig: str = ADMIN_CONF


@dataclasses.dataclass(frozen=True)
class TokenDeleteResult:
    """Which of them were there."""

    deleted: tuple[str, ...]
    missing: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class KubeconfigOptions:
    """Which file; another server address to write into it, if any."""

    path: str = ADMIN_CONF
    server: str | None = None


@dataclasses.dataclass(frozen=True)
class FleetOptions:
    """`limit`: machines, groups or roles; none means all. `ask` is told which machines would be removed.

    Removed are machines that an earlier run had and that the inventory does not have any more. `catalogs`:
    what the machines were made of, by architecture, where the cluster itself was asked. `door` opens
    machines; None: nobody is asked anything.
    """

    spec: ClusterSpec
    inventory: Inventory
    limit: tuple[str, ...] = ()
    ask: Callable[[tuple[str, ...]], bool] = lambda names: False
    door: Door | None = None
    skip: frozenset[str] = frozenset()
    ignore_preflight: frozenset[str] = frozenset()
    timeout_scale: float = 1.0
    catalogs: Mapping[str, Catalog] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class FleetResult:
    """How it went on each machine, in the inventory's order."""

    hosts: tuple[HostFinished, ...]
    seconds: float

    @property
    def failed(self) -> tuple[HostFinished, ...]:
        """The machines on which something is left to do."""
        return tuple(host for host in self.hosts if host.state in ("failed", "unreachable", "skipped"))

    @property
    def clean(self) -> bool:
        """Every machine answered, and there was nothing to do."""
        return all(host.state == "ok" for host in self.hosts)


@dataclasses.dataclass(frozen=True)
class ExecOptions:
    """`root`: with sudo where the user is another. `deadline` in seconds is that of a local command."""

    inventory: Inventory
    argv: tuple[str, ...]
    limit: tuple[str, ...] = ()
    root: bool = False
    deadline: float = 3600.0
    door: Door | None = None


@dataclasses.dataclass(frozen=True)
class MergeOptions:
    """`inventory` None: from this machine. `context`: its name in the file; default: the cluster's."""

    to: str
    inventory: Inventory | None = None
    path: str = ADMIN_CONF
    server: str | None = None
    context: str | None = None
    door: Door | None = None
