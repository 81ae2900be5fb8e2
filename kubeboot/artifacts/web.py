"""HTTP requests with one policy: TLS verified, redirects to https only, silence noticed, passwords kept home.

On httpx2: it knows proxies and streams. Imported with the first request, for that takes 0.17 s of CPU.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import os
import ssl
import threading
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

from kubeboot.artifacts import proxies
from kubeboot.artifacts.replies import Reply, origin
from kubeboot.artifacts.trouble import Failure, refused

if TYPE_CHECKING:
    import httpx2

REDIRECTS = 6
CONNECTIONS = 16
_SAFE = ("GET", "HEAD")
_MOVED = frozenset({301, 302, 303, 307, 308})
_ENOUGH = 4
_LITTLE = 1 << 16


Body = bytes | Iterator[bytes] | None


@dataclasses.dataclass(frozen=True)
class Limits:
    """Seconds: for a connection, and between two pieces of an answer."""

    connect: float = 10.0
    silence: float = 30.0


class Web:
    """Requests from any thread. `authority`: a PEM file of more authorities to trust."""

    def __init__(
        self,
        authority: str | None = None,
        limits: Limits | None = None,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        self._authority = authority
        self._limits = limits or Limits()
        self._environ = environ
        self._lock = threading.Lock()
        self._clients: dict[str | None, httpx2.Client] = {}
        self._silent: dict[str, tuple[str, ...]] = {}

    @contextlib.contextmanager
    def open(
        self, url: str, headers: Mapping[str, str] | None = None, method: str = "GET", body: Body = None
    ) -> Iterator[Reply]:
        """One request, its redirects followed. Failure when there is no answer; any status is one."""
        headers, where = headers or {}, url
        with contextlib.ExitStack() as stack:
            for _ in range(REDIRECTS):
                reply = stack.enter_context(self._once(where, headers, method, body))
                location = reply.headers.get("location")
                if reply.status not in _MOVED or not location or method not in _SAFE:
                    yield reply
                    return
                before, where = where, urljoin(where, location)
                headers = _kept(headers, before, where)
                stack.close()
        raise Failure("redirects without end")

    @contextlib.contextmanager
    def _once(self, url: str, headers: Mapping[str, str], method: str, body: Body) -> Iterator[Reply]:
        client = self._client(url)
        asked = {"User-Agent": "kubeboot", "Accept-Encoding": "identity", **headers}
        with contextlib.ExitStack() as stack:
            with _told(url), self._reached(url):
                answer = stack.enter_context(client.stream(method, url, headers=asked, content=body))
            reply = Reply(answer.status_code, answer.headers, url, _chunks(url, answer))
            yield reply
            _finish(reply, method)

    @contextlib.contextmanager
    def _reached(self, url: str) -> Iterator[None]:
        """Who could not be reached a few times in a row is not waited for again."""
        import httpx2

        server = origin(url)
        silent = self._silent.get(server, ())
        if len(silent) >= _ENOUGH:
            raise Failure(f"could not be reached before: {silent[-1]}")
        try:
            yield
        except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.ProxyError) as error:
            self._silent[server] = (*silent, _failure(url, error).why)
            raise
        self._silent[server] = ()

    def _client(self, url: str) -> httpx2.Client:
        import httpx2

        through = proxies.proxy(url, self._environ)
        with self._lock:
            if through not in self._clients:
                self._clients[through] = httpx2.Client(
                    verify=_context(self._authority),
                    proxy=through,
                    trust_env=False,
                    timeout=httpx2.Timeout(self._limits.silence, connect=self._limits.connect),
                    limits=httpx2.Limits(max_connections=CONNECTIONS),
                )
            return self._clients[through]

    def close(self) -> None:
        """Drop every connection."""
        with self._lock:
            for client in self._clients.values():
                client.close()
            self._clients.clear()


def _kept(headers: Mapping[str, str], before: str, after: str) -> Mapping[str, str]:
    """What goes along to where a redirect leads; Failure when nobody should go there."""
    schemes = urlsplit(before).scheme, urlsplit(after).scheme
    if schemes[1] not in ("http", "https") or schemes == ("https", "http"):
        raise Failure(f"{origin(before)} redirects to {after.split('?')[0]}, which is not https")
    if origin(before) == origin(after):
        return headers
    return {name: value for name, value in headers.items() if name.lower() != "authorization"}


def _context(authority: str | None) -> ssl.SSLContext:
    tls = ssl.create_default_context()
    tls.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        if authority is not None:
            tls.load_verify_locations(cafile=authority)
    except (OSError, ssl.SSLError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else "holds no certificate"
        raise refused(f"artifacts.caFile {authority}: {why}") from None
    return tls


def _finish(reply: Reply, method: str) -> None:
    """Take the little that nobody read: a connection whose answer was left half-way is not used again."""
    if method == "HEAD" or (reply.length is not None and reply.length <= _LITTLE):
        with contextlib.suppress(Failure):  # whoever wanted the answer has had it
            collections.deque(reply.chunks, maxlen=0)


def _chunks(url: str, answer: httpx2.Response) -> Iterator[bytes]:
    with _told(url):
        yield from answer.iter_raw()  # as they come: what a larger chunk still waited for would be lost


@contextlib.contextmanager
def _told(url: str) -> Iterator[None]:
    """The library's errors as Failures, in words."""
    import httpx2

    try:
        yield
    except httpx2.InvalidURL:
        raise Failure("is no URL") from None
    except httpx2.TransportError as error:
        raise _failure(url, error) from None


def _failure(url: str, error: httpx2.TransportError) -> Failure:
    import httpx2

    causes = list(_causes(error))
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return Failure(f"has a certificate that is not trusted: {cause.verify_message}")
        if isinstance(cause, ssl.SSLError):
            return Failure(f"does not speak TLS as expected: {cause.reason or cause}")
    if isinstance(error, httpx2.ConnectTimeout | httpx2.PoolTimeout):
        return Failure("does not answer", again=True)
    if isinstance(error, httpx2.TimeoutException):
        return Failure("went silent", again=True)
    if isinstance(error, httpx2.UnsupportedProtocol):
        return Failure(f"`{urlsplit(url).scheme}` is not a way to download")
    said = [cause.strerror for cause in causes if isinstance(cause, OSError) and cause.strerror]
    return Failure((said[-1] if said else str(error) or "hung up").lower(), again=True)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
