"""The relay where sshd forbids forwarding: real bash, real sockets on loopback."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator

import pytest

from kubeboot.host import streams

WITHIN = 60.0


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(WITHIN)
        yield server


def started(listener: socket.socket) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        streams.relay("127.0.0.1", listener.getsockname()[1]),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )


@pytest.mark.parametrize("turn", range(40))
def test_it_ends_with_a_server_that_says_a_word_and_goes(listener: socket.socket, turn: int) -> None:
    """Forty times: bash may hear of the end before it waits for it."""
    with started(listener) as relay:
        server, _ = listener.accept()
        with server:
            server.sendall(b"bye")
        assert relay.stdout is not None
        assert relay.stdout.read() == b"open\nbye"
        relay.wait(WITHIN)


def test_it_ends_with_its_client(listener: socket.socket) -> None:
    with started(listener) as relay:
        server, _ = listener.accept()
        server.settimeout(WITHIN)
        with server:
            relay.communicate(b"word", timeout=WITHIN)
            assert server.recv(16) == b"word"
            assert server.recv(16) == b""


def test_a_port_where_nobody_listens_is_not_open() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        asked = subprocess.run(
            streams.relay("127.0.0.1", bound.getsockname()[1]),
            capture_output=True,
            timeout=WITHIN,
        )
    assert (asked.returncode, asked.stdout) == (1, b"")
    assert b"refused" in asked.stderr
