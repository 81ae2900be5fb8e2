"""One question and its answer on the wire."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubeboot.steps.dns import query as dns_query
from tests.fakes.dns import NAME, answer


def test_the_question_is_rfc_1035s() -> None:
    assert dns_query.question("a.bc", 7) == b"\0\7\1\0\0\1\0\0\0\0\0\0\1a\2bc\0\0\1\0\1"


@given(st.lists(st.ip_addresses(v=4).map(str), max_size=8), st.integers(0, 65535), st.booleans())
def test_every_a_record_is_found(addresses: list[str], number: int, pointer: bool) -> None:
    assert dns_query.addresses(answer(*addresses, number=number, pointer=pointer), number) == tuple(addresses)


def test_other_records_are_passed_over() -> None:
    message = bytearray(answer("10.96.0.1"))
    cname = b"\xc0\x0c" + struct.pack("!2HIH", 5, 1, 30, 2) + b"\xc0\x0c"
    message[6:8] = struct.pack("!H", 2)
    asked = 12 + len(dns_query.question(NAME, 1)[12:])
    assert dns_query.addresses(bytes(message[:asked] + cname + message[asked:]), 1) == ("10.96.0.1",)


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (answer(code=3), "no such name"),
        (answer(code=2), "server failure"),
        (answer(code=9), "error 9"),
        (answer("10.0.0.1", number=2), "another question"),
        (dns_query.question(NAME, 1), "another question"),
        (answer("10.0.0.1")[:-12], "cut off"),
        (b"", "cut off"),
    ],
)
def test_no_is_said_in_words(message: bytes, words: str) -> None:
    with pytest.raises(dns_query.BadAnswer, match=words):
        dns_query.addresses(message, 1)


@given(st.binary(max_size=80))
def test_noise_is_a_bad_answer_and_never_a_crash(noise: bytes) -> None:
    message = struct.pack("!6H", 1, 0x8000, 1, 3, 0, 0) + noise
    with contextlib.suppress(dns_query.BadAnswer):
        assert len(dns_query.addresses(message, 1)) <= 3


def test_an_answer_may_come_in_pieces() -> None:
    ours, theirs = socket.socketpair()
    message = answer("10.96.0.1")
    packed = struct.pack("!H", len(message)) + message

    def serve() -> None:
        with theirs:
            (length,) = struct.unpack("!H", theirs.recv(2))
            assert theirs.recv(length) == dns_query.question(NAME, 1)
            for at in range(0, len(packed), 7):
                theirs.sendall(packed[at : at + 7])

    server = threading.Thread(target=serve)
    server.start()
    with ours:
        assert dns_query.ask(ours, NAME) == ("10.96.0.1",)
    server.join()


def test_a_connection_that_ends_is_a_bad_answer() -> None:
    ours, theirs = socket.socketpair()
    with ours:
        theirs.sendall(b"\0")
        theirs.shutdown(socket.SHUT_WR)
        with pytest.raises(dns_query.BadAnswer, match="closed"):
            dns_query.ask(ours, NAME)
    theirs.close()
