"""Downloads that end before they are complete, because nobody waits for them any more."""

from __future__ import annotations

import contextlib
import dataclasses
import threading
from collections.abc import Iterator, Mapping

from kubeboot.artifacts.replies import Open, Reply
from kubeboot.artifacts.trouble import Failure


def until(over: threading.Event, opener: Open) -> Open:
    """Requests whose answers end with a Failure once it is over; after that there are no more."""

    @contextlib.contextmanager
    def ending(url: str, headers: Mapping[str, str]) -> Iterator[Reply]:
        _go_on(over)
        with opener(url, headers) as reply:
            yield dataclasses.replace(reply, chunks=_wanted(over, reply.chunks))

    return ending


def _wanted(over: threading.Event, chunks: Iterator[bytes]) -> Iterator[bytes]:
    for chunk in chunks:
        _go_on(over)
        yield chunk


def _go_on(over: threading.Event) -> None:
    if over.is_set():
        raise Failure("is not wanted any more")
