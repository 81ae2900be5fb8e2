"""Requests to registries, with the usual ways to log in: a password, or a token that is asked for."""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Iterator, Mapping
from urllib.parse import urlencode, urlsplit

from kubeboot.artifacts import manifests, replies
from kubeboot.artifacts.credentials import Credentials
from kubeboot.artifacts.replies import Reply
from kubeboot.artifacts.trouble import Failure
from kubeboot.artifacts.web import Body, Web

LARGEST = 4 << 20
"""Bytes of a manifest, or of the answer that holds a token."""
_PARAMETER = re.compile(r'(\w+)="([^"]*)"')


class Access:
    """What registries have granted to a run. Safe to use from several threads."""

    def __init__(self, opener: Web, credentials: Credentials) -> None:
        self._web = opener
        self._credentials = credentials
        self._lock = threading.Lock()
        self._granted: dict[tuple[str, str], str] = {}

    @contextlib.contextmanager
    def open(
        self, url: str, headers: Mapping[str, str], method: str = "GET", body: Body = None
    ) -> Iterator[Reply]:
        """A request to a registry, with whatever it wants to see of us."""
        scope = _scope(url, method)
        granted = self._granted.get((replies.origin(url), scope))
        with contextlib.ExitStack() as stack:
            shown = {"Authorization": granted} if granted else {}
            reply = stack.enter_context(self._web.open(url, {**headers, **shown}, method, body))
            if reply.status == 401:
                challenge = reply.headers.get("www-authenticate", "")
                stack.close()
                shown = {"Authorization": self._log_in(url, scope, challenge)}
                reply = stack.enter_context(self._web.open(url, {**headers, **shown}, method, body))
            yield reply

    def _log_in(self, url: str, scope: str, challenge: str) -> str:
        """The answer to a challenge; Failure when we have none."""
        scheme, _, rest = challenge.partition(" ")
        basic = self._basic(url)
        if scheme.lower() == "bearer":
            header = self._token(url, dict(_PARAMETER.findall(rest)), scope, basic)
        elif scheme.lower() == "basic" and basic is not None:
            header = basic
        else:
            raise Failure("wants credentials, and none are configured for it")
        with self._lock:
            self._granted[replies.origin(url), scope] = header
        return header

    def _basic(self, url: str) -> str | None:
        """A password goes over https only."""
        parts = urlsplit(url)
        host = parts.netloc.rpartition("@")[2]
        return self._credentials.basic(host) if parts.scheme == "https" else None

    def _token(self, url: str, asked: Mapping[str, str], scope: str, basic: str | None) -> str:
        realm = asked.get("realm", "")
        if urlsplit(realm).scheme != "https" and urlsplit(url).scheme == "https":
            raise Failure("asks for a token from a place that is not https")
        words = {"service": asked.get("service", ""), "scope": asked.get("scope") or scope}
        query = urlencode({key: value for key, value in words.items() if value})
        headers = {"Authorization": basic} if basic and realm.startswith("https://") else {}
        with self._web.open(f"{realm}{'&' if '?' in realm else '?'}{query}", headers) as reply:
            if failure := replies.problem(reply):
                raise Failure(f"gives no token: {failure.why}", again=failure.again, after=failure.after)
            with damaged():
                body = manifests.mapping(reply.read(LARGEST))
                return f"Bearer {body.get('token') or body['access_token']}"

    def open_to_all(self, url: str) -> str | None:
        """Where it is for everybody, be it by a token that everybody gets; None where there is no such place.

        Where a registry leads to someone who logged in is a secret for minutes: it holds the signature.
        """
        try:
            with self.open(url, {}) as reply:
                moved = replies.origin(reply.url) != replies.origin(url)
                shown = (replies.origin(url), _scope(url, "GET")) in self._granted
                secret = shown and self._basic(url) is not None
                return reply.url if reply.status == 200 and not secret and (moved or not shown) else None
        except Failure:
            return None


def _scope(url: str, method: str) -> str:
    """What a request needs to be allowed to do, as registries name it."""
    path = urlsplit(url).path.partition("/v2/")[2]
    repository = re.split(r"/(?:manifests|blobs)/", path)[0]
    return f"repository:{repository}:{'pull' if method in ('GET', 'HEAD') else 'pull,push'}"


@contextlib.contextmanager
def damaged() -> Iterator[None]:
    """A document that cannot be read as what it should be is a Failure."""
    try:
        yield
    except manifests.UNREADABLE as error:
        raise Failure(f"does not answer as a registry does: {error}") from None
