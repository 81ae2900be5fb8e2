"""One SSH connection to one machine: a few channels, a deadline on everything, sockets through it."""

from __future__ import annotations

import contextlib
import shlex
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, BinaryIO

import paramiko

from kubeboot import errors
from kubeboot.host import channel, login, scripts
from kubeboot.host.commands import ABSENT
from kubeboot.host.process import SEARCH
from kubeboot.host.runner import NOT_FOUND, Result

CHANNELS = 6
"""OpenSSH allows ten sessions a connection (MaxSessions); the user's own need some."""

REKEY_BYTES = 1 << 36
"""As OpenSSH has it for ciphers with blocks of 128 bits (RFC 4344), 64 GiB, and not paramiko's 512 MiB.

While keys are made anew paramiko's reading thread may have to send a channel's CLOSE, waits for the new keys
that only it can receive, and the connection dies after 30 s.
"""

_PAUSE = 0.1
_LOST = (EOFError, OSError, paramiko.SSHException)
_NO_SUDO = "let the user run sudo without a password, or log in as root"
_NO_SESSION = "raise MaxSessions in the machine's sshd_config"
_NO_FORWARD = "set AllowTcpForwarding to local in the machine's sshd_config, or install bash"
_OPEN = b"open\n"
_AGAIN = "check that the machine runs, then run the same command again"


class Lost(errors.Unreachable):
    """The connection went away, or the other side stopped answering. `sent`: perhaps in a command."""

    sent = True


class Connection:
    """Opens when it is first needed, and again after it was lost. Safe to use from several threads."""

    def __init__(self, how: login.Login, sudo: bool = True) -> None:
        self._how = how
        self._fabric = how.connection()
        self._sudo = sudo and self._fabric.user != "root"
        self._forwards = True
        self._opening = threading.Lock()
        self._slots = threading.BoundedSemaphore(CHANNELS)

    @property
    def name(self) -> str:
        """The machine's name."""
        return self._how.name

    @property
    def address(self) -> str:
        """Where it is, as user@host:port."""
        at = self._fabric
        host = f"[{at.host}]" if ":" in at.host else at.host
        return f"{at.user}@{host}:{at.port}"

    def __enter__(self) -> Connection:
        self.transport()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close it, and the gateways' connections."""
        at: Any = self._fabric
        while hasattr(at, "close"):
            at.close()
            at = at.gateway

    def transport(self) -> paramiko.Transport:
        """The open transport; who finds it closed opens it, the others wait."""
        with self._opening:
            if not self._fabric.is_connected:
                self._open()
            found: paramiko.Transport = self._fabric.transport
            return found

    def _open(self) -> None:
        try:
            self._fabric.open()
        except paramiko.BadHostKeyException as err:
            raise login.changed_key(err, self.name, self.address) from err
        except Exception as err:
            raise login.explain(err, self.name, self.address) from err
        transport = self._fabric.transport
        transport.set_keepalive(self._how.deadlines.keepalive)
        transport.packetizer.REKEY_BYTES = REKEY_BYTES
        if isinstance(transport.sock, socket.socket):  # without it each new channel waits 40 ms for an ACK
            transport.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def run(self, argv: tuple[str, ...], stdin: Iterable[bytes], deadline: float) -> Result:
        """Run as root to the end. Status 127: no such command."""
        out, err = bytearray(), bytearray()
        with self._session() as session:
            talk = self._talk(session, out.extend, err.extend)
            status = self._finish(talk, self.quote(argv), stdin, argv, deadline)
        if self._sudo and status in (1, NOT_FOUND) and b"sudo: " in err.partition(b"\n")[0]:
            words = err.decode(errors="replace").splitlines()[0]
            raise errors.Unreachable(f"{self.name}: {words}", hint=_NO_SUDO, reason="KB_SUDO", host=self.name)
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
        command = self.quote(argv) if root else shlex.join(argv)
        with self._session() as session:
            talk = self._talk(session, _into(stdout), _into(stderr))
            chunks = channel.from_file(stdin, session) if stdin is not None else ()
            return self._finish(talk, command, chunks, argv, None)

    def quote(self, argv: tuple[str, ...]) -> str:
        """The one place where argv becomes a command line: root's, with our search path, in the C locale."""
        root = ("sudo", "-n", "--") if self._sudo else ()
        return shlex.join((*root, "env", "LC_ALL=C", f"PATH={SEARCH}", *argv))

    def _talk(
        self, session: paramiko.Channel, out: Callable[[bytes], object], err: Callable[[bytes], object]
    ) -> channel.Talk:
        return channel.Talk(session, out, err, lambda: self._alive(session), self._how.deadlines.idle)

    def _finish(
        self,
        talk: channel.Talk,
        command: str,
        stdin: Iterable[bytes],
        argv: tuple[str, ...],
        deadline: float | None,
    ) -> int:
        try:
            return talk.run(command, stdin, argv, deadline, self.name)
        except _LOST as err:
            if err is talk.failure:
                raise
            raise self._lost(err) from err

    @contextlib.contextmanager
    def _session(self) -> Iterator[paramiko.Channel]:
        with self._slots:
            session = self._open_session()
            try:
                yield session
            finally:
                session.close()

    def _open_session(self) -> paramiko.Channel:
        """A session channel; sshd is given time to notice that others have ended."""
        end = time.monotonic() + self._how.deadlines.answer
        while True:
            transport = self.transport()
            try:
                return channel.ordered(transport.open_session(timeout=self._how.deadlines.answer))
            except _LOST as err:
                if not channel.refused(err, transport):
                    raise self._lost_unsent(transport, err) from err
                if time.monotonic() > end:
                    raise self._refused(err) from err
                time.sleep(_PAUSE)

    def _refused(self, err: Exception) -> errors.Unreachable:
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
        transport = session.get_transport()
        try:
            transport.open_session(timeout=self._how.deadlines.answer).close()
        except _LOST as err:
            if channel.refused(err, transport):
                return
            transport.close()
            silence = self._how.deadlines.idle + self._how.deadlines.answer
            raise self._lost(TimeoutError(f"no answer for {silence:g} s")) from None

    @contextlib.contextmanager
    def holding(self, argv: tuple[str, ...]) -> Iterator[tuple[bytes, paramiko.Channel]]:
        """Keep a command running: its first line, or all its words if it ended, and its channel."""
        with self._session() as session:
            session.settimeout(self._how.deadlines.idle)
            try:
                session.exec_command(self.quote(argv))
                said = b""
                while not said.endswith(b"\n") and (more := session.recv(4096)):
                    said += more
            except _LOST as err:
                raise self._lost(err) from err
            yield said, session

    def dial(self, address: str, port: int, timeout: float) -> socket.socket:
        """A TCP connection made from the machine; OSError where it cannot be.

        Where sshd forbids forwarding, a process on the machine makes it.
        """
        where, source = (address, port), ("127.0.0.1", 0)
        if not self._forwards:
            return self._relayed(address, port, timeout)
        try:
            far = self.transport().open_channel("direct-tcpip", where, source, timeout=timeout)
        except paramiko.ChannelException as err:
            if err.code == paramiko.common.OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED:
                self._forwards = False
                return self._relayed(address, port, timeout)
            raise ConnectionRefusedError(111, f"{address}:{port} from {self.name}: {err.text}") from err
        except (EOFError, paramiko.SSHException) as err:
            raise TimeoutError(110, f"{address}:{port} from {self.name}: {err}") from err
        return channel.as_socket(channel.ordered(far))

    def _relayed(self, address: str, port: int, timeout: float) -> socket.socket:
        session = self._open_session()
        session.settimeout(timeout)
        try:
            session.exec_command(self.quote(scripts.relay(address, port)))
            said = session.recv(len(_OPEN))
        except _LOST as err:
            session.close()
            raise TimeoutError(110, f"{address}:{port} from {self.name}: {err}") from err
        if said == _OPEN:
            return channel.as_socket(session)
        status = session.recv_exit_status()
        session.close()
        if status == ABSENT:
            message = f"{self.name}: sshd forbids forwarding, and without bash there is no other way"
            raise errors.Unreachable(message, hint=_NO_FORWARD, reason="KB_FORWARDING", host=self.name)
        raise ConnectionRefusedError(111, f"{address}:{port} from {self.name}: connect failed")


def _into(file: BinaryIO) -> Callable[[bytes], None]:
    def write(data: bytes) -> None:
        file.write(data)
        file.flush()

    return write
