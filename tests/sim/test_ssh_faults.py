"""What goes wrong on the way to a machine: each its own clear error, in time, and nothing half done."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kubeboot import errors
from kubeboot.host.api import Lost
from kubeboot.host.runner import Result
from kubeboot.host.ssh.connection import Connection
from kubeboot.host.ssh.host import SshHost
from kubeboot.host.ssh.login import Deadlines, Login
from kubeboot.host.ssh.questions import LockedKey
from tests.fakes import sshd as servers
from tests.fakes.sshd import Sshd
from tests.sim.over_ssh import PATIENT, QUICK, failing, in_thread, reached, until

HASTY = Deadlines(banner=0.5, handshake=0.6)


def test_nobody_listens(sshd: Sshd) -> None:
    sshd.stop()
    with reached(sshd) as host:
        error = failing(host)
    assert error.reason == "KB_UNREACHABLE"
    assert str(error).endswith(f":{sshd.port}: connection refused")


def test_a_name_that_does_not_resolve() -> None:
    host = SshHost(Connection(Login("machine", "", host="no-such-machine.invalid", deadlines=PATIENT)))
    assert "cannot be resolved" in str(failing(host))


def test_a_refused_login(sshd: Sshd) -> None:
    (sshd.folder / "authorized_keys").write_text("")
    with reached(sshd) as host:
        error = failing(host)
    assert error.reason == "KB_AUTH"


def test_an_encrypted_key_wants_its_passphrase(sshd: Sshd) -> None:
    (sshd.folder / "client_key").unlink()
    sshd.make_key("client_key", "geheim")
    (sshd.folder / "authorized_keys").write_text((sshd.folder / "client_key.pub").read_text())
    for wrong in (None, "gemein"):
        with reached(sshd, passphrase=wrong) as host:
            error = failing(host)
        assert isinstance(error, LockedKey)
        assert (error.reason, error.file) == ("KB_AUTH", f"{sshd.folder}/client_key")
    with reached(sshd, passphrase="geheim") as host:
        assert host.read("/etc/hostname")
        assert "geheim" not in repr(host.connection._how)


@contextlib.contextmanager
def listening(answer: Callable[[socket.socket], None]) -> Iterator[Login]:
    """A TCP server that is no SSH server."""
    with socket.create_server(("127.0.0.1", 0)) as server, contextlib.ExitStack() as open_sockets:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    answer(open_sockets.enter_context(server.accept()[0]))

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        port = server.getsockname()[1]
        yield Login("machine", "", host="127.0.0.1", port=port, deadlines=HASTY)
        server.shutdown(socket.SHUT_RDWR)
        thread.join()


@pytest.mark.parametrize(
    "answer",
    [
        lambda near: None,
        lambda near: near.close(),
        lambda near: near.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
    ],
    ids=["silence", "hangs up", "speaks http"],
)
def test_something_else_listens(answer: Callable[[socket.socket], None]) -> None:
    with listening(answer) as login:
        began = time.monotonic()
        failing(SshHost(Connection(login)))
        assert time.monotonic() - began < Deadlines().banner


def test_a_read_survives_a_lost_connection(sshd: Sshd) -> None:
    with reached(sshd) as host:
        assert host.read("/etc/hostname")
        sshd.drop()
        assert host.read("/etc/hostname") == Path("/etc/hostname").read_bytes()


def _started(host: SshHost, folder: Path) -> Callable[[], object]:
    """A long command that has begun; answers a function that waits for its end."""
    marker = folder / "started"
    argv = ("sh", "-c", ': >"$1"; exec sleep 100', "sh", str(marker))
    ended = in_thread(lambda: host.connection.run(argv, (), 100.0))
    until(marker.exists)
    return ended


def test_a_connection_that_breaks_in_a_command_is_lost(sshd: Sshd, tmp_path: Path) -> None:
    with reached(sshd) as host:
        ended = _started(host, tmp_path)
        sshd.drop()
        with pytest.raises(Lost, match="lost the connection"):
            ended()
        assert host.read("/etc/hostname")


def test_a_stalled_machine_is_given_up_in_time(sshd: Sshd) -> None:
    with reached(sshd, QUICK) as host:
        assert host.read("/etc/hostname")
        sshd.freeze()
        began = time.monotonic()
        with pytest.raises(Lost, match="no answer"):
            host.connection.run(("true",), (), 100.0)
        assert time.monotonic() - began < 50


def test_a_stall_in_the_middle_of_a_command_is_noticed_too(sshd: Sshd, tmp_path: Path) -> None:
    with reached(sshd, QUICK) as host:
        ended = _started(host, tmp_path)
        sshd.freeze()
        with pytest.raises(Lost, match="no answer"):
            ended()


def test_silence_of_a_machine_that_lives_is_no_fault(sshd: Sshd) -> None:
    with reached(sshd, QUICK) as host:
        assert host.connection.run(("sh", "-c", "sleep 1.2; echo done"), (), 60.0) == Result(
            0, b"done\n", b""
        )


def test_a_command_has_a_deadline_which_is_stretched_as_all_are(sshd: Sshd) -> None:
    with reached(sshd, dataclasses.replace(PATIENT, scale=3.0)) as host:
        began = time.monotonic()
        with pytest.raises(errors.TimedOut, match=r"did not end within 0\.3 s"):
            host.connection.run(("sleep", "100"), (), 0.1)
        assert time.monotonic() - began < 50
        assert host.read("/etc/hostname")


def test_a_command_that_ends_before_its_input_does(sshd: Sshd) -> None:
    endless = iter(lambda: b"x" * (1 << 16), b"")
    with reached(sshd) as host:
        assert host.connection.run(("false",), endless, 60.0).status == 1


def test_a_command_that_is_not_there(sshd: Sshd) -> None:
    with reached(sshd) as host:
        assert host.connection.run(("no-such-command",), (), 10.0).status == 127


def test_a_status_that_comes_late_is_waited_for(sshd: Sshd, tmp_path: Path) -> None:
    """The output ends long before the command does: its status comes after several times the idle limit."""
    slow = "exec >&- 2>&-; sleep 1.5; exit 7"
    with reached(sshd, QUICK) as host:
        assert host.connection.run(("sh", "-c", slow), (), 60.0).status == 7
        with pytest.raises(errors.TimedOut):
            host.connection.run(("sh", "-c", "exec >&- 2>&-; sleep 9"), (), 0.6)


def test_a_command_that_is_killed_has_no_status(sshd: Sshd) -> None:
    with reached(sshd) as host, pytest.raises(Lost, match="in the middle of a command"):
        host.connection.run(("sh", "-c", "kill -9 $$"), (), 60.0)


def test_one_session_is_enough(tmp_path: Path) -> None:
    """A lock keeps it: there is a second connection for everything else, and threads take turns."""
    with servers.running(tmp_path / "sshd", more="MaxSessions 1") as sshd, reached(sshd) as host:
        with host.lock(str(tmp_path / "lock"), "us"):
            ended = [in_thread(lambda: host.read("/etc/hostname")) for _ in range(8)]
            assert all(end() for end in ended)
        assert host.read("/etc/hostname")
        log = (sshd.folder / "log").read_text()
    assert log.count("Accepted publickey") == 2


def test_no_session_at_all(tmp_path: Path) -> None:
    patient = dataclasses.replace(PATIENT, answer=1.5)
    with servers.running(tmp_path / "sshd", more="MaxSessions 0") as sshd, reached(sshd, patient) as host:
        assert "MaxSessions" in str(failing(host).hint)


def test_many_threads_share_one_connection(sshd: Sshd) -> None:
    """Commands that end before their input does, and more sessions than sshd allows, end no connection."""
    with reached(sshd) as host:
        ended = [in_thread(lambda: [host.read("/etc/hostname") for _ in range(10)]) for _ in range(20)]
        assert {text for call in ended for text in call()} == {Path("/etc/hostname").read_bytes()}
        log = (sshd.folder / "log").read_text()
    assert log.count("Accepted publickey") == 1


@pytest.mark.parametrize("more", ["", "AllowTcpForwarding no"])
def test_an_address_is_reached_through_the_machine(tmp_path: Path, more: str) -> None:
    """By forwarding, and where sshd forbids that by a process on the machine: data, ends, refusals."""
    with servers.running(tmp_path / "sshd", more=more) as sshd, reached(sshd) as host:
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
            with host.dial("127.0.0.1", port) as near:
                far, _ = server.accept()
                near.settimeout(60.0)
                far.settimeout(60.0)
                near.sendall(b"x" * 300_000)
                assert _all_of(far, 300_000) == b"x" * 300_000
                far.sendall(b"answer")
                assert _all_of(near, 6) == b"answer"
                far.close()
                assert near.recv(1) == b""
            with host.dial("127.0.0.1", port) as near:
                far, _ = server.accept()
                far.settimeout(60.0)
            assert far.recv(1) == b""
            far.close()
        with pytest.raises(OSError, match=r"refused|failed"):
            host.dial("127.0.0.1", port)


def _all_of(end: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size and (more := end.recv(size - len(data))):
        data += more
    return data


def test_keys_are_not_made_anew_within_any_bundle(sshd: Sshd) -> None:
    """paramiko's new keys after 512 MiB end a connection whose channels close meanwhile."""
    with reached(sshd) as host:
        assert host.connection._line.transport().packetizer.REKEY_BYTES >= 1 << 35  # type: ignore[attr-defined]


def test_a_persons_command_passes_input_output_and_status_through(sshd: Sshd) -> None:
    out, err = io.BytesIO(), io.BytesIO()
    with reached(sshd) as host, (sshd.folder / "sshd_config").open("rb") as config:
        status = host.run(("sh", "-c", 'cat; echo "$1" >&2; exit 7', "sh", "it's; $HOME"), config, out, err)
    assert (status, err.getvalue()) == (7, b"it's; $HOME\n")
    assert out.getvalue() == (sshd.folder / "sshd_config").read_bytes()


def test_a_reader_that_goes_away_is_not_the_connections_fault(sshd: Sshd) -> None:
    class Closed(io.BytesIO):
        def write(self, data: object) -> int:
            raise BrokenPipeError(32, "Broken pipe")

    with reached(sshd) as host:
        with pytest.raises(BrokenPipeError):
            host.run(("yes",), None, Closed(), io.BytesIO())
        assert host.read("/etc/hostname")
