"""A command on an SSH channel, from exec to exit status; and a channel as a socket."""

from __future__ import annotations

import contextlib
import dataclasses
import select
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, BinaryIO

import paramiko

from kubeboot.host.runner import timed_out

_GONE = (EOFError, OSError, paramiko.SSHException)
_CHUNK = 1 << 17
_CLOSE = bytes([paramiko.common.MSG_CHANNEL_CLOSE])
_DIRECT = 1 << 16
"""So much input always fits into a channel's first window: no thread is needed to send it."""


class Ordered:
    """A transport as one channel sees it: after the channel's CLOSE nothing more is sent for it.

    paramiko makes a message under the channel's lock and sends it after that: an EOF or data can overtake a
    CLOSE that its own thread answers, and sshd ends the whole connection ("referred to nonexistent channel").
    """

    def __init__(self, transport: paramiko.Transport) -> None:
        self._transport = transport
        self._lock = threading.Lock()
        self._over = False

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - the transport's
        return getattr(self._transport, name)

    def _send_user_message(self, message: paramiko.Message) -> None:
        with self._lock:
            if not self._over:
                self._over = message.asbytes()[:1] == _CLOSE
                self._transport._send_user_message(message)  # type: ignore[attr-defined]


def ordered(channel: paramiko.Channel) -> paramiko.Channel:
    """The channel, with its messages in order."""
    channel.transport = Ordered(channel.get_transport())  # type: ignore[assignment]
    return channel


@contextlib.contextmanager
def closing_after(transport: paramiko.Transport, seconds: float) -> Iterator[None]:
    """End the connection when this takes longer.

    paramiko waits without an end for room in a socket that nobody reads from any more, with a lock that
    everybody needs, and for the answer to an exec.
    """
    timer = threading.Timer(seconds, hang_up, (transport,))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def hang_up(transport: paramiko.Transport) -> None:
    """End the connection, whatever other threads do with it.

    A channel that another thread is just making has no transport yet. paramiko's close stops at it, before it
    closes the socket, whose end tells all channels.
    """
    try:
        transport.close()
    except AttributeError:
        transport.sock.close()


def shut(channel: paramiko.Channel, seconds: float) -> None:
    """Close a channel; its connection too when even that cannot be said."""
    if not channel.closed:
        with closing_after(channel.get_transport(), seconds), contextlib.suppress(*_GONE):
            channel.close()


def refused(err: Exception, transport: paramiko.Transport) -> bool:
    """Whether the other side said no to a channel.

    paramiko keeps one reason for all threads: who comes second to it is told "Unable to open channel".
    """
    nameless = transport.is_active() and "Unable to open channel" in str(err)
    return isinstance(err, paramiko.ChannelException) or nameless


class Bell:
    """Rung when something comes on a channel, or it ends. By it a channel needs no descriptors of its own."""

    def __init__(self, channel: paramiko.Channel) -> None:
        self._rung = threading.Event()
        for buffer in (channel.in_buffer, channel.in_stderr_buffer):
            buffer.set_event(self)  # type: ignore[arg-type]

    def set(self) -> None:
        """By either stream."""
        self._rung.set()

    def clear(self) -> None:
        """One stream is empty: that says nothing of the other."""

    def rest(self) -> None:
        """Before looking: what comes from now on rings it again."""
        self._rung.clear()

    def wait(self, seconds: float) -> None:
        """Until it is rung."""
        self._rung.wait(min(seconds, threading.TIMEOUT_MAX))


@dataclasses.dataclass
class Talk:
    """Sends the input, hands on what comes, and asks whether the other side lives when nothing does.

    `over` knows when a command's answer is whole on a channel that stays open after it, and its status.
    `failure` is the error of the input's source or of a receiver: ours, not the connection's.
    """

    channel: paramiko.Channel
    out: Callable[[bytes], object]
    err: Callable[[bytes], object]
    alive: Callable[[], None]
    idle: float
    over: Callable[[], int | None] | None = None
    moved: float = 0.0
    failure: BaseException | None = None

    def run(self, stdin: Iterable[bytes], argv: tuple[str, ...], deadline: float | None, host: str) -> int:
        """The exit status of a command that has begun. `deadline` None: as long as it takes."""
        self.channel.settimeout(self.idle)
        self.moved = time.monotonic()
        end = self.moved + deadline if deadline is not None else float("inf")
        bell = Bell(self.channel)
        with self._feeding(stdin):
            while not self._drained(bell):
                if self.over is not None and (status := self.over()) is not None:
                    return status
                if time.monotonic() > end:
                    raise timed_out(argv, deadline or 0.0, host)
                self._wait(bell, end)
            if self.failure is not None:
                raise self.failure
            if not self.channel.eof_received:  # sshd may tell the status before the rest of the output
                raise EOFError("it broke off before the output had ended")
            return self._status(argv, end, deadline or 0.0, host)

    def _drained(self, bell: Bell) -> bool:
        """Hand on what is there; True when nothing more will come."""
        bell.rest()
        ended = bool(self.channel.eof_received or self.channel.closed)
        moved = self._pass(self.channel.recv_ready, self.channel.recv, self.out)
        moved = self._pass(self.channel.recv_stderr_ready, self.channel.recv_stderr, self.err) or moved
        if moved:
            self.moved = time.monotonic()
        if ended:
            bell.set()  # nothing else will
        return ended and not moved

    def _pass(
        self, ready: Callable[[], bool], receive: Callable[[int], bytes], give: Callable[[bytes], object]
    ) -> bool:
        moved = False
        while ready():
            data = receive(_CHUNK)
            moved = True
            with self._ours():
                give(data)
        return moved

    def _wait(self, bell: Bell, end: float) -> None:
        until = min(self.moved + self.idle, end)
        bell.wait(max(0.0, until - time.monotonic()))
        if time.monotonic() >= self.moved + self.idle:
            self.alive()
            self.moved = time.monotonic()

    def _status(self, argv: tuple[str, ...], end: float, deadline: float, host: str) -> int:
        """Comes soon after the output has ended, unless the command was killed or the connection went."""
        while not self.channel.status_event.wait(min(self.idle, max(0.0, end - time.monotonic()))):
            if time.monotonic() > end:
                raise timed_out(argv, deadline, host)
            self.alive()
        status = int(self.channel.exit_status)
        if status < 0:
            raise EOFError("it broke off in the middle of a command")
        return status

    @contextlib.contextmanager
    def _feeding(self, stdin: Iterable[bytes]) -> Iterator[None]:
        if isinstance(stdin, tuple) and sum(map(len, stdin)) <= _DIRECT:
            with closing_after(self.channel.get_transport(), 2 * self.idle):
                self._send(stdin)
            yield
            return
        thread = threading.Thread(target=self._send, args=(stdin,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            shut(self.channel, self.idle)
            thread.join()

    def _send(self, chunks: Iterable[bytes]) -> None:
        """An input that fails must not look like one that ends: a last byte too many spoils its sum.

        The command is not killed: it is given the time to notice and to clean up.
        """
        source = iter(chunks)
        with contextlib.suppress(*_GONE):  # the command ended, or the connection: the reader knows which
            while (chunk := self._next(source)) is not None:
                self.channel.sendall(chunk)
                self.moved = time.monotonic()
            if self.failure is not None:
                self.channel.sendall(b"\0")
            if self.over is None:
                self.channel.shutdown_write()

    def _next(self, source: Iterator[bytes]) -> bytes | None:
        try:
            return next(source, None)
        except BaseException as err:
            self.failure = err
            return None

    @contextlib.contextmanager
    def _ours(self) -> Iterator[None]:
        try:
            yield
        except BaseException as err:
            self.failure = err
            raise


def from_file(file: BinaryIO, channel: paramiko.Channel) -> Iterator[bytes]:
    """What comes from a file (a pipe, a terminal), until it ends or the channel does."""
    while not channel.closed:
        ready, _, _ = select.select([file], [], [], 0.1)
        if ready:
            data = file.raw.read(_CHUNK) if hasattr(file, "raw") else file.read(_CHUNK)
            if not data:
                return
            yield data


def as_socket(channel: paramiko.Channel) -> socket.socket:
    """One end of a socket pair whose other end is pumped to and from the channel."""
    near, far = socket.socketpair()
    channel.settimeout(None)
    threading.Thread(target=_pump, args=(far, channel), daemon=True).start()
    return near


def _pump(far: socket.socket, channel: paramiko.Channel) -> None:
    """Both ways, each until its end; then close both."""
    outwards = threading.Thread(target=_outwards, args=(far, channel), daemon=True)
    outwards.start()
    with contextlib.suppress(OSError, EOFError):
        while data := channel.recv(_CHUNK):
            far.sendall(data)
        far.shutdown(socket.SHUT_WR)
        outwards.join()
    channel.close()
    far.close()


def _outwards(far: socket.socket, channel: paramiko.Channel) -> None:
    with contextlib.suppress(OSError, EOFError):
        while data := far.recv(_CHUNK):
            channel.sendall(data)
        if _closed(far):
            channel.close()
        else:
            channel.shutdown_write()


def _closed(far: socket.socket) -> bool:
    """Whether the near end is closed, and not only shut down for writing."""
    if far.fileno() < 0:
        return True
    poll = select.poll()
    poll.register(far, 0)
    return bool(poll.poll(0))
