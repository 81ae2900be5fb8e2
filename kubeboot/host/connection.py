"""One SSH connection to one machine: a few channels, a deadline on everything, sockets through it."""

from __future__ import annotations

import contextlib
import shlex
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from typing import BinaryIO

import paramiko

from kubeboot import errors
from kubeboot.host import channel, login, questions, sudo
from kubeboot.host.api import Lost
from kubeboot.host.doorway import Doorway
from kubeboot.host.line import Line
from kubeboot.host.pool import Pool
from kubeboot.host.process import SEARCH
from kubeboot.host.runner import NOT_FOUND, Result

CHANNELS = 6
"""OpenSSH allows ten sessions a connection (MaxSessions); the user's own need some."""

ROOT = "root"
_PAUSE = 0.1
_LOST = (EOFError, OSError, paramiko.SSHException)
_NO_SESSION = "raise MaxSessions in the machine's sshd_config"
_AGAIN = "check that the machine runs, then run the same command again"


class _Full(Exception):
    """sshd allows no session beside those that stay open: a lock's, a relay's."""


class Connection:
    """Opens when it is first needed, and again after it was lost. Safe to use from several threads."""

    def __init__(self, how: login.Login, sudo: bool = True) -> None:
        self._how = how
        self._line = Line(how)
        self._sudo = sudo and self._line.user != ROOT
        self._refused: questions.SudoPassword | None = None
        self._doorway = Doorway(how, self._line, self._lasting_session)
        self._making = threading.Lock()
        self._slots = threading.BoundedSemaphore(CHANNELS)
        self._sessions: set[paramiko.Channel] = set()
        self._lasting: set[paramiko.Channel] = set()
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
        out, err = bytearray(), bytearray()
        with self._session() as session:
            talk = self._talk(session, out.extend, err.extend)
            status = self._finish(talk, argv, stdin, deadline * self._how.deadlines.scale, root=True)
        if self._sudo and status in (1, NOT_FOUND) and b"sudo: " in err.partition(b"\n")[0]:
            said = err.decode(errors="replace").splitlines()[0]
            raise sudo.refusal(said, self.name, self._line.user)
        return Result(status, bytes(out), bytes(err))

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
        self, session: paramiko.Channel, out: Callable[[bytes], object], err: Callable[[bytes], object]
    ) -> channel.Talk:
        return channel.Talk(session, out, err, lambda: self._alive(session), self._how.deadlines.idle)

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
        except _LOST as err:
            if err is talk.failure:
                raise
            raise self._lost(err) from err

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
        except _LOST as err:
            raise self._lost(err) from err
        except questions.SudoPassword as err:
            self._refused = err
            raise

    @contextlib.contextmanager
    def _session(self) -> Iterator[paramiko.Channel]:
        """A session channel, for a moment; on a second connection where this one has room for none."""
        with contextlib.ExitStack() as stack:
            stack.enter_context(self._slots)
            stack.enter_context(self._pool.using(self))
            try:
                session = self._open_session()
            except _Full:
                yield stack.enter_context(self._beside()._session())
                return
            self._sessions.add(session)
            try:
                yield session
            finally:
                self._sessions.discard(session)
                channel.shut(session, self._how.deadlines.answer)

    def _open_session(self) -> paramiko.Channel:
        """sshd is given time to notice that other sessions have ended, and ours to end. Raises _Full."""
        answer = self._how.deadlines.answer
        end = time.monotonic() + answer
        while True:
            transport = self._line.transport()
            try:
                with channel.closing_after(transport, 2 * answer):
                    return channel.ordered(transport.open_session(timeout=answer))
            except _LOST as err:
                if not channel.refused(err, transport):
                    raise self._lost_unsent(transport, err) from err
                self._lasting = {each for each in tuple(self._lasting) if not each.closed}
                if self._sessions - self._lasting:
                    end = time.monotonic() + answer
                elif self._lasting:
                    raise _Full from err
                elif time.monotonic() > end:
                    raise self._no_session(err) from err
            time.sleep(_PAUSE)

    def _beside(self) -> Connection:
        with self._making:
            if self._second is None:
                self._second = Connection(self._how, self._sudo)
            return self._second

    def _no_session(self, err: Exception) -> errors.Unreachable:
        message = f"{self.name}: sshd refuses another session: {err}"
        return errors.Unreachable(message, hint=_NO_SESSION, host=self.name)

    def _lost_unsent(self, transport: paramiko.Transport, err: Exception) -> Lost:
        silent = transport.is_active()
        transport.close()
        answer = self._how.deadlines.answer
        lost = self._lost(TimeoutError(f"no answer for {answer:g} s") if silent else err)
        lost.sent = False
        return lost

    def _lost(self, err: Exception) -> Lost:
        why = str(err) or "it was closed"
        return Lost(f"{self.name}: lost the connection to {self.address}: {why}", hint=_AGAIN, host=self.name)

    def _alive(self, session: paramiko.Channel) -> None:
        """Any answer will do. Lost when there is none in time."""
        transport, answer = session.get_transport(), self._how.deadlines.answer
        try:
            with channel.closing_after(transport, answer):
                transport.open_session(timeout=answer).close()
        except _LOST as err:
            if channel.refused(err, transport):
                return
            transport.close()
            silence = self._how.deadlines.idle + answer
            raise self._lost(TimeoutError(f"no answer for {silence:g} s")) from None

    @contextlib.contextmanager
    def holding(self, argv: tuple[str, ...]) -> Iterator[tuple[bytes, paramiko.Channel]]:
        """Keep a command running: its first line, or all its words if it ended, and its channel."""
        with self._session() as session:
            self._lasting.add(session)
            self._begin(session, argv, root=True)
            try:
                said = b""
                while not said.endswith(b"\n") and (more := session.recv(4096)):
                    said += more
            except _LOST as err:
                raise self._lost(err) from err
            yield said, session

    def dial(self, address: str, port: int, timeout: float) -> socket.socket:
        """A TCP connection made from the machine; OSError where it cannot be."""
        self._pool.keep(self)
        return self._doorway.dial(address, port, timeout * self._how.deadlines.scale)

    def _lasting_session(self, argv: tuple[str, ...]) -> paramiko.Channel:
        """A command that has begun, and runs until its channel is closed."""
        try:
            session = self._open_session()
        except _Full:
            return self._beside()._lasting_session(argv)
        self._lasting.add(session)
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
