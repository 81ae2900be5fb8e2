"""Who uses a machine's sessions and root shells next, and on which connection."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager

import paramiko

from kubeboot.host.slots import Slots
from kubeboot.host.ssh import standing
from kubeboot.host.ssh.line import Line
from kubeboot.host.ssh.login import Login
from kubeboot.host.ssh.pool import Pool
from kubeboot.host.ssh.sessions import Full, Sessions
from kubeboot.host.ssh.standing import Shell
from kubeboot.host.ssh.starting import Starter

CHANNELS = 6
"""OpenSSH allows ten sessions a connection (MaxSessions); the user's own need some."""


class Channels:
    """Those of one connection, and of a second one where sshd allows no more on this one."""

    def __init__(self, how: Login, line: Line, starter: Starter) -> None:
        self._how, self._line, self._starter = how, line, starter
        self._sessions = Sessions(how, line)
        self._slots = Slots(CHANNELS)
        self._pool = Pool(1)
        self._making = threading.Lock()
        self._second: Channels | None = None

    def join(self, pool: Pool) -> None:
        """Be one of a bounded number of connections, before it is used."""
        self._pool = pool

    def staying(self) -> AbstractContextManager[None]:
        """The connection is not to be closed for others meanwhile."""
        return self._pool.using(self)

    def keep(self) -> None:
        """The connection stays open from now on."""
        self._pool.keep(self)

    def close(self) -> None:
        """Close the connections."""
        with self._making:
            if self._second is not None:
                self._second.close()
        self._line.close()

    @contextlib.contextmanager
    def session(self) -> Iterator[paramiko.Channel]:
        """A session, for one command."""
        with self._slots.one(), self.staying(), contextlib.ExitStack() as beside:
            try:
                session = self._sessions.open()
            except Full:
                yield beside.enter_context(self._beside().session())
                return
            try:
                yield session
            finally:
                self._sessions.end(session)

    @contextlib.contextmanager
    def shell(self) -> Iterator[Shell]:
        """A root shell, for one command; who has met an error with it leaves it to nobody."""
        with self._slots.one(), self.staying(), contextlib.ExitStack() as beside:
            try:
                shell = self._sessions.shell() or self._new_shell()
            except Full:
                yield beside.enter_context(self._beside().shell())
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
            return Shell(session, self._starter.begin(session, standing.ARGV, root=True))
        except BaseException:
            self._sessions.end(session)
            raise

    @contextlib.contextmanager
    def holding(self, argv: tuple[str, ...]) -> Iterator[paramiko.Channel]:
        """A command of root's that runs within the block."""
        with self.session() as session:
            self._sessions.lasts(session)
            self._starter.begin(session, argv, root=True)
            yield session

    def lasting(self, argv: tuple[str, ...]) -> paramiko.Channel:
        """A command of root's that has begun, and runs until its channel is closed."""
        try:
            session = self._sessions.open()
        except Full:
            return self._beside().lasting(argv)
        self._sessions.lasts(session)
        try:
            self._starter.begin(session, argv, root=True)
        except BaseException:
            session.close()
            raise
        return session

    def _beside(self) -> Channels:
        with self._making:
            if self._second is None:
                self._second = Channels(self._how, Line(self._how), self._starter)
            return self._second
