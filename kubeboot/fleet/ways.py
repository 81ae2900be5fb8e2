"""Ways to the cluster through its control planes: the workstation needs no route of its own."""

from __future__ import annotations

import dataclasses
import socket
from collections.abc import Mapping

from kubeboot import errors
from kubeboot.host.api import HostView


@dataclasses.dataclass(frozen=True)
class Ways:
    """Dials an address from the machine that has it, else from any of the others. Keys are addresses."""

    hosts: Mapping[str, HostView]

    def dial(self, address: str, port: int, timeout: float) -> socket.socket:
        """A socket made on a machine; OSError as from socket.create_connection."""
        order = sorted(self.hosts, key=lambda own: own != address)
        last: OSError | errors.Unreachable = OSError(f"no way to {address}")
        for own in order:
            try:
                return self.hosts[own].dial(address, port, timeout)
            except (OSError, errors.Unreachable) as error:
                last = error
        raise last
