"""Which images go to a machine by way of a file there: those whose connection was lost before.

Containerd reads an image from a stream, which cannot go on where it was cut; a file can, at the price of a
copy on the disk. So the first attempt is a stream, and what an earlier run has left is gone on with.
"""

from __future__ import annotations

import hashlib
import threading

from kubeboot.host.api import HostView
from kubeboot.host.sending import part

PLACE = "/var/lib/kubeboot/images"
"""It goes with the journal's directory."""


class Detours:
    """By one machine's images. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._parts: set[str] | None = None

    def has(self, see: HostView, names: tuple[str, ...]) -> bool:
        """Whether it was cut before; the machine is asked once what earlier runs have left."""
        with self._lock:
            if self._parts is None:
                self._parts = {f"{PLACE}/{name}" for name in see.listdir(PLACE)}
            return places(names)[1] in self._parts

    def add(self, names: tuple[str, ...]) -> None:
        """It was cut now."""
        with self._lock:
            self._parts = {*(self._parts or ()), places(names)[1]}


def places(names: tuple[str, ...]) -> tuple[str, str]:
    """The file that an image would be, and what of it has come so far."""
    key = hashlib.sha256(" ".join(names).encode()).hexdigest()
    return f"{PLACE}/{key[:16]}", f"{PLACE}/{part(key[:16], key)}"
