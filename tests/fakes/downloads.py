"""A web server of files on loopback, over TLS, that misbehaves in every way that networks know."""

from __future__ import annotations

import contextlib
import dataclasses
import http.server
import re
import ssl
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from kubeboot.pki import build
from tests.fakes import tls

AUTHORITY = "downloads"


@dataclasses.dataclass(frozen=True)
class Asked:
    """One request: what a test may want to look at."""

    method: str
    path: str
    headers: Mapping[str, str]


Fault = Callable[["Handler", bytes], None]
"""Answers instead of the server; the bytes are those of the file."""


class Site:
    """Files by path, and what happens to the next requests of a path before all is well."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.faults: dict[str, deque[Fault]] = {}
        self.asked: list[Asked] = []
        self.etag: str | None = '"v1"'
        self.over = threading.Event()

    def put(self, path: str, data: bytes, *faults: Fault) -> None:
        self.files[path] = data
        self.faults[path] = deque(faults)

    def of(self, path: str) -> list[Asked]:
        """The requests for one path."""
        return [each for each in self.asked if each.path == path]


class Handler(http.server.BaseHTTPRequestHandler):
    """One connection."""

    site: Site
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = 5

    def do_GET(self) -> None:
        self.site.asked.append(
            Asked(self.command, self.path, {k.lower(): v for k, v in self.headers.items()})
        )
        path = self.path.split("?")[0]
        data = self.site.files.get(path)
        faults = self.site.faults.get(path)
        if data is None:
            self.reply(404, b"no such file")
        elif faults:
            faults.popleft()(self, data)
        else:
            self.serve(data)

    do_HEAD = do_GET

    def serve(self, data: bytes) -> None:
        """As a good server does, ranges and If-Range included."""
        begin = self.begin(data)
        if begin is None:
            self.reply(200, data, self.validators())
        elif begin >= len(data):
            self.reply(416, b"", {"Content-Range": f"bytes */{len(data)}"})
        else:
            where = f"bytes {begin}-{len(data) - 1}/{len(data)}"
            self.reply(206, data[begin:], {"Content-Range": where, **self.validators()})

    def begin(self, data: bytes) -> int | None:
        found = re.match(r"bytes=(\d+)-", self.headers.get("Range", ""))
        condition = self.headers.get("If-Range")
        return int(found[1]) if found and condition in (None, self.site.etag) else None

    def validators(self) -> dict[str, str]:
        return {"ETag": self.site.etag} if self.site.etag else {}

    def reply(
        self, status: int, body: bytes, headers: Mapping[str, str] = {}, length: int | None = None
    ) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": "application/octet-stream", **headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def handle(self) -> None:
        with contextlib.suppress(OSError):
            super().handle()

    def finish(self) -> None:
        with contextlib.suppress(OSError):
            super().finish()

    def log_message(self, *args: Any) -> None:
        """Tests are quiet."""


def cut(count: int) -> Fault:
    """The connection breaks after so many bytes of the answer."""

    def fault(handler: Handler, data: bytes) -> None:
        begin = handler.begin(data)
        rest = data[begin or 0 :]
        where = {"Content-Range": f"bytes {begin}-{len(data) - 1}/{len(data)}"} if begin is not None else {}
        status = 200 if begin is None else 206
        handler.reply(status, rest[:count], {**handler.validators(), **where}, length=len(rest))
        handler.close_connection = True

    return fault


def stall(count: int) -> Fault:
    """Nothing more comes after so many bytes, and nobody hangs up."""

    def fault(handler: Handler, data: bytes) -> None:
        handler.reply(200, data[:count], handler.validators(), length=len(data))
        handler.site.over.wait(5)
        handler.close_connection = True

    return fault


def length(count: int) -> Fault:
    """A Content-Length that is not true; the connection ends with the bytes."""

    def fault(handler: Handler, data: bytes) -> None:
        handler.reply(200, data, handler.validators(), length=count)
        handler.close_connection = True

    return fault


def endless(count: int) -> Fault:
    """No length at all, and so many bytes in chunks."""

    def fault(handler: Handler, data: bytes) -> None:
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        for _ in range(count // 1000):
            handler.wfile.write(b"3e8\r\n" + b"x" * 1000 + b"\r\n")
        handler.wfile.write(b"0\r\n\r\n")

    return fault


def until_closed(count: int | None = None) -> Fault:
    """No length, and the end of the connection is the end of the file, or not."""

    def fault(handler: Handler, data: bytes) -> None:
        handler.send_response(200)
        handler.send_header("Connection", "close")
        handler.end_headers()
        handler.wfile.write(data[:count])
        handler.close_connection = True

    return fault


def answer(status: int, body: bytes = b"", **headers: str) -> Fault:
    """Something else."""
    shown = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda handler, data: handler.reply(status, body, shown)


def other_bytes(handler: Handler, data: bytes) -> None:
    """A file of the same length."""
    handler.reply(200, bytes(reversed(data)), handler.validators())


def whole(handler: Handler, data: bytes) -> None:
    """The whole file, whatever part was asked for."""
    handler.reply(200, data)


def elsewhere(handler: Handler, data: bytes) -> None:
    """A part, but not the one that was asked for."""
    handler.reply(206, data[1:], {"Content-Range": f"bytes 1-{len(data) - 1}/{len(data)}"})


def beyond(handler: Handler, data: bytes) -> None:
    """There is nothing there, whatever was asked for."""
    handler.reply(416, b"<p>range</p>", {"Content-Range": "bytes */7"})


def hang_up(handler: Handler, data: bytes) -> None:
    """No answer at all."""
    handler.close_connection = True


@contextlib.contextmanager
def serving(site: Site, *, secure: bool = True) -> Iterator[str]:
    """The site's URL; with `secure` its certificate is by the authority `downloads`."""
    handler = type("SiteHandler", (Handler,), {"site": site})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    if secure:
        certificate = tls.issued(tls.authority(AUTHORITY), "site", "127.0.0.1", "localhost")
        context: ssl.SSLContext = tls.context(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"{'https' if secure else 'http'}://127.0.0.1:{server.server_address[1]}"
    finally:
        site.over.set()
        server.shutdown()
        thread.join()
        server.server_close()


def authority() -> build.Pair:
    """Who signs the sites' certificates."""
    return tls.authority(AUTHORITY)
