"""What a server answers, and what that means."""

from __future__ import annotations

import dataclasses
import datetime
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from urllib.parse import urlsplit

from kubeboot.artifacts.trouble import Failure

_LATER = frozenset({408, 425, 429, 500, 502, 503, 504})
_LONGEST_WAIT = 120.0


@dataclasses.dataclass(frozen=True)
class Reply:
    """The head of an answer, and its bytes as they come; Failure when they stop coming."""

    status: int
    headers: Mapping[str, str]
    url: str
    chunks: Iterator[bytes] = dataclasses.field(repr=False)

    @property
    def length(self) -> int | None:
        """What the answer says of its own length."""
        said = self.headers.get("content-length", "")
        return int(said) if re.fullmatch(r"[0-9]{1,18}", said) else None

    def read(self, most: int) -> bytes:
        """The whole body; Failure when it is larger than `most`."""
        body = b""
        for chunk in self.chunks:
            body += chunk
            if len(body) > most:
                raise Failure(f"the answer is larger than {most} bytes")
        return body


Open = Callable[[str, Mapping[str, str]], AbstractContextManager[Reply]]
"""A GET request with these headers."""


def origin(url: str) -> str:
    """Scheme, host and port: who is asked, with no path and nobody's password."""
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return f"{parts.scheme}://{host}{f':{parts.port}' if parts.port else ''}"


def problem(reply: Reply) -> Failure | None:
    """What a status that is not a success says."""
    if reply.status < 400:
        return None if reply.status < 300 else Failure(f"answers {_status(reply.status)} without a way on")
    return Failure(
        f"answers {_status(reply.status)}",
        again=reply.status in _LATER,
        after=_seconds(reply.headers.get("retry-after", "")),
    )


def _status(number: int) -> str:
    try:
        return f"{number} {HTTPStatus(number).phrase}"
    except ValueError:
        return str(number)


def _seconds(said: str) -> float | None:
    """Retry-After: a number of seconds, or a date."""
    if re.fullmatch(r"[0-9]+", said.strip()):
        return min(float(said), _LONGEST_WAIT)
    try:
        left = (parsedate_to_datetime(said) - datetime.datetime.now(datetime.UTC)).total_seconds()
    except (TypeError, ValueError, OverflowError):
        return None
    return min(max(left, 0.0), _LONGEST_WAIT)
