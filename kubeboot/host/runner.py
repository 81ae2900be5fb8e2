"""How a command is asked for and answered: argv in, bytes out.

`Ask` only looks and `Tell` changes something; a view accepts nothing but an Ask. Both are data, made by the
tables in `commands` and `scripts` alone.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from typing import Generic, Protocol, TypeVar

from kubeboot import errors
from kubeboot.host.api import CommandFailed

T = TypeVar("T")

NOT_FOUND = 127
"""The exit status of a shell, and of our runners, for a command that is not installed."""


@dataclasses.dataclass(frozen=True)
class Result:
    """How a command ended."""

    status: int
    out: bytes
    err: bytes


@dataclasses.dataclass(frozen=True)
class Ask(Generic[T]):
    """A command that only looks. `nothing` is the answer where its status or its words say "not there"."""

    argv: tuple[str, ...]
    parse: Callable[[bytes], T]
    nothing: tuple[T, ...] = ()
    statuses: tuple[int, ...] = ()
    words: tuple[bytes, ...] = ()
    stdin: bytes = b""
    deadline: float = 30.0

    def answer(self, result: Result, host: str) -> T:
        """What the result says; CommandFailed when it says nothing about the question."""
        if result.status == 0:
            try:
                return self.parse(result.out)
            except (ValueError, LookupError) as err:
                raise CommandFailed(
                    f"`{title(self.argv)}` gave an unexpected answer: {err}", host=host
                ) from err
        if self.nothing and (result.status in self.statuses or _says(result, self.words)):
            return self.nothing[0]
        raise failed(self.argv, result, host)


@dataclasses.dataclass(frozen=True)
class Tell:
    """A command that changes something. `words` on stderr mean that it was so already.

    `repeatable`: twice is as good as once, and who does not know whether it ran may run it again.
    """

    argv: tuple[str, ...]
    words: tuple[bytes, ...] = ()
    statuses: tuple[int, ...] = ()
    deadline: float = 120.0
    repeatable: bool = True

    def verify(self, result: Result, host: str) -> None:
        """CommandFailed unless it took effect, or had nothing left to do."""
        if result.status != 0 and result.status not in self.statuses and not _says(result, self.words):
            raise failed(self.argv, result, host)


class Runner(Protocol):
    """Runs a command to its end. A machine that does not answer raises errors.Unreachable."""

    def __call__(self, argv: tuple[str, ...], stdin: Iterable[bytes], deadline: float) -> Result:
        """errors.TimedOut after `deadline` seconds; status 127 for a command that is not there."""
        ...


def failed(argv: tuple[str, ...], result: Result, host: str) -> CommandFailed:
    """The error for a command that ended in a way that its caller cannot use."""
    lines = result.err.decode(errors="replace").strip().splitlines() or ["it said nothing"]
    message = f"`{title(argv)}` ended with status {result.status}: {lines[-1].strip()}"
    return CommandFailed(message, host=host, output="\n".join(lines[-20:]))


def timed_out(argv: tuple[str, ...], deadline: float, host: str) -> errors.TimedOut:
    """The error for a command that did not end in time."""
    message = f"`{title(argv)}` did not end within {deadline:g} s"
    return errors.TimedOut(message, host=host, hint="check the machine's load and its disk")


def title(argv: tuple[str, ...]) -> str:
    """A command as a person would name it; of a script its name and arguments."""
    words = argv[3:] if argv[:2] == ("sh", "-c") else argv
    return " ".join(word if len(word) <= 80 else word[:77] + "..." for word in words)


def _says(result: Result, words: tuple[bytes, ...]) -> bool:
    return any(word in result.err for word in words)
