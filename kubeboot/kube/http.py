"""HTTPS requests to one server, from many threads: kept-alive connections, one authority, any way to dial.

It stands on httpcore2, the engine of httpx2, because what a cluster needs is what httpx2's own transport does
not take: connections that someone else has dialled, through another machine.
The library is imported with the first request; kube/client.py tells what each choice costs.
"""

from __future__ import annotations

import contextlib
import dataclasses
import email.utils
import threading
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from kubeboot import errors
from kubeboot.kube import dial, failures
from kubeboot.kube.tls import Endpoint, context

if TYPE_CHECKING:
    import httpcore2

CONNECT = 1.0
"""Seconds for a TCP connection, and again for the TLS handshake."""
ANSWER = 10.0
"""Seconds without a byte of the answer."""
CONNECTIONS = 8
"""The most that one session opens."""


@dataclasses.dataclass(frozen=True)
class Response:
    """A status and the whole body."""

    status: int
    body: bytes
    retry_after: float | None = None
    date: float | None = None
    """The server's clock, in whole seconds since the epoch."""


class Session:
    """Requests to one endpoint. Connects with the first of them."""

    def __init__(
        self, endpoint: Endpoint, dialler: dial.Dialler = dial.direct, timeout_scale: float = 1.0
    ) -> None:
        self.endpoint = endpoint
        self._dialler = dialler
        self._scale = timeout_scale
        self._lock = threading.Lock()
        self._pool: httpcore2.ConnectionPool | None = None

    def request(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float = ANSWER,
    ) -> Response:
        """One request and its whole answer; ApiUnavailable when there is none."""
        try:
            return self._twice(method, path, body, {**self._identity(), **(headers or {})}, timeout)
        except errors.KubebootError:
            raise
        except Exception as error:
            raise failures.told(self.endpoint.server, error) from error

    @contextlib.contextmanager
    def streaming(
        self, path: str, body: bytes, headers: Mapping[str, str], timeout: float
    ) -> Iterator[tuple[int, Iterator[bytes]]]:
        """A POST whose answer is read as it comes: status and chunks; ApiUnavailable when it breaks off."""
        try:
            options = self._options({**self._identity(), **headers}, timeout)
            with self._connections().stream(
                "POST", self.endpoint.server + path, content=body, **options
            ) as answer:
                yield answer.status, answer.iter_stream()
        except errors.KubebootError:
            raise
        except Exception as error:
            raise failures.told(self.endpoint.server, error) from error

    def _twice(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str], timeout: float
    ) -> Response:
        """A kept connection may have died unnoticed; what may be sent again is."""
        try:
            return self._send(method, path, body, headers, timeout)
        except Exception as error:
            if method == "POST" or not failures.broken(error):
                raise
        return self._send(method, path, body, headers, timeout)

    def close(self) -> None:
        """Drop every connection."""
        with self._lock:
            if self._pool is not None:
                self._pool.close()
            self._pool = None

    def _identity(self) -> dict[str, str]:
        token = {"Authorization": f"Bearer {self.endpoint.token}"} if self.endpoint.token else {}
        return {"Accept": "application/json", "User-Agent": "kubeboot", **token}

    def _send(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str], timeout: float
    ) -> Response:
        got = self._connections().request(
            method, self.endpoint.server + path, content=body, **self._options(headers, timeout)
        )
        return Response(got.status, got.content, _seconds(got.headers), _date(got.headers))

    def _options(self, headers: Mapping[str, str], timeout: float) -> dict[str, Any]:
        name = {"sni_hostname": self.endpoint.tls_server_name} if self.endpoint.tls_server_name else {}
        answer = timeout * self._scale
        times = {"connect": CONNECT * self._scale, "read": answer, "write": answer, "pool": answer}
        return {"headers": list(headers.items()), "extensions": {"timeout": times, **name}}

    def _connections(self) -> httpcore2.ConnectionPool:
        with self._lock:
            if self._pool is None:
                self._pool = _pool(self.endpoint, self._dialler)
            return self._pool


def _pool(endpoint: Endpoint, dialler: dial.Dialler) -> httpcore2.ConnectionPool:
    import httpcore2

    from kubeboot.kube import backend

    return httpcore2.ConnectionPool(
        ssl_context=context(endpoint),
        max_connections=CONNECTIONS,
        keepalive_expiry=60.0,
        network_backend=backend.Backend(dialler),
    )


def _date(headers: list[tuple[bytes, bytes]]) -> float | None:
    """The Date header."""
    found = next((value for name, value in headers if name.lower() == b"date"), b"").decode(errors="replace")
    try:
        return email.utils.parsedate_to_datetime(found).timestamp()
    except ValueError:
        return None


def _seconds(headers: list[tuple[bytes, bytes]]) -> float | None:
    """The Retry-After header, where it is a number."""
    found = next((value for name, value in headers if name.lower() == b"retry-after"), b"")
    return float(found) if found.isdigit() else None
