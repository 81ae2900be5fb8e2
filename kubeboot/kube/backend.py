"""httpcore2's view of a Dialler: sockets that someone else has connected, and TLS over them."""

from __future__ import annotations

import select
import socket
import ssl
from collections.abc import Iterable

import httpcore2

from kubeboot.kube.dial import Dialler


class Stream(httpcore2.NetworkStream):
    """One connection."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        self._socket.settimeout(timeout)
        return self._socket.recv(max_bytes)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._socket.settimeout(timeout)
        self._socket.sendall(buffer)

    def close(self) -> None:
        self._socket.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.NetworkStream:
        self._socket.settimeout(timeout)
        try:
            return Stream(ssl_context.wrap_socket(self._socket, server_hostname=server_hostname))
        except (ConnectionError, ssl.SSLEOFError) as error:
            self.close()
            raise httpcore2.ConnectError(str(error)) from error
        except BaseException:
            self.close()
            raise

    def get_extra_info(self, info: str) -> object:
        """`is_readable` tells that an idle connection was closed by the other side."""
        if info == "is_readable":
            return self._is_readable()
        return self._socket if info == "socket" else None

    def _is_readable(self) -> bool:
        if self._socket.fileno() < 0:
            return True
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        return bool(poll.poll(0))


class Backend(httpcore2.NetworkBackend):
    """Connects by a Dialler."""

    def __init__(self, dialler: Dialler) -> None:
        self._dial = dialler

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.NetworkStream:
        try:
            sock = self._dial(host, port, timeout or 0.0)
        except ConnectionError as error:
            raise httpcore2.ConnectError(str(error)) from error
        if sock.family in (socket.AF_INET, socket.AF_INET6):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return Stream(sock)
