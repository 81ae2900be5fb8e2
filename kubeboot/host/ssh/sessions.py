"""The sessions of one connection: sshd allows a few, and one that has ended may count for a moment longer."""

from __future__ import annotations

import time

import paramiko

from kubeboot import errors
from kubeboot.host.api import Lost
from kubeboot.host.ssh import channel, login
from kubeboot.host.ssh.line import Line
from kubeboot.host.ssh.standing import Shell

_PAUSE = 0.1
_NO_SESSION = "raise MaxSessions in the machine's sshd_config"


class Full(Exception):
    """sshd allows no session beside those that stay open: a lock's, a relay's."""


class Sessions:
    """Which are used, which will stay, and which root shells wait for work. Safe from several threads."""

    def __init__(self, how: login.Login, line: Line) -> None:
        self._how, self._line = how, line
        self._open: set[paramiko.Channel] = set()
        self._lasting: set[paramiko.Channel] = set()
        self._shells: list[Shell] = []
        self._begun = 0

    def open(self) -> paramiko.Channel:
        """A new one. sshd is given time to notice that others have ended, and ours to end. Raises Full."""
        answer, begun = self._how.deadlines.answer, self._begun
        end = time.monotonic() + answer
        while True:
            transport = self._line.transport()
            try:
                with channel.closing_after(transport, 2 * answer):
                    session = channel.ordered(transport.open_session(timeout=answer))
                self._open.add(session)
                self._begun += 1
                return session
            except channel.GONE as err:
                if not channel.refused(err, transport):
                    raise self._lost_unsent(transport, err) from err
                self._forget_closed()
                if self._end_a_shell() or self._open or begun != self._begun:  # others have their turn
                    end, begun = time.monotonic() + answer, self._begun
                elif self._lasting:
                    raise Full from err
                elif time.monotonic() > end:
                    raise self._no_session(err) from err
            time.sleep(_PAUSE)

    def lasts(self, session: paramiko.Channel) -> None:
        """Nobody is to wait for its end."""
        self._lasting.add(session)
        self._open.discard(session)

    def end(self, session: paramiko.Channel) -> None:
        """It has served."""
        self._open.discard(session)
        channel.shut(session, self._how.deadlines.answer)

    def shell(self) -> Shell | None:
        """One that waits for work, if any does."""
        while self._shells:
            shell = self._shells.pop()
            if shell.usable:
                self._open.add(shell.channel)
                return shell
        return None

    def wait(self, shell: Shell) -> None:
        """It may serve again, unless its room is needed."""
        self._open.discard(shell.channel)
        self._shells.append(shell)

    def _end_a_shell(self) -> bool:
        shell = self.shell()
        if shell is not None:
            self.end(shell.channel)
        return shell is not None

    def _forget_closed(self) -> None:
        self._lasting = {session for session in tuple(self._lasting) if not session.closed}

    def _no_session(self, err: Exception) -> errors.Unreachable:
        message = f"{self._how.name}: sshd refuses another session: {err}"
        return errors.Unreachable(message, hint=_NO_SESSION, host=self._how.name)

    def _lost_unsent(self, transport: paramiko.Transport, err: Exception) -> Lost:
        silent = transport.is_active()
        channel.hang_up(transport)
        answer = self._how.deadlines.answer
        found = self._line.lost(TimeoutError(f"no answer for {answer:g} s") if silent else err)
        found.sent = False
        return found
