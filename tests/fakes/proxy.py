"""A TCP proxy on loopback that does to connections what networks and machines do to them."""

from __future__ import annotations

import contextlib
import dataclasses
import socket
import struct
import threading
import time
from collections.abc import Iterable, Iterator
from typing import Literal

from tests.fakes import ports

RESET = struct.pack("ii", 1, 0)
"""SO_LINGER: what is closed with it says RST and not FIN."""


@dataclasses.dataclass(frozen=True)
class Fault:
    """What befalls a connection once so many bytes, of both ways together, have passed."""

    what: Literal["cut", "reset", "stall"]
    at: int


class Link:
    """One connection through the proxy. `faults` are still to come, on it or on a later one."""

    def __init__(self, near: socket.socket, far: socket.socket, fault: Fault | None) -> None:
        self._ends = (near, far)
        self._fault = fault
        self._lock = threading.Lock()
        self._passed = 0
        self.stalled = False

    def admit(self, size: int) -> int:
        """How many of these bytes still pass before the fault."""
        with self._lock:
            if self.stalled:
                return 0
            room = size if self._fault is None else max(0, self._fault.at - self._passed)
            self._passed += min(size, room)
            return min(size, room)

    def strike(self) -> None:
        """Let the fault happen."""
        if self._fault is not None and self._fault.what == "stall":
            self.stalled = True
        else:
            self.end(reset=self._fault is not None and self._fault.what == "reset")

    def end(self, *, reset: bool = False) -> None:
        """Close both ends; who reads from them is woken."""
        for each in self._ends:
            with contextlib.suppress(OSError):
                if reset:
                    each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                else:
                    each.shutdown(socket.SHUT_RDWR)
            each.close()


class Proxy:
    """Passes connections from one port on to another. One fault of the list falls to each of them."""

    def __init__(
        self,
        port: int,
        target: int,
        faults: Iterable[Fault] = (),
        *,
        rate: float | None = None,
        delays: Iterable[float] = (),
    ) -> None:
        self.target = target
        self.passed = 0
        self.connections = 0
        self._faults, self._delays = iter(faults), iter(delays)
        self._rate = rate
        self._links: list[Link] = []
        self.port = port
        self._server = socket.create_server(("127.0.0.1", port))
        self._accept()

    def _accept(self) -> None:
        threading.Thread(target=self._serve, args=(self._server,), daemon=True).start()

    def _serve(self, server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = server.accept()
                threading.Thread(target=self._pass_on, args=(near,), daemon=True).start()

    def _pass_on(self, near: socket.socket) -> None:
        self.connections += 1
        time.sleep(next(self._delays, 0.0))
        try:
            far = socket.create_connection(("127.0.0.1", self.target), 5)
        except OSError:
            near.close()
            return
        far.settimeout(None)
        link = Link(near, far, next(self._faults, None))
        self._links.append(link)
        threading.Thread(target=self._pump, args=(far, near, link), daemon=True).start()
        self._pump(near, far, link)

    def _pump(self, source: socket.socket, sink: socket.socket, link: Link) -> None:
        size = 1 << 16 if self._rate is None else 512
        with contextlib.suppress(OSError):
            while data := source.recv(size):
                allowed = link.admit(len(data))
                sink.sendall(data[:allowed])
                self.passed += allowed
                if allowed < len(data):
                    link.strike()
                    if link.stalled:
                        return
                if self._rate is not None:
                    time.sleep(len(data) / self._rate)
        if not link.stalled:
            link.end()

    def down(self) -> None:
        """The machine is off: connections end, and nobody listens."""
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        for link in tuple(self._links):
            link.end()

    def up(self) -> None:
        """It is there again."""
        self._server = socket.create_server(("127.0.0.1", self.port))
        self._accept()


@contextlib.contextmanager
def through(target: int, faults: Iterable[Fault] = (), **more: object) -> Iterator[Proxy]:
    """A proxy that runs within the block."""
    with ports.kept() as port:
        proxy = Proxy(port, target, faults, **more)  # type: ignore[arg-type]
        try:
            yield proxy
        finally:
            with contextlib.suppress(OSError):
                proxy.down()
