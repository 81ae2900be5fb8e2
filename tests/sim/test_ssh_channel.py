"""A command on a channel of a server that ends as sshd's do not often do."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator

import paramiko
import pytest

from kubeboot.host.ssh.channel import hang_up
from kubeboot.host.ssh.talk import Talk

KEY = paramiko.ECDSAKey.generate()


class Server(paramiko.ServerInterface):
    """Lets everybody in, and ends a command as `end` says."""

    def __init__(self, transport: paramiko.Transport, end: Callable[[paramiko.Channel], None]) -> None:
        self._transport, self._end = transport, end
        self.begun = threading.Event()
        self.over = threading.Event()

    def check_auth_none(self, username: str) -> int:
        return int(paramiko.common.AUTH_SUCCESSFUL)

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return int(paramiko.common.OPEN_SUCCEEDED)

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        threading.Thread(target=self._answer, args=(channel,)).start()
        return True

    def _answer(self, channel: paramiko.Channel) -> None:
        """When the client knows that its command has begun."""
        assert self.begun.wait(60.0)
        channel.send(b"half of it")
        channel.send_exit_status(0)
        self._end(channel)
        self.over.set()


def cut(channel: paramiko.Channel) -> None:
    """The connection goes before the rest of the output comes."""
    channel.get_transport().close()


def silent(channel: paramiko.Channel) -> None:
    """Nothing more is said."""


def whole(channel: paramiko.Channel) -> None:
    channel.close()


@pytest.fixture
def channel(request: pytest.FixtureRequest) -> Iterator[paramiko.Channel]:
    near, far = socket.socketpair()
    server, client = paramiko.Transport(far), paramiko.Transport(near)
    server.add_server_key(KEY)
    serving = Server(server, request.param)
    server.start_server(threading.Event(), serving)  # without an event it waits
    client.start_client()
    client.auth_none("root")
    made = client.open_session()
    made.exec_command("cat a-file")
    serving.begun.set()
    yield made
    assert serving.over.wait(60.0)
    for transport, end in ((client, near), (server, far)):
        transport.close()
        transport.join()
        end.close()


def said(channel: paramiko.Channel) -> tuple[int, bytes]:
    out: list[bytes] = []
    talk = Talk(channel, out.append, out.append, lambda: None, idle=60.0)
    return talk.run((), ("cat", "a-file"), 100.0, "m"), b"".join(out)


@pytest.mark.parametrize("channel", [cut], indirect=True)
def test_half_an_output_is_no_answer_though_its_status_is_good(channel: paramiko.Channel) -> None:
    with pytest.raises(EOFError, match="before the output had ended"):
        said(channel)


@pytest.mark.parametrize("channel", [whole], indirect=True)
def test_an_output_that_has_ended_is_one(channel: paramiko.Channel) -> None:
    assert said(channel) == (0, b"half of it")


@pytest.mark.parametrize("channel", [silent], indirect=True)
def test_a_connection_ends_while_another_thread_makes_a_channel(channel: paramiko.Channel) -> None:
    assert channel.status_event.wait(60.0)  # the server has said all that it will say
    transport = channel.get_transport()
    half_made = paramiko.Channel(7)
    transport._channels.put(7, half_made)  # type: ignore[attr-defined]
    hang_up(transport)
    assert half_made.transport is None
    assert transport.sock.fileno() == -1


@pytest.mark.parametrize("channel", [whole], indirect=True)
def test_an_output_that_had_ended_before_it_was_looked_at_is_whole(
    channel: paramiko.Channel,
) -> None:
    """Nothing wakes who waits for more: that took the whole of the idle limit."""
    assert channel.status_event.wait(60.0)
    while not channel.closed:
        time.sleep(0.001)
    began = time.monotonic()
    assert said(channel) == (0, b"half of it")
    assert time.monotonic() - began < 30.0
