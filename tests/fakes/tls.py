"""A TLS server on loopback that answers as a test scripts it, and remembers what it was asked."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import functools
import http.server
import json
import ssl
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from kubeboot.pki import build, pem, table


@dataclasses.dataclass(frozen=True)
class Request:
    """What came in. `connection` tells requests of one connection from those of another."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    connection: int


@dataclasses.dataclass(frozen=True)
class Reply:
    """What goes out; `hang_up` instead of an answer closes the connection, `close` does so after it."""

    status: int = 200
    body: bytes = b"{}"
    headers: Mapping[str, str] = dataclasses.field(default_factory=dict)
    hang_up: bool = False
    close: bool = False


Answer = Callable[[Request], Reply]


def reply(data: object, status: int = 200, **headers: str) -> Reply:
    """JSON."""
    return Reply(status, json.dumps(data).encode(), headers)


def failure(status: int, message: str) -> Reply:
    """As the API says no."""
    return reply({"kind": "Status", "apiVersion": "v1", "message": message, "code": status}, status)


@functools.cache
def authority(name: str = "kubernetes") -> build.Pair:
    """An authority; the same name is the same one all over the tests."""
    key = build.new_key()
    return build.Pair(build.authority(name, key, days=1, at=build.now()), pem.encode_key(key))


@functools.cache
def issued(
    signer: build.Pair, common_name: str, *names: str, at: datetime.datetime | None = None
) -> build.Pair:
    """A certificate for a server of these names, or for a client of none."""
    key = build.new_key()
    profile = table.Profile(common_name, usages=table.BOTH, names=names)
    made = build.certificate(profile, key.public_key(), signer, days=1, at=at or build.now())
    return build.Pair(made, pem.encode_key(key))


class _Http(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    """Python's 5 drops whoever connects as a sixth, who asks again after a second."""


class Server:
    """The running server: change `answer` at any time, look at `requests`."""

    def __init__(self, answer: Answer, certificate: build.Pair, clients: bytes | None = None) -> None:
        self.answer = answer
        self.requests: list[Request] = []
        handler = type("Handler", (_Handler,), {"owner": self})
        self._http = _Http(("127.0.0.1", 0), handler)
        self._tls = context(certificate, clients)
        self._http.socket = self._tls.wrap_socket(
            self._http.socket, server_side=True, do_handshake_on_connect=False
        )

    @property
    def port(self) -> int:
        return int(self._http.server_address[1])

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"https://{self.address}"

    @contextlib.contextmanager
    def running(self) -> Iterator[Server]:
        thread = threading.Thread(target=self._http.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield self
        finally:
            self._http.shutdown()
            thread.join()
            self._http.server_close()


@contextlib.contextmanager
def serving(
    answer: Answer,
    *names: str,
    signer: build.Pair | None = None,
    clients: bytes | None = None,
    at: datetime.datetime | None = None,
) -> Iterator[Server]:
    """A server with a certificate for these names, by default for `kubernetes` and its address, made `at`."""
    known = names or ("kubernetes", "127.0.0.1")
    certificate = issued(signer or authority(), "kube-apiserver", *known, at=at)
    with Server(answer, certificate, clients).running() as server:
        yield server


class _Handler(http.server.BaseHTTPRequestHandler):
    owner: Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = 5

    def handle(self) -> None:
        """A client that does not like the certificate, or goes away, is none of the server's business."""
        with contextlib.suppress(OSError):
            super().handle()

    def finish(self) -> None:
        with contextlib.suppress(OSError):
            super().finish()

    def parse_request(self) -> bool:
        parsed = super().parse_request()
        method = self.command or ""
        if parsed:
            setattr(self, f"do_{method}", self._respond)
        return parsed

    def _respond(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        request = Request(self.command, self.path, dict(self.headers), body, self.client_address[1])
        self.owner.requests.append(request)
        self._send(self.owner.answer(request))

    def _send(self, answer: Reply) -> None:
        self.close_connection = answer.hang_up or answer.close
        if answer.hang_up:
            return
        self.send_response(answer.status)
        for name, value in {"Content-Type": "application/json", **answer.headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)

    def log_message(self, *args: Any) -> None:
        """Tests are quiet."""


def context(certificate: build.Pair, clients: bytes | None = None) -> ssl.SSLContext:
    """A server's side of TLS; `clients` is the authority that client certificates must be of."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "server.pem"
        path.write_bytes(certificate.certificate + certificate.key)
        tls.load_cert_chain(path)
    if clients is not None:
        tls.load_verify_locations(cadata=clients.decode())
        tls.verify_mode = ssl.CERT_REQUIRED
    return tls
