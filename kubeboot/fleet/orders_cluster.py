"""What is asked of a cluster's API, and how it ended."""

from __future__ import annotations

import dataclasses
import datetime

from kubeboot.engine.values import Secret
from kubeboot.fleet.orders import ADMIN_CONF


@dataclasses.dataclass(frozen=True)
class StatusOptions:
    """Which kubeconfig to ask the API with."""

    kubeconfig: str = ADMIN_CONF


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
class KubeconfigOptions:
    """Which file; another server address to write into it, if any."""

    path: str = ADMIN_CONF
    server: str | None = None
