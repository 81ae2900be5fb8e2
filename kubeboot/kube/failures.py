"""Why there was no answer: what a connection's end comes from, in words, and whether to ask again."""

from __future__ import annotations

import datetime
import ssl
from collections.abc import Iterator

from kubeboot.kube.api import ApiAway, ApiUnavailable

UNTRUSTED = "KB_CERTIFICATE"
"""The reason of an ApiUnavailable whose server has a certificate of another authority or name."""
DATES = "KB_CERTIFICATE_DATES"
"""The reason of one whose certificate is not valid now, by this machine's clock."""
NO_TLS = "KB_TLS"
"""The reason of one whose server speaks something else."""

_WHO = "check that this address is the cluster's API server or load balancer, and the CA its own"
_WHEN = "compare `date -u` there and here; on the machine that is wrong: timedatectl set-ntp true"
_NOT_NOW = frozenset({9, 10})
"""What OpenSSL calls a certificate that is not valid yet, and one that has expired."""
_WHERE = "check that the API server runs, and that the address and port can be reached from here"
_ENDED = (ssl.SSLEOFError, ssl.SSLZeroReturnError)
"""OpenSSL's errors for a connection that was closed; haproxy does so while it knows no server."""


def told(server: str, error: Exception) -> Exception:
    """What is to be raised; the error itself when it is a bug."""
    import httpcore2

    causes = list(_causes(error))
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return _distrusted(server, cause)
        if isinstance(cause, ssl.SSLError) and not isinstance(cause, _ENDED):
            why = f"it does not speak TLS as expected: {cause.reason or cause}"
            return ApiUnavailable(_silent(server, why), hint=_WHO, reason=NO_TLS)
    if any(isinstance(c, TimeoutError | httpcore2.TimeoutException) for c in causes):
        return ApiUnavailable(_silent(server, "timed out"), hint=_WHERE)
    if isinstance(error, OSError | httpcore2.NetworkError | httpcore2.ProtocolError):
        return _gone(server, error, causes)
    return error


def broken(error: BaseException) -> bool:
    """Whether an established connection broke, rather than none coming about."""
    import httpcore2

    return isinstance(error, (ConnectionError, httpcore2.RemoteProtocolError, *_ENDED))


def _gone(server: str, error: Exception, causes: list[BaseException]) -> ApiUnavailable:
    """ApiAway where someone may listen again in a moment; no route, and no such name, stay as they are."""
    import httpcore2

    ended = any(isinstance(c, _ENDED) for c in causes)
    said = [c.strerror for c in causes if isinstance(c, OSError) and c.strerror]
    why = "connection closed" if ended else said[-1] if said else str(error) or "connection closed"
    text = _silent(server, why.lower())
    if ended or any(isinstance(c, ConnectionError | httpcore2.RemoteProtocolError) for c in causes):
        return ApiAway(text, hint=_WHERE, seen=not isinstance(error, httpcore2.ConnectError))
    return ApiUnavailable(text, hint=_WHERE)


def _distrusted(server: str, cause: ssl.SSLCertVerificationError) -> ApiUnavailable:
    """By its dates, or a clock that is wrong; else by its authority or names."""
    if cause.verify_code in _NOT_NOW:
        now = f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d %H:%M} UTC"
        why = f"{cause.verify_message}, by this machine's clock: {now}"
        return ApiUnavailable(_silent(server, why), hint=_WHEN, reason=DATES)
    why = f"its certificate is not trusted: {cause.verify_message}"
    return ApiUnavailable(_silent(server, why), hint=_WHO, reason=UNTRUSTED)


def _silent(server: str, why: str) -> str:
    return f"{server} does not answer: {why}"


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
