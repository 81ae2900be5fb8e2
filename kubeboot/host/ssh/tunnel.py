"""A channel as a socket: what comes out of either end goes into the other."""

from __future__ import annotations

import contextlib
import select
import socket
import threading

import paramiko

from kubeboot.host.ssh.channel import GONE

_CHUNK = 1 << 17


def as_socket(channel: paramiko.Channel) -> socket.socket:
    """One end of a socket pair whose other end is pumped to and from the channel."""
    near, far = socket.socketpair()
    channel.settimeout(None)
    threading.Thread(target=_pump, args=(far, channel), daemon=True).start()
    return near


def _pump(far: socket.socket, channel: paramiko.Channel) -> None:
    """Both ways, each until its end; then close both, also when the connection has gone."""
    outwards = threading.Thread(target=_outwards, args=(far, channel), daemon=True)
    outwards.start()
    with contextlib.suppress(*GONE):
        while data := channel.recv(_CHUNK):
            far.sendall(data)
        far.shutdown(socket.SHUT_WR)
        outwards.join()
    with contextlib.closing(far), contextlib.suppress(*GONE):
        channel.close()


def _outwards(far: socket.socket, channel: paramiko.Channel) -> None:
    with contextlib.suppress(*GONE):
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
