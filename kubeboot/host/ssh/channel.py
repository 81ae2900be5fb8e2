"""What paramiko leaves open about a connection's channels: their order, their end, and who refuses one."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

import paramiko

GONE = (EOFError, OSError, paramiko.SSHException)
"""What paramiko says of a connection that has gone."""
_CLOSE = bytes([paramiko.common.MSG_CHANNEL_CLOSE])


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
        with closing_after(channel.get_transport(), seconds), contextlib.suppress(*GONE):
            channel.close()


def refused(err: Exception, transport: paramiko.Transport) -> bool:
    """Whether the other side said no to a channel.

    paramiko keeps one reason for all threads: who comes second to it is told "Unable to open channel".
    """
    nameless = transport.is_active() and "Unable to open channel" in str(err)
    return isinstance(err, paramiko.ChannelException) or nameless
