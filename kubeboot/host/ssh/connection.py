"""One SSH connection to one machine: commands with a deadline on everything, and sockets through it."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from typing import BinaryIO

import paramiko

from kubeboot.host.runner import Result
from kubeboot.host.ssh import channel, login, standing, talk
from kubeboot.host.ssh.channels import Channels
from kubeboot.host.ssh.doorway import Doorway
from kubeboot.host.ssh.line import Line
from kubeboot.host.ssh.pool import Pool
from kubeboot.host.ssh.starting import Starter


class Connection:
    """Opens when it is first needed, and again after it was lost. Safe to use from several threads."""

    def __init__(self, how: login.Login) -> None:
        self._how = how
        self._line = Line(how)
        self._starter = Starter(how, self._line)
        self._channels = Channels(how, self._line, self._starter)
        self._doorway = Doorway(how, self._line, self._channels.lasting)

    def join(self, pool: Pool) -> None:
        """Be one of a bounded number, before it is used: while it is idle, others may have it closed."""
        self._channels.join(pool)

    @property
    def has_gates(self) -> bool:
        """Whether it leads through jump hosts."""
        return self._line.has_gates

    def pass_gates(self) -> None:
        """Log in to the jump hosts, and not yet to the machine."""
        self._line.pass_gates()

    def staying(self) -> AbstractContextManager[None]:
        """Not to be closed for others meanwhile."""
        return self._channels.staying()

    @property
    def name(self) -> str:
        """The machine's name."""
        return self._how.name

    @property
    def address(self) -> str:
        """Where it is, as user@host:port."""
        return self._line.address

    @property
    def how(self) -> login.Login:
        """How one gets in."""
        return self._how

    def shown_keys(self) -> tuple[str, ...]:
        """The keys that the machine and its gateways were believed with, as a known-hosts file says it."""
        return self._line.shown_keys()

    @property
    def verified_keys(self) -> tuple[str, ...]:
        """Those of them that were not believed unseen; none before it was open."""
        return self._line.verified_keys

    def __enter__(self) -> Connection:
        self._line.transport()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close it, and the gateways' connections."""
        self._channels.close()

    def run(self, argv: tuple[str, ...], stdin: Iterable[bytes], deadline: float) -> Result:
        """Run as root to the end. `deadline` is stretched as the login's are. Status 127: no such command."""
        deadline *= self._how.deadlines.scale
        line = standing.command(argv, stdin) if isinstance(stdin, tuple) else None
        if line is not None:
            result = self._by_shell(line, argv, deadline)
        else:
            result = self._by_session(argv, stdin, deadline)
        self._starter.verify(result)
        return result

    def _by_session(self, argv: tuple[str, ...], stdin: Iterable[bytes], deadline: float) -> Result:
        out, err = bytearray(), bytearray()
        with self._channels.session() as session:
            exchange = self._talk(session, out.extend, err.extend)
            status = self._finish(exchange, argv, stdin, deadline, root=True)
        return Result(status, bytes(out), bytes(err))

    def _by_shell(self, line: bytes, argv: tuple[str, ...], deadline: float) -> Result:
        with self._channels.shell() as shell:
            sent, reply = shell.begin(line)
            exchange = self._talk(shell.channel, reply.out.extend, reply.err.extend, reply.status)
            try:
                return shell.end(reply, exchange.run((sent,), argv, deadline, self.name))
            except channel.GONE as err:
                raise self._line.lost(err) from err

    def stream(
        self,
        argv: tuple[str, ...],
        stdin: BinaryIO | None,
        stdout: BinaryIO,
        stderr: BinaryIO,
        root: bool = False,
    ) -> int:
        """Run as the user (or root), pass everything through as it comes, answer the exit status."""
        with self._channels.session() as session:
            exchange = self._talk(session, _into(stdout), _into(stderr))
            chunks = talk.from_file(stdin, session) if stdin is not None else ()
            return self._finish(exchange, argv, chunks, None, root=root)

    def _talk(
        self,
        session: paramiko.Channel,
        out: Callable[[bytes], object],
        err: Callable[[bytes], object],
        over: Callable[[], int | None] | None = None,
    ) -> talk.Talk:
        idle = self._how.deadlines.idle
        return talk.Talk(session, out, err, lambda: self._line.alive(session), idle, over)

    def _finish(
        self,
        exchange: talk.Talk,
        argv: tuple[str, ...],
        stdin: Iterable[bytes],
        deadline: float | None,
        *,
        root: bool,
    ) -> int:
        said = self._starter.begin(exchange.channel, argv, root=root)
        try:
            if said:
                exchange.err(said)
            return exchange.run(stdin, argv, deadline, self.name)
        except channel.GONE as err:
            if err is exchange.failure:
                raise
            raise self._line.lost(err) from err

    @contextlib.contextmanager
    def holding(self, argv: tuple[str, ...]) -> Iterator[tuple[bytes, paramiko.Channel]]:
        """Keep a command running: its first line, or all its words if it ended, and its channel."""
        with self._channels.holding(argv) as session:
            try:
                said = b""
                while not said.endswith(b"\n") and (more := session.recv(4096)):
                    said += more
            except channel.GONE as err:
                raise self._line.lost(err) from err
            yield said, session

    def dial(self, address: str, port: int, timeout: float) -> socket.socket:
        """A TCP connection made from the machine; OSError where it cannot be."""
        self._channels.keep()
        return self._doorway.dial(address, port, timeout * self._how.deadlines.scale)


def _into(file: BinaryIO) -> Callable[[bytes], None]:
    def write(data: bytes) -> None:
        file.write(data)
        file.flush()

    return write
