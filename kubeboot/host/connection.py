"""One SSH connection to one machine: a few channels, a deadline on everything, sockets through it."""

from __future__ import annotations

import contextlib
import shlex
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from typing import BinaryIO

import paramiko

from kubeboot.host import channel, login, questions, standing, sudo
from kubeboot.host.doorway import Doorway
from kubeboot.host.line import Line
from kubeboot.host.pool import Pool
from kubeboot.host.process import SEARCH
from kubeboot.host.runner import NOT_FOUND, Result
from kubeboot.host.sessions import LOST, Full, Sessions
from kubeboot.host.slots import Slots
from kubeboot.host.standing import Shell

CHANNELS = 6
"""OpenSSH allows ten sessions a connection (MaxSessions); the user's own need some."""

ROOT = "root"


class Connection:
    """Opens when it is first needed, and again after it was lost. Safe to use from several threads."""

    def __init__(self, how: login.Login, sudo: bool = True) -> None:
        self._how = how
        self._line = Line(how)
        self._sudo = sudo and self._line.user != ROOT
        self._refused: questions.SudoPassword | None = None
        self._doorway = Doorway(how, self._line, self._lasting_session)
        self._making = threading.Lock()
        self._slots = Slots(CHANNELS)
        self._sessions = Sessions(how, self._line)
        self._second: Connection | None = None
        self._pool = Pool(1)

    def join(self, pool: Pool) -> None:
        """Be one of a bounded number, before it is used: while it is idle, others may have it closed."""
        self._pool = pool

    @property
    def has_gates(self) -> bool:
        """Whether it leads through jump hosts."""
        return self._line.has_gates

    def pass_gates(self) -> None:
        """Log in to the jump hosts, and not yet to the machine."""
        self._line.pass_gates()

    def staying(self) -> AbstractContextManager[None]:
        """Not to be closed for others meanwhile."""
        return self._pool.using(self)

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
        with self._making:
            if self._second is not None:
                self._second.close()
        self._line.close()

    def run(self, argv: tuple[str, ...], stdin: Iterable[bytes], deadline: float) -> Result:
        """Run as root to the end. `deadline` is stretched as the login's are. Status 127: no such command."""
        deadline *= self._how.deadlines.scale
        line = standing.command(argv, stdin) if isinstance(stdin, tuple) else None
        if line is not None:
            result = self._by_shell(line, argv, deadline)
        else:
            result = self._by_session(argv, stdin, deadline)
        if self._sudo and result.status in (1, NOT_FOUND) and b"sudo: " in result.err.partition(b"\n")[0]:
            said = result.err.decode(errors="replace").splitlines()[0]
            raise sudo.refusal(said, self.name, self._line.user)
        return result

    def _by_session(self, argv: tuple[str, ...], stdin: Iterable[bytes], deadline: float) -> Result:
        out, err = bytearray(), bytearray()
        with self._session() as session:
            talk = self._talk(session, out.extend, err.extend)
            status = self._finish(talk, argv, stdin, deadline, root=True)
        return Result(status, bytes(out), bytes(err))

    def _by_shell(self, line: bytes, argv: tuple[str, ...], deadline: float) -> Result:
        with self._shell() as shell:
            sent, reply = shell.begin(line)
            talk = self._talk(shell.channel, reply.out.extend, reply.err.extend, reply.status)
            try:
                return shell.end(reply, talk.run((sent,), argv, deadline, self.name))
            except LOST as err:
                raise self._sessions.lost(err) from err

    def stream(
        self,
        argv: tuple[str, ...],
        stdin: BinaryIO | None,
        stdout: BinaryIO,
        stderr: BinaryIO,
        root: bool = False,
    ) -> int:
        """Run as the user (or root), pass everything through as it comes, answer the exit status."""
        with self._session() as session:
            talk = self._talk(session, _into(stdout), _into(stderr))
            chunks = channel.from_file(stdin, session) if stdin is not None else ()
            return self._finish(talk, argv, chunks, None, root=root)

    def quote(self, argv: tuple[str, ...]) -> str:
        """The one place where argv becomes a command line: root's, with our search path, in the C locale."""
        whole = ("env", "LC_ALL=C", f"PATH={SEARCH}", *argv)
        if not self._sudo:
            return shlex.join(whole)
        return shlex.join((*sudo.SILENT, *whole) if self._how.sudo_password is None else sudo.asking(whole))

    def _talk(
        self,
        session: paramiko.Channel,
        out: Callable[[bytes], object],
        err: Callable[[bytes], object],
        over: Callable[[], int | None] | None = None,
    ) -> channel.Talk:
        idle = self._how.deadlines.idle
        return channel.Talk(session, out, err, lambda: self._sessions.alive(session), idle, over)

    def _finish(
        self,
        talk: channel.Talk,
        argv: tuple[str, ...],
        stdin: Iterable[bytes],
        deadline: float | None,
        *,
        root: bool,
    ) -> int:
        said = self._begin(talk.channel, argv, root=root)
        try:
            if said:
                talk.err(said)
            return talk.run(stdin, argv, deadline, self.name)
        except LOST as err:
            if err is talk.failure:
                raise
            raise self._sessions.lost(err) from err

    def _begin(self, session: paramiko.Channel, argv: tuple[str, ...], *, root: bool) -> bytes:
        """Start a command; what it has said on stderr while it became root."""
        if root and self._refused is not None:
            raise self._refused
        deadlines, password = self._how.deadlines, self._how.sudo_password
        session.settimeout(deadlines.idle)
        try:
            with channel.closing_after(session.get_transport(), deadlines.idle + deadlines.answer):
                session.exec_command(self.quote(argv) if root else shlex.join(argv))
                if not (root and self._sudo and password is not None):
                    return b""
                return sudo.enter(session, password, self.name, self._line.user, deadlines.idle)
        except LOST as err:
            raise self._sessions.lost(err) from err
        except questions.SudoPassword as err:
            self._refused = err
            raise

    @contextlib.contextmanager
    def _session(self) -> Iterator[paramiko.Channel]:
        """A session channel, for a moment; on a second connection where this one has room for none."""
        with self._slots.one(), self._pool.using(self), contextlib.ExitStack() as beside:
            try:
                session = self._sessions.open()
            except Full:
                yield beside.enter_context(self._beside()._session())
                return
            try:
                yield session
            finally:
                self._sessions.end(session)

    @contextlib.contextmanager
    def _shell(self) -> Iterator[Shell]:
        """A root shell, for one command; who has met an error with it leaves it to nobody."""
        with self._slots.one(), self._pool.using(self), contextlib.ExitStack() as beside:
            try:
                shell = self._sessions.shell() or self._new_shell()
            except Full:
                yield beside.enter_context(self._beside()._shell())
                return
            try:
                yield shell
            except BaseException:
                self._sessions.end(shell.channel)
                raise
            self._sessions.wait(shell)

    def _new_shell(self) -> Shell:
        session = self._sessions.open()
        try:
            return Shell(session, self._begin(session, standing.ARGV, root=True))
        except BaseException:
            self._sessions.end(session)
            raise

    def _beside(self) -> Connection:
        with self._making:
            if self._second is None:
                self._second = Connection(self._how, self._sudo)
            return self._second

    @contextlib.contextmanager
    def holding(self, argv: tuple[str, ...]) -> Iterator[tuple[bytes, paramiko.Channel]]:
        """Keep a command running: its first line, or all its words if it ended, and its channel."""
        with self._session() as session:
            self._sessions.lasts(session)
            self._begin(session, argv, root=True)
            try:
                said = b""
                while not said.endswith(b"\n") and (more := session.recv(4096)):
                    said += more
            except LOST as err:
                raise self._sessions.lost(err) from err
            yield said, session

    def dial(self, address: str, port: int, timeout: float) -> socket.socket:
        """A TCP connection made from the machine; OSError where it cannot be."""
        self._pool.keep(self)
        return self._doorway.dial(address, port, timeout * self._how.deadlines.scale)

    def _lasting_session(self, argv: tuple[str, ...]) -> paramiko.Channel:
        """A command that has begun, and runs until its channel is closed."""
        try:
            session = self._sessions.open()
        except Full:
            return self._beside()._lasting_session(argv)
        self._sessions.lasts(session)
        try:
            self._begin(session, argv, root=True)
        except BaseException:
            session.close()
            raise
        return session


def _into(file: BinaryIO) -> Callable[[bytes], None]:
    def write(data: bytes) -> None:
        file.write(data)
        file.flush()

    return write
