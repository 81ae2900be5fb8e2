"""Commands around a stream: an input made of parts, a connection to an address, a lock while it is held."""

from __future__ import annotations

import base64
import dataclasses
from collections.abc import Iterable

from kubeboot.host.commands import sh
from kubeboot.host.runner import Tell
from kubeboot.host.sending import Download, Part, Slice
from kubeboot.host.shell import runners

LOCK_TAKEN = 75
"""The exit status of the lock script for a lock that someone else holds."""


def consume(part: str, tell: Tell) -> Tell:
    """The same command with the part as its input; the part is removed then."""
    return dataclasses.replace(tell, argv=sh("import", runners.CONSUME, part, *tell.argv))


def put_together(parts: Iterable[Part], argv: tuple[str, ...]) -> tuple[str, ...]:
    """The command, with an input that is made of these parts."""
    words = [word for part in parts for word in _words(part)]
    return sh(
        argv[3] if argv[:2] == ("sh", "-c") else argv[0],
        runners.PUT_TOGETHER,
        str(len(words) // 2),
        *words,
        *argv,
    )


def _words(part: Part) -> tuple[str, str]:
    if isinstance(part, Slice):
        return part.path, f"{part.offset}:{part.size}"
    if isinstance(part, Download):
        return "fetch", " ".join((part.sha256, part.member or "-", *part.urls))
    return "data", base64.b64encode(part).decode()


def relay(address: str, port: int) -> tuple[str, ...]:
    """Connects standard input and output with an address."""
    return sh("relay", runners.RELAY, address, str(port))


def lock(path: str, holder: str, mark: str, silence: float) -> tuple[str, ...]:
    """Prints `held` and holds until stdin ends or is silent for so many seconds; an empty line says nothing.

    Status 75 and the holder's words when it is taken, by another mark.
    """
    return sh("lock", runners.LOCK, path, holder, mark, f"{silence:g}")
