"""A client that stays on its HTTP/2 connection until the other side ends it, as client-go's does.

Neither a timeout nor an error status makes it give a connection up: what leads it away from a server that
hangs is the load balancer, and that is what is measured with it.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import time
from collections.abc import Iterator

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions

NAME = "kubernetes"
"""Every API server's certificate has it."""
_CHUNK = 1 << 16


class Ended(Exception):
    """The other side has ended the connection, or this stream of it."""


class Connection:
    """One TLS connection. Times (`until`) are moments on the monotonic clock; TimeoutError when they pass."""

    def __init__(self, host: str, port: int, tls: ssl.SSLContext, until: float) -> None:
        plain = socket.create_connection((host, port), timeout=_left(until))
        try:
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            plain.settimeout(_left(until))
            self._socket = tls.wrap_socket(plain, server_hostname=NAME)
        except BaseException:
            plain.close()
            raise
        self._authority = f"{host}:{port}"
        self._h2 = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
        self._h2.initiate_connection()

    def close(self) -> None:
        self._socket.close()

    def request(self, method: str, path: str, body: bytes, until: float) -> int:
        """The answer's status."""
        stream = self._h2.get_next_available_stream_id()
        pseudo = {":method": method, ":scheme": "https", ":authority": self._authority, ":path": path}
        headers = {**pseudo, "content-type": "application/json", "content-length": str(len(body))}
        self._h2.send_headers(stream, list(headers.items()))
        self._h2.send_data(stream, body, end_stream=True)
        try:
            self._flush(until)
            return self._status(stream, until)
        except h2.exceptions.ProtocolError as error:
            raise Ended(f"not HTTP/2: {error}") from error
        except TimeoutError:
            self._h2.reset_stream(stream, h2.errors.ErrorCodes.CANCEL)
            raise

    def _status(self, stream: int, until: float) -> int:
        status = 0
        for event in self._events(until):
            if isinstance(event, h2.events.ConnectionTerminated):
                raise Ended("GOAWAY")
            if getattr(event, "stream_id", None) != stream:
                continue
            if isinstance(event, h2.events.ResponseReceived):
                status = int(dict(event.headers)[":status"])
            elif isinstance(event, h2.events.DataReceived):
                self._h2.acknowledge_received_data(event.flow_controlled_length, stream)
            elif isinstance(event, h2.events.StreamReset):
                raise Ended(f"stream reset: {event.error_code}")
            elif isinstance(event, h2.events.StreamEnded):
                return status  # acknowledgements go out with the next request: an answer in time is one
        raise Ended("end of file")

    def _events(self, until: float) -> Iterator[h2.events.Event]:
        while True:
            self._socket.settimeout(_left(until))
            data = self._socket.recv(_CHUNK)
            if not data:
                return
            yield from self._h2.receive_data(data)
            self._flush(until)

    def _flush(self, until: float) -> None:
        self._socket.settimeout(_left(until))
        self._socket.sendall(self._h2.data_to_send())


def context(authority: str, certificate: str, key: str) -> ssl.SSLContext:
    """TLS with HTTP/2 for an administrator; all three are paths."""
    tls = ssl.create_default_context(cafile=authority)
    tls.load_cert_chain(certificate, key)
    tls.set_alpn_protocols(["h2"])
    return tls


@contextlib.contextmanager
def connected(host: str, port: int, tls: ssl.SSLContext, until: float) -> Iterator[Connection]:
    """A connection for one request."""
    connection = Connection(host, port, tls, until)
    try:
        yield connection
    finally:
        connection.close()


def _left(until: float) -> float:
    left = until - time.monotonic()
    if left <= 0:
        raise TimeoutError("timed out")
    return left
