"""The administrator's access to the cluster: kubeconfig and bootstrap tokens."""

from __future__ import annotations

import dataclasses
import datetime

from kubeboot import errors, inputs
from kubeboot.engine.values import Secret
from kubeboot.kube import bootstrap, client
from kubeboot.kube.api import Api
from kubeboot.pki import kubeconfig as configs
from kubeboot.pki import tokens

MAX_KUBECONFIG = 1 << 20


@dataclasses.dataclass(frozen=True)
class Made:
    """A new token; `join` is the command for a machine, when it was asked for."""

    token: Secret[str]
    expires: datetime.datetime | None
    join: Secret[str] | None


def administrator(path: str, server: str | None = None) -> Api:
    """The API (or `server`) with the identity of a kubeconfig; Unreachable or ConfigInvalid says why not."""
    return client.from_kubeconfig(_read(path), read=_credential, server=server, known=True)


def _credential(path: str) -> bytes:
    """A certificate, key or token that the kubeconfig names."""
    try:
        return inputs.read(path, MAX_KUBECONFIG)
    except OSError as error:
        raise errors.ConfigInvalid(
            f"{path}, which the kubeconfig names, cannot be read: {(error.strerror or str(error)).lower()}",
            hint="run the same command with sudo",
            reason="KB_CREDENTIALS",
        ) from None


def kubeconfig(path: str, server: str | None) -> Secret[str]:
    """A kubeconfig's text, naming another server if one is given."""
    data = _read(path)
    try:
        found = configs.decode(data)
        if server is None:
            return Secret(data.decode())
    except ValueError as error:
        raise errors.ConfigInvalid(f"{path}: {error}", reason="KB_KUBECONFIG") from None
    return Secret(configs.encode(dataclasses.replace(found, server=server)).decode())


def _read(path: str) -> bytes:
    try:
        return inputs.read(path, MAX_KUBECONFIG)
    except FileNotFoundError:
        raise errors.ConfigInvalid(
            f"there is no {path} on this machine",
            hint="run this on a control plane, or name a kubeconfig with --kubeconfig",
            reason="KB_KUBECONFIG",
        ) from None
    except OSError as error:
        raise errors.ConfigInvalid(
            f"{path} cannot be read: {error.strerror}",
            hint="run the same command with sudo",
            reason="KB_KUBECONFIG",
        ) from None


def create_token(
    api: Api,
    given: Secret[str] | None,
    ttl: datetime.timedelta,
    description: str,
    usages: tuple[str, ...],
    groups: tuple[str, ...],
    *,
    join: bool,
    certificate_key: Secret[str] | None = None,
) -> Made:
    """Put a token into the cluster; returns when machines can join with it."""
    token = tokens.parse(given.reveal()) if given else tokens.generate()
    expires = bootstrap.now() + ttl if ttl else None
    wanted = bootstrap.Token(
        token, expires, description, usages or bootstrap.USAGES, groups or (tokens.GROUP,)
    )
    bootstrap.create(api, wanted)
    if "signing" in wanted.usages:
        bootstrap.await_signed(api, token)
    key = certificate_key.reveal() if certificate_key else ""
    command = Secret(" ".join(bootstrap.join_command(api, token, key))) if join else None
    return Made(Secret(token.text), expires, command)
