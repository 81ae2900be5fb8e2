"""The stand-ins' ports: nobody else's, and free for the server that names them."""

from __future__ import annotations

import socket

import pytest

from tests.fakes import ports


def test_a_kept_port_is_taken_by_who_names_it_and_by_nobody_else() -> None:
    with ports.kept() as port:
        for _ in range(2):  # a server that is started again
            address = ("127.0.0.1", port)
            with socket.create_server(address), socket.create_connection(address) as client:
                assert client.getpeername() == address
        with socket.socket() as another, pytest.raises(OSError, match="in use"):
            another.bind(("127.0.0.1", port))
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port))
