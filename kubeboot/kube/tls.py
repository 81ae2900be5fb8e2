"""An endpoint, and TLS as it asks for it: how the server proves itself, and how the client does."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import ssl
import tempfile
from collections.abc import Iterator

from kubeboot import errors


@dataclasses.dataclass(frozen=True)
class Endpoint:
    """A server, the authority that it must prove itself by, and the client's identity: PEM, or a token.

    Without an authority (PEM) the system's are trusted.
    `insecure`, for the first look of a join, verifies nothing.
    """

    server: str
    authority: bytes = b""
    certificate: bytes = b""
    key: bytes = dataclasses.field(default=b"", repr=False)
    token: str = dataclasses.field(default="", repr=False)
    tls_server_name: str = ""
    insecure: bool = False


def context(endpoint: Endpoint) -> ssl.SSLContext:
    """Its authority and no other, and its client certificate; ConfigInvalid when they cannot be read."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    tls.minimum_version = ssl.TLSVersion.TLSv1_2
    if endpoint.insecure:
        tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
    try:
        if endpoint.authority:
            tls.load_verify_locations(cadata=endpoint.authority.decode())
        elif not endpoint.insecure:
            tls.load_default_certs()
        if endpoint.certificate:
            with _nameless(endpoint.certificate + b"\n" + endpoint.key) as path:
                tls.load_cert_chain(path)
    except (ssl.SSLError, ValueError):
        raise errors.ConfigInvalid(
            f"the CA or the client certificate and key for {endpoint.server} cannot be read",
            hint="`sudo kubeboot init`, or `join`, on the machine whose kubeconfig this is makes them again",
            reason="KB_CREDENTIALS",
        ) from None
    return tls


@contextlib.contextmanager
def _nameless(data: bytes) -> Iterator[str]:
    """A path to these bytes: in memory where the system can, because OpenSSL takes keys by path only."""
    if hasattr(os, "memfd_create"):
        with open(os.memfd_create("kubeboot"), "wb") as file:  # noqa: PTH123 - a descriptor
            file.write(data)
            file.flush()
            yield f"/proc/self/fd/{file.fileno()}"
    else:
        with tempfile.NamedTemporaryFile() as named:
            named.write(data)
            named.flush()
            yield named.name
