"""Getting in, again where another attempt may succeed: sshd is busy with logins, or its machine boots."""

from __future__ import annotations

import contextlib
import random
import socket
import threading
import time
from collections.abc import Iterator

import fabric
import paramiko

from kubeboot.host.ssh import refusals
from kubeboot.host.ssh.login import Login, hops

REKEY_BYTES = 1 << 36
"""As OpenSSH has it for ciphers with blocks of 128 bits (RFC 4344), 64 GiB, and not paramiko's 512 MiB.

While keys are made again paramiko's reading thread may have to send a channel's CLOSE, waits for the new keys
that only it can receive, and the connection dies after 30 s.
"""
AWAKE = 1.0
"""Seconds after which a reading thread looks around; with paramiko's 0.1 that is most of a CPU for 256."""
_FIRST, _LONGEST = 0.2, 5.0


def opened(how: Login, at: fabric.Connection, left: float | None) -> paramiko.Transport:
    """The open transport; errors.Unreachable says what the last attempt failed of.

    `left` None: it is the first time. Else the seconds in which the machine may return.
    """
    end = time.monotonic() + (how.deadlines.handshake if left is None else left)
    pauses = _pauses()
    while True:
        try:
            return _attempt(how, at)
        except Exception as err:
            shut(at)
            pause = next(pauses)
            if time.monotonic() + pause > end or not refusals.is_passing(err, was_there=left is not None):
                raise refusals.explain(err, how.name, at) from err
        time.sleep(pause)


def shut(at: fabric.Connection) -> None:
    """Close it and its gateways, also what was not open yet."""
    for hop in hops(at):
        _wake(hop.client.get_transport())
        hop.client.close()


def _wake(transport: paramiko.Transport | None) -> None:
    """End what the reading thread waits for, so that closing does not wait for it."""
    if transport is not None and isinstance(transport.sock, socket.socket):
        with contextlib.suppress(OSError):
            transport.sock.shutdown(socket.SHUT_RDWR)


def _attempt(how: Login, at: fabric.Connection) -> paramiko.Transport:
    with _within(how.deadlines.login, at):
        at.open()
    transport: paramiko.Transport = at.transport
    transport.set_keepalive(how.deadlines.keepalive)
    transport.packetizer.REKEY_BYTES = REKEY_BYTES
    if isinstance(transport.sock, socket.socket):  # without it each new channel waits 40 ms for an ACK
        transport.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        transport.sock.settimeout(AWAKE)
    return transport


@contextlib.contextmanager
def _within(seconds: float, at: fabric.Connection) -> Iterator[None]:
    """paramiko has no deadline for some of a login's parts: close what takes too long."""
    timer = threading.Timer(seconds, shut, (at,))
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _pauses() -> Iterator[float]:
    """Each about twice as long as the one before; others who were refused at the same time come at others."""
    pause = _FIRST
    while True:
        yield pause * random.uniform(0.5, 1.5)  # noqa: S311 - no secret
        pause = min(2 * pause, _LONGEST)
