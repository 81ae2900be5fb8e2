"""A kubeconfig as an Endpoint: the server and the credentials. ConfigInvalid says what is wrong with it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from kubeboot import errors
from kubeboot.config import names
from kubeboot.kube.tls import Endpoint
from kubeboot.pki import kubeconfig

_ANOTHER = "`kubectl config view` shows what it says; name another one with --kubeconfig"
_FLATTEN = (
    "`sudo kubeboot init` or `join` makes what is kubeboot's own, in /etc/kubernetes, again; of yours "
    "`kubectl config view --minify --flatten --raw` writes one with all that it needs"
)


@contextlib.contextmanager
def naming(path: str) -> Iterator[None]:
    """Whatever is wrong with a kubeconfig is told with its path."""
    try:
        yield
    except errors.ConfigInvalid as error:
        raise errors.ConfigInvalid(f"{path}: {error.message}", hint=error.hint, reason=error.reason) from None


def from_kubeconfig(data: bytes, read: Callable[[str], bytes | None], server: str | None = None) -> Endpoint:
    """The current context's server and credentials, or another `server` with the same credentials.

    `read` is asked for the certificate and key where the kubeconfig names files, as a kubelet's does.
    """
    config = _decode(data)
    if server is None:
        _require_url(config.server)
    if config.tls_server_name and (wrong := names.host(config.tls_server_name)):
        text = f"the kubeconfig's tls-server-name {wrong}"
        raise errors.ConfigInvalid(text, hint=_ANOTHER, reason="KB_KUBECONFIG")

    def file(path: str) -> bytes:
        return (read(path) if path else None) or b""

    return Endpoint(
        server=(server or config.server).rstrip("/"),
        authority=config.authority,
        certificate=config.certificate or file(config.certificate_file),
        key=config.key or file(config.key_file),
        token=_plain(config.token or file(config.token_file).decode(errors="replace").strip()),
        tls_server_name=config.tls_server_name,
    )


def _decode(data: bytes) -> kubeconfig.Kubeconfig:
    try:
        return kubeconfig.decode(data)
    except ValueError as error:
        raise errors.ConfigInvalid(str(error), hint=_FLATTEN, reason="KB_KUBECONFIG") from None


def _require_url(server: str) -> None:
    """ConfigInvalid for what is no address of an API server."""
    try:
        scheme, _, rest = server.partition("://")
        if scheme != "https":
            raise ValueError("does not begin with https://")
        if "@" in rest:
            server = "https://…"
            raise ValueError("names a user, who belongs elsewhere")
        names.split_endpoint(rest.split("/")[0])
    except ValueError as wrong:
        raise errors.ConfigInvalid(
            f"the kubeconfig's server `{server}` {wrong}", hint=_ANOTHER, reason="KB_KUBECONFIG"
        ) from None


def _plain(token: str) -> str:
    """ConfigInvalid for what cannot stand in a header; it never says what it is."""
    if not (token.isascii() and (token.isprintable() or not token)):
        text = "the kubeconfig's token is not a valid one"
        raise errors.ConfigInvalid(text, hint=_ANOTHER, reason="KB_CREDENTIALS")
    return token
