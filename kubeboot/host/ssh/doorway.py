"""TCP connections that a machine makes for us: forwarded by its sshd, else by a process there."""

from __future__ import annotations

import socket
from collections.abc import Callable

import paramiko

from kubeboot import errors
from kubeboot.host import streams
from kubeboot.host.api import Lost
from kubeboot.host.commands import ABSENT
from kubeboot.host.ssh import channel
from kubeboot.host.ssh.line import Line
from kubeboot.host.ssh.login import Login
from kubeboot.host.ssh.tunnel import as_socket

_OPEN = b"open\n"
_LOST = (*channel.GONE, Lost)
_NO_FORWARD = "set AllowTcpForwarding to local in the machine's sshd_config, or install bash"


class Doorway:
    """Leads out of one machine. `start` begins a command there that runs until its channel is closed."""

    def __init__(self, how: Login, line: Line, start: Callable[[tuple[str, ...]], paramiko.Channel]) -> None:
        self._how, self._line, self._start = how, line, start
        self._forwards = True

    def dial(self, address: str, port: int, timeout: float) -> socket.socket:
        """A TCP connection made from the machine; OSError where it cannot be."""
        where, source = (address, port), ("127.0.0.1", 0)
        if not self._forwards:
            return self._relayed(address, port, timeout)
        transport = self._line.transport()
        try:
            with channel.closing_after(transport, timeout + self._how.deadlines.answer):
                far = transport.open_channel("direct-tcpip", where, source, timeout=timeout)
        except paramiko.ChannelException as err:
            if err.code == paramiko.common.OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED:
                self._forwards = False
                return self._relayed(address, port, timeout)
            raise self._refused(address, port, err.text) from err
        except (EOFError, paramiko.SSHException) as err:
            raise self._silent(address, port, err) from err
        return as_socket(channel.ordered(far))

    def _relayed(self, address: str, port: int, timeout: float) -> socket.socket:
        try:
            session = self._start(streams.relay(address, port))
        except _LOST as err:
            raise self._silent(address, port, err) from err
        said = self._answer(session, address, port, timeout)
        if said == _OPEN:
            return as_socket(session)
        status = session.recv_exit_status()
        session.close()
        if status == ABSENT:
            message = f"{self._how.name}: sshd forbids forwarding, and without bash there is no other way"
            raise errors.Unreachable(message, hint=_NO_FORWARD, reason="KB_FORWARDING", host=self._how.name)
        raise self._refused(address, port, "connect failed")

    def _answer(self, session: paramiko.Channel, address: str, port: int, timeout: float) -> bytes:
        """The relay's first word."""
        session.settimeout(timeout)
        try:
            return session.recv(len(_OPEN))
        except _LOST as err:
            session.close()
            raise self._silent(address, port, err) from err

    def _refused(self, address: str, port: int, why: str) -> OSError:
        return ConnectionRefusedError(111, f"{address}:{port} from {self._how.name}: {why}")

    def _silent(self, address: str, port: int, why: object) -> OSError:
        return TimeoutError(110, f"{address}:{port} from {self._how.name}: {why}")
