"""One DNS question over TCP and its answer (RFC 1035): enough to know that a name server works."""

from __future__ import annotations

import ipaddress
import socket
import struct

_A, _IN = 1, 1
_RECURSION_DESIRED = 0x0100
_RESPONSE = 0x8000
_CODES = {1: "format error", 2: "server failure", 3: "no such name", 4: "not implemented", 5: "refused"}


class BadAnswer(Exception):
    """What came back says no, or is no answer to this question."""


def ask(connection: socket.socket, name: str, number: int = 1) -> tuple[str, ...]:
    """The IPv4 addresses of a name. BadAnswer says why there are none; OSError as the socket does."""
    query = question(name, number)
    connection.sendall(struct.pack("!H", len(query)) + query)
    (length,) = struct.unpack("!H", _exactly(connection, 2))
    return addresses(_exactly(connection, length), number)


def question(name: str, number: int) -> bytes:
    """A message that asks for a name's A records."""
    labels = [label.encode("ascii") for label in name.rstrip(".").split(".")]
    encoded = b"".join(struct.pack("!B", len(label)) + label for label in labels) + b"\0"
    header = struct.pack("!6H", number, _RECURSION_DESIRED, 1, 0, 0, 0)
    return header + encoded + struct.pack("!2H", _A, _IN)


def addresses(message: bytes, number: int) -> tuple[str, ...]:
    """The A records in the answer to question `number`."""
    try:
        return _addresses(message, number)
    except (struct.error, IndexError) as error:
        raise BadAnswer("the answer is cut off") from error


def _addresses(message: bytes, number: int) -> tuple[str, ...]:
    found, flags, questions, answers = struct.unpack_from("!4H", message)
    if found != number or not flags & _RESPONSE:
        raise BadAnswer("the answer is to another question")
    if code := flags & 0xF:
        raise BadAnswer(_CODES.get(code, f"error {code}"))
    at, records = 12, []
    for _ in range(questions):
        at = _after_name(message, at) + 4
    for _ in range(answers):
        at = _after_name(message, at)
        kind, _, _, size = struct.unpack_from("!2HIH", message, at)
        data = message[at + 10 : at + 10 + size]
        at += 10 + size
        if kind == _A and len(data) == 4:
            records.append(str(ipaddress.IPv4Address(data)))
    return tuple(records)


def _after_name(message: bytes, at: int) -> int:
    """Where a name ends: after a zero byte, or after a pointer to an earlier name."""
    while length := message[at]:
        if length & 0xC0:
            return at + 2
        at += length + 1
    return at + 1


def _exactly(connection: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        chunk = connection.recv(count - len(data))
        if not chunk:
            raise BadAnswer("the connection was closed")
        data += chunk
    return data
