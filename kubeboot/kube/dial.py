"""How a TCP connection comes about: from here, or from another machine (HostView.dial)."""

from __future__ import annotations

import socket
from collections.abc import Callable

Dialler = Callable[[str, int, float], socket.socket]
"""(address, port, seconds) to a connected socket; OSError or errors.Unreachable when there is none."""


def direct(address: str, port: int, timeout: float) -> socket.socket:
    """From this machine."""
    return socket.create_connection((address, port), timeout)
