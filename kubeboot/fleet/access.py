"""The administrator's access to the cluster: kubeconfig and bootstrap tokens."""

from __future__ import annotations

import dataclasses

from kubeboot import errors, inputs
from kubeboot.engine.values import Secret
from kubeboot.fleet.orders_cluster import TokenCreateOptions, TokenCreateResult
from kubeboot.kube import bootstrap, client, identity
from kubeboot.kube.api import Api
from kubeboot.pki import kubeconfig as configs
from kubeboot.pki import tokens
from kubeboot.pki.tokens import BootstrapToken

MAX_KUBECONFIG = 1 << 20


def administrator(path: str, server: str | None = None) -> Api:
    """The API (or `server`) with the identity of a kubeconfig; Unreachable or ConfigInvalid says why not."""
    data = _read(path)
    with identity.naming(path):
        return client.from_kubeconfig(data, read=_credential, server=server, known=True)


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
        raise errors.ConfigInvalid(
            f"{path}: {error}",
            hint="`sudo kubeboot init` on a control plane makes its /etc/kubernetes/admin.conf again",
            reason="KB_KUBECONFIG",
        ) from None
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


def create_token(api: Api, wanted: TokenCreateOptions) -> TokenCreateResult:
    """Put a token into the cluster; returns when machines can join with it."""
    token = tokens.parse(wanted.token.reveal()) if wanted.token else tokens.generate()
    expires = bootstrap.now() + wanted.ttl if wanted.ttl else None
    usages, groups = wanted.usages or bootstrap.USAGES, wanted.groups or (tokens.GROUP,)
    bootstrap.create(api, bootstrap.Token(token, expires, wanted.description, usages, groups))
    if "signing" in usages:
        bootstrap.await_signed(api, token)
    return TokenCreateResult(Secret(token.text), expires, _join_command(api, token, wanted))


def _join_command(api: Api, token: BootstrapToken, wanted: TokenCreateOptions) -> Secret[str] | None:
    if not wanted.join_command:
        return None
    key = wanted.certificate_key.reveal() if wanted.certificate_key else ""
    return Secret(" ".join(bootstrap.join_command(api, token, key)))
