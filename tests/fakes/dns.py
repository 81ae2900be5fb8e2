"""A name server's answer on the wire, for the cluster's own name."""

from __future__ import annotations

import ipaddress
import struct

from kubeboot.steps.dns import query as dns_query

NAME = "kubernetes.default.svc.cluster.local"


def answer(*addresses: str, number: int = 1, code: int = 0, pointer: bool = True) -> bytes:
    asked = dns_query.question(NAME, number)[12:]
    header = struct.pack("!6H", number, 0x8500 | code, 1, len(addresses), 0, 0)
    name = b"\xc0\x0c" if pointer else asked[:-4]
    fixed = struct.pack("!2HIH", 1, 1, 30, 4)
    return header + asked + b"".join(name + fixed + ipaddress.IPv4Address(a).packed for a in addresses)
