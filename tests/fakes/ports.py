"""Ports that nobody else is given while a server is not there yet, or not there any more."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator


@contextlib.contextmanager
def kept(address: str = "127.0.0.1") -> Iterator[int]:
    """A port of one's own: bound, and not listened on.

    The kernel gives it neither to who asks for any port nor to who connects; a server that names it (with
    SO_REUSEADDR, as sshd and Python's do) gets it. One that is only looked up, and closed, is soon another's.
    """
    with socket.socket() as place:
        place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        place.bind((address, 0))
        yield int(place.getsockname()[1])
