"""What a machine is asked for and how it ended: frozen options and results, light to import."""

from __future__ import annotations

import dataclasses
import datetime
from typing import TYPE_CHECKING

from kubeboot.engine.values import Secret

if TYPE_CHECKING:
    from kubeboot.config.etcd_access import Access
    from kubeboot.config.node import Role
    from kubeboot.config.spec import ClusterSpec
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
