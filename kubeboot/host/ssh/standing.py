"""A root shell that stays on its channel: small commands one after another.

Each costs a message there and back, instead of a session, a login shell, sudo and its PAM.
"""

from __future__ import annotations

import base64
import dataclasses
import secrets
import shlex

import paramiko

from kubeboot.host.commands import sh
from kubeboot.host.runner import Result
from kubeboot.host.shell import runners

ARGV = sh("standing", runners.STANDING)
LONGEST = 60_000
"""Bytes of a command with its input; with what is around it, so many are sent without a thread."""
_KILLED = 128
"""A shell's word for a command that a signal ended is above this."""


def command(argv: tuple[str, ...], stdin: tuple[bytes, ...]) -> bytes | None:
    """A command line that has its input in it; None where that would be too long."""
    words = shlex.join(argv).encode(errors="surrogateescape")
    data = base64.b64encode(b"".join(stdin))
    line = b"printf %s " + data + b" | base64 -d | " + words if data else b"exec " + words
    return line if len(line) < LONGEST else None


@dataclasses.dataclass
class Reply:
    """What comes of one command. Both streams end at the mark, and then the status is there."""

    mark: bytes
    out: bytearray = dataclasses.field(default_factory=bytearray)
    err: bytearray = dataclasses.field(default_factory=bytearray)

    def status(self) -> int | None:
        """The command's, once all of its words have come."""
        ends = [_end(stream, self.mark) for stream in (self.out, self.err)]
        return None if None in ends else int(ends[0] or b"0")

    def result(self, status: int) -> Result:
        """EOFError for a command that was killed: a connection that goes may do that."""
        if status > _KILLED:
            raise EOFError("it broke off in the middle of a command")
        return Result(status, *(bytes(stream.partition(self.mark)[0]) for stream in (self.out, self.err)))


def _end(stream: bytearray, mark: bytes) -> bytes | None:
    """What stands between the mark and the end of its line; None before that has come."""
    tail = stream[-len(mark) - 8 :]
    _, found, end = tail.rpartition(mark)
    return bytes(end[:-1]) if found and end.endswith(b"\n") else None


@dataclasses.dataclass
class Shell:
    """One that runs on this channel; one thread at a time may use it. `said` is its first command's too."""

    channel: paramiko.Channel
    said: bytes
    mark: bytes = dataclasses.field(default_factory=lambda: secrets.token_hex(16).encode())
    used: bool = False

    @property
    def usable(self) -> bool:
        """Whether it has not gone with its connection, as far as is known."""
        return not (self.channel.closed or self.channel.eof_received) and self.channel.active

    def begin(self, line: bytes) -> tuple[bytes, Reply]:
        """What it is to be sent for a command, and what the answer will be put together in."""
        text = line + b" #" + self.mark
        sent = b"%d\n%s" % (len(text), text)
        if self.used:
            return sent, Reply(self.mark)
        return self.mark + b"\n" + sent, Reply(self.mark, err=bytearray(self.said))

    def end(self, reply: Reply, status: int) -> Result:
        """The answer. A shell that ended at its first command never was root's: its words are the answer."""
        if self.used and reply.status() is None:
            raise EOFError("it broke off in the middle of a command")
        self.used = True
        return reply.result(status)
