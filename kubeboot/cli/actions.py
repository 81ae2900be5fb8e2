"""What commands ask the rest of the house for: plain functions of frozen options, no parsing, no printing."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Callable
from typing import TYPE_CHECKING

from kubeboot.engine.events import Event
from kubeboot.engine.values import Secret

if TYPE_CHECKING:
    from kubeboot.config.spec import ClusterSpec
    from kubeboot.fleet.doctor import Diagnosis
    from kubeboot.fleet.status import Status
    from kubeboot.fleet.support import Packed
    from kubeboot.steps.preflight.model import Finding

Emit = Callable[[Event], None]

ADMIN_CONF = "/etc/kubernetes/admin.conf"


@dataclasses.dataclass(frozen=True)
class InitOptions:
    """`token` None: make one. `token_ttl` zero: it does not expire. `skip` are step groups or step ids."""

    spec: ClusterSpec
    token: Secret[str] | None = None
    token_ttl: datetime.timedelta = datetime.timedelta(hours=24)
    certificate_key: Secret[str] | None = None
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


@dataclasses.dataclass(frozen=True)
class JoinOptions:
    """`spec` holds what is said on this machine: its node's options and where artifacts are."""

    host: str
    port: int
    token: Secret[str]
    ca_pins: tuple[str, ...]
    spec: ClusterSpec
    control_plane: bool = False
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
    """`force`: although the Node is Ready."""

    node: str
    kubeconfig: str = ADMIN_CONF
    force: bool = False
    dry_run: bool = False


@dataclasses.dataclass(frozen=True)
class NodeRemoveResult:
    """How it ended. `voters`: how many members etcd has left."""

    changed: int
    ok: int
    seconds: float
    voters: int


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


def init(options: InitOptions, emit: Emit) -> InitResult:
    """Make this machine the first control plane."""
    from kubeboot.fleet import init as running

    wanted = running.Wanted(
        spec=options.spec,
        token=options.token,
        token_ttl=options.token_ttl,
        certificate_key=options.certificate_key,
        skip=options.skip,
        ignored=options.ignore_preflight,
        dry_run=options.dry_run,
        timeout_scale=options.timeout_scale,
    )
    done = running.init(wanted, emit)
    return InitResult(
        changed=done.changed,
        ok=done.ok,
        seconds=done.seconds,
        endpoint=done.endpoint,
        join_command=done.join,
        control_plane_join_command=done.join_control_plane,
        token_expires=done.expires,
        single=options.spec.single,
    )


def join(options: JoinOptions, emit: Emit) -> JoinResult:
    """Make this machine a node of the cluster at host:port."""
    from kubeboot.fleet import join as running

    wanted = running.Wanted(
        host=options.host,
        port=options.port,
        token=options.token,
        ca_pins=options.ca_pins,
        spec=options.spec,
        control_plane=options.control_plane,
        certificate_key=options.certificate_key,
        skip=options.skip,
        ignored=options.ignore_preflight,
        dry_run=options.dry_run,
        timeout_scale=options.timeout_scale,
    )
    done = running.join(wanted, emit)
    return JoinResult(done.changed, done.ok, done.seconds, done.node, done.cluster, done.voters)


def reset(options: ResetOptions, emit: Emit) -> ResetResult:
    """Take back what kubeboot did to this machine."""
    from kubeboot.fleet import reset as running

    done = running.reset(emit, dry=options.dry_run, timeout_scale=options.timeout_scale, force=options.force)
    return ResetResult(changed=done.changed, ok=done.ok, seconds=done.seconds, left=done.left)


def preflight(options: PreflightOptions, emit: Emit) -> PreflightResult:
    """Run every check of this machine."""
    from kubeboot.fleet import here

    findings, checks = here.examine(options.spec, options.ignore_preflight)
    return PreflightResult(findings, checks)


def doctor(options: DoctorOptions) -> Diagnosis:
    """Everything that is wrong with this machine and its cluster."""
    from kubeboot.fleet import doctor

    return doctor.examine(options.spec, options.kubeconfig)


def status(options: StatusOptions) -> Status:
    """How the cluster is, seen from this machine."""
    from kubeboot.fleet import here, status
    from kubeboot.host.local import LocalView

    see = LocalView()
    now = datetime.datetime.now(datetime.UTC)
    return status.look(see, here.api(see, (options.kubeconfig, status.KUBELET_CONF)), now)


def support(options: SupportOptions) -> Packed:
    """Pack what somebody else needs to know of this machine."""
    from kubeboot.fleet import here, status, support
    from kubeboot.host.local import LocalView

    see = LocalView()
    now = datetime.datetime.now(datetime.UTC)
    to = options.to or support.name_for(see.name, now)
    return support.pack(see, here.api(see, (ADMIN_CONF, status.KUBELET_CONF)), now, to)


def kubeconfig(options: KubeconfigOptions) -> Secret[str]:
    """The administrator's kubeconfig."""
    from kubeboot.fleet import access

    return access.kubeconfig(options.path, options.server)


def token_create(options: TokenCreateOptions) -> TokenCreateResult:
    """Make a bootstrap token, and return once the cluster's information is signed with it."""
    from kubeboot.fleet import access

    made = access.create_token(
        access.administrator(options.kubeconfig),
        options.token,
        options.ttl,
        options.description,
        options.usages,
        options.groups,
        join=options.join_command,
        certificate_key=options.certificate_key,
    )
    return TokenCreateResult(made.token, made.expires, made.join)


def certs_upload(options: CertsUploadOptions) -> Secret[str]:
    """Put what control planes share into the cluster, sealed; the key to it."""
    from kubeboot.fleet import access, shared
    from kubeboot.host.local import LocalView
    from kubeboot.pki import sealed

    key = options.key or Secret(sealed.new_key())
    shared.upload(access.administrator(options.kubeconfig), LocalView(), key.reveal())
    return key


def node_remove(options: NodeRemoveOptions, emit: Emit) -> NodeRemoveResult:
    """The cluster forgets a machine."""
    from kubeboot.fleet import remove as running

    wanted = running.Wanted(options.node, options.kubeconfig, options.force, options.dry_run)
    done = running.remove(wanted, emit)
    return NodeRemoveResult(done.changed, done.ok, done.seconds, done.voters)


def token_list(options: TokenListOptions) -> tuple[Token, ...]:
    """Every bootstrap token of the cluster."""
    from kubeboot.fleet import access
    from kubeboot.kube import bootstrap

    return tuple(
        Token(found.token.id, found.expires, found.usages, found.description, found.groups)
        for found in bootstrap.listing(access.administrator(options.kubeconfig))
    )


def token_delete(options: TokenDeleteOptions) -> TokenDeleteResult:
    """Delete bootstrap tokens."""
    from kubeboot.fleet import access
    from kubeboot.kube import bootstrap

    api = access.administrator(options.kubeconfig)
    gone = {name: bootstrap.delete(api, name) for name in options.ids}
    return TokenDeleteResult(
        deleted=tuple(name for name, was in gone.items() if was),
        missing=tuple(name for name, was in gone.items() if not was),
    )
