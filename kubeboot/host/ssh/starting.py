"""How a command begins on a session: its words as the user, or as root by sudo."""

from __future__ import annotations

import shlex

import paramiko

from kubeboot.host.process import SEARCH
from kubeboot.host.runner import NOT_FOUND, Result
from kubeboot.host.ssh import channel, questions, sudo
from kubeboot.host.ssh.line import Line
from kubeboot.host.ssh.login import Login

ROOT = "root"


class Starter:
    """Starts commands on a machine. A password that sudo has refused is not sent again."""

    def __init__(self, how: Login, line: Line) -> None:
        self._how, self._line = how, line
        self._sudo = line.user != ROOT
        self._refused: questions.SudoPassword | None = None

    def quote(self, argv: tuple[str, ...]) -> str:
        """The one place where argv becomes a command line: root's, with our search path, in the C locale."""
        whole = ("env", "LC_ALL=C", f"PATH={SEARCH}", *argv)
        if not self._sudo:
            return shlex.join(whole)
        return shlex.join((*sudo.SILENT, *whole) if self._how.sudo_password is None else sudo.asking(whole))

    def begin(self, session: paramiko.Channel, argv: tuple[str, ...], *, root: bool) -> bytes:
        """Start a command; what it has said on stderr while it became root."""
        if root and self._refused is not None:
            raise self._refused
        deadlines = self._how.deadlines
        session.settimeout(deadlines.idle)
        try:
            with channel.closing_after(session.get_transport(), deadlines.idle + deadlines.answer):
                session.exec_command(self.quote(argv) if root else shlex.join(argv))
                return self._enter(session) if root else b""
        except channel.GONE as err:
            raise self._line.lost(err) from err

    def _enter(self, session: paramiko.Channel) -> bytes:
        password = self._how.sudo_password
        if not self._sudo or password is None:
            return b""
        try:
            return sudo.enter(session, password, self._how.name, self._line.user, self._how.deadlines.idle)
        except questions.SudoPassword as err:
            self._refused = err
            raise

    def verify(self, result: Result) -> None:
        """Raises Unreachable when these are the words of sudo, which has not let the command begin."""
        first = result.err.partition(b"\n")[0]
        if self._sudo and result.status in (1, NOT_FOUND) and b"sudo: " in first:
            raise sudo.refusal(first.decode(errors="replace").rstrip("\r"), self._how.name, self._line.user)
