"""What goes wrong on the way to a machine: each its own clear error, in time, and nothing half done."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import io
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kubeboot import errors
from kubeboot.host import commands, held, hostkeys, images, scripts
from kubeboot.host import sudo as become_root
from kubeboot.host.api import Lost
from kubeboot.host.connection import Connection
from kubeboot.host.hostkeys import HostKeys
from kubeboot.host.local import LocalHost
from kubeboot.host.login import Deadlines, Login, hops
from kubeboot.host.questions import LockedKey, UnknownHostKey
from kubeboot.host.runner import Result
from kubeboot.host.sending import part
from kubeboot.host.ssh import SshHost
from kubeboot.inventory.model import pin
from tests.fakes import proxy as proxies
from tests.fakes import sshd as servers
from tests.fakes.proxy import Fault
from tests.fakes.sshd import Sshd

QUICK = Deadlines(connect=2.0, banner=0.5, auth=5.0, idle=0.4, answer=0.4, handshake=0.6, absence=1.0)
PATIENT = Deadlines(connect=5.0, idle=5.0, answer=5.0, handshake=5.0, absence=10.0)


@pytest.fixture
def sshd(tmp_path: Path) -> Iterator[Sshd]:
    with servers.running(tmp_path / "sshd") as server:
        yield server


@contextlib.contextmanager
def reached(server: Sshd, deadlines: Deadlines = PATIENT, **more: object) -> Iterator[SshHost]:
    login = dataclasses.replace(Login(server.name, server.ssh_config, deadlines=deadlines), **more)
    host = SshHost(Connection(login))
    try:
        yield host
    finally:
        host.close()


def failing(host: SshHost) -> errors.Unreachable:
    with pytest.raises(errors.Unreachable) as raised:
        host.read("/etc/hostname")
    assert raised.value.exit_code == 5
    assert raised.value.hint
    assert raised.value.host == host.name
    return raised.value


def test_nobody_listens(sshd: Sshd) -> None:
    sshd.stop()
    with reached(sshd) as host:
        error = failing(host)
    assert error.reason == "KB_UNREACHABLE"
    assert str(sshd.port) in str(error)


def test_a_name_that_does_not_resolve() -> None:
    host = SshHost(Connection(Login("machine", "", host="no-such-machine.invalid", deadlines=PATIENT)))
    assert "cannot be resolved" in str(failing(host))


def test_an_unknown_host_key_is_refused_with_its_fingerprint(sshd: Sshd) -> None:
    (sshd.folder / "known_hosts").write_text("")
    with reached(sshd) as host:
        error = failing(host)
    assert error.reason == "KB_HOST_KEY"
    assert "ssh-ed25519 SHA256:" in str(error)


def test_what_an_unknown_key_is_told_with_makes_it_known(sshd: Sshd, tmp_path: Path) -> None:
    (sshd.folder / "known_hosts").write_text("")
    file = tmp_path / "state" / "known_hosts"
    with reached(sshd) as host:
        error = failing(host)
    assert isinstance(error, UnknownHostKey)
    assert error.known_as == f"[127.0.0.1]:{sshd.port}"
    hostkeys.remember(file, error.line)
    with reached(sshd, known_hosts=(file,)) as host:
        assert host.read("/etc/hostname")
    shown = subprocess.run(
        ["ssh-keygen", "-lf", sshd.folder / "host_key.pub"], capture_output=True, text=True
    )
    assert error.fingerprint.split()[1] in shown.stdout


def test_a_changed_host_key_is_refused_even_by_who_trusts_anybody(sshd: Sshd) -> None:
    (sshd.folder / "known_hosts").write_text(f"[127.0.0.1]:{sshd.port} {other_key(sshd)}\n")
    with reached(sshd, host_keys=HostKeys((sshd.folder / "known_hosts",), any=True)) as host:
        error = failing(host)
    assert error.reason == "KB_HOST_KEY"
    assert str(error).count("SHA256:") == 2


def test_a_key_that_changes_while_we_work_is_refused_by_who_trusts_anybody(sshd: Sshd) -> None:
    with reached(sshd, host_keys=HostKeys(any=True)) as host:
        assert host.read("/etc/hostname")
        sshd.stop()
        sshd.make_key("host_key")
        sshd.start()
        assert failing(host).reason == "KB_HOST_KEY"


@pytest.mark.parametrize("listed", ["", "[127.0.0.1]:{port} {key}\n"])
@pytest.mark.parametrize("names", ["[127.0.0.1]:{port}", "*", "other,[127.*]:?*"])
def test_a_revoked_key_is_refused_wherever_else_it_stands(sshd: Sshd, names: str, listed: str) -> None:
    values = {"port": sshd.port, "key": (sshd.folder / "host_key.pub").read_text().rpartition(" ")[0]}
    known = f"@revoked {names} {{key}}\n{listed}".format(**values)
    (sshd.folder / "known_hosts").write_text(known)
    for pins in ((), (values["key"],)):
        with reached(sshd, pins=pins) as host:
            error = failing(host)
        assert not isinstance(error, UnknownHostKey)
        assert (error.reason, "@revoked" in str(error), "-R" in str(error.hint)) == (
            "KB_HOST_KEY",
            True,
            False,
        )


def host_key(sshd: Sshd) -> str:
    """The server's public key."""
    return " ".join((sshd.folder / "host_key.pub").read_text().split()[:2])


def other_key(sshd: Sshd) -> str:
    """A public key that is not the server's."""
    sshd.make_key("other_key")
    return " ".join((sshd.folder / "other_key.pub").read_text().split()[:2])


@pytest.mark.parametrize("how", ["key", "fingerprint"])
def test_a_pin_is_the_only_key_that_counts(sshd: Sshd, how: str) -> None:
    mine = (sshd.folder / "host_key.pub").read_text()
    (sshd.folder / "known_hosts").write_text("")
    with reached(sshd, pins=(_pin(mine, how),)) as host:
        assert host.read("/etc/hostname")
    sshd.know()
    with reached(sshd, pins=(_pin(other_key(sshd), how),)) as host:
        error = failing(host)
    assert error.reason == "KB_HOST_KEY"
    assert str(error).count("SHA256:") == 2


def test_a_pin_counts_where_the_configuration_wants_no_check(sshd: Sshd) -> None:
    with reached(sshd, host_keys=HostKeys(any=True), pins=(other_key(sshd),)) as host:
        assert failing(host).reason == "KB_HOST_KEY"


def test_a_key_that_was_told_counts_for_whom_no_file_knows(sshd: Sshd) -> None:
    name, mine, other = f"[127.0.0.1]:{sshd.port}", host_key(sshd), other_key(sshd)
    with reached(sshd, told={name: (other,)}) as host:
        assert host.read("/etc/hostname")
    (sshd.folder / "known_hosts").write_text("")
    with reached(sshd, told={name: ("sk-new@example AAAA", mine)}) as host:
        assert host.read("/etc/hostname")
        assert host.connection.verified_keys == (f"{name} {mine}",)
    with reached(sshd, told={name: (other,)}) as host:
        error = failing(host)
    assert not isinstance(error, UnknownHostKey) and str(error).count("SHA256:") == 2
    with reached(sshd, told={"[127.0.0.1]:1": (mine,)}) as host:
        assert isinstance(failing(host), UnknownHostKey)


def test_a_key_that_nobody_compared_is_none_to_tell_others_of(sshd: Sshd) -> None:
    with reached(sshd, host_keys=HostKeys(any=True)) as host:
        assert host.connection.verified_keys == ()
        assert host.connection.shown_keys() and host.connection.verified_keys == ()


def _pin(text: str, how: str) -> str:
    key = hostkeys.public_key(text)
    return pin(text if how == "key" else hostkeys.fingerprint(key))


def test_a_refused_login(sshd: Sshd) -> None:
    (sshd.folder / "authorized_keys").write_text("")
    with reached(sshd) as host:
        error = failing(host)
    assert error.reason == "KB_AUTH"


def test_an_encrypted_key_wants_its_passphrase(sshd: Sshd) -> None:
    (sshd.folder / "client_key").unlink()
    sshd.make_key("client_key", "-N", "geheim")
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
        yield Login("machine", "", host="127.0.0.1", port=port, deadlines=QUICK)
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
        assert time.monotonic() - began < 5


def test_a_read_survives_a_lost_connection(sshd: Sshd) -> None:
    with reached(sshd) as host:
        assert host.read("/etc/hostname")
        sshd.drop()
        assert host.read("/etc/hostname") == Path("/etc/hostname").read_bytes()


def _started(host: SshHost, folder: Path) -> Callable[[], object]:
    """A long command that has begun; answers a function that waits for its end."""
    marker = folder / "started"
    argv = ("sh", "-c", ': >"$1"; exec sleep 100', "sh", str(marker))
    ended = _in_thread(lambda: host.connection.run(argv, (), 100.0))
    _until(marker.exists)
    return ended


def test_a_connection_that_breaks_in_a_command_is_lost(sshd: Sshd, tmp_path: Path) -> None:
    with reached(sshd) as host:
        ended = _started(host, tmp_path)
        sshd.drop()
        with pytest.raises(Lost, match="lost the connection"):
            ended()
        assert host.read("/etc/hostname")


def test_a_truncated_upload_leaves_nothing_and_can_be_repeated(sshd: Sshd, tmp_path: Path) -> None:
    chunks = [bytes([number]) * (1 << 20) for number in range(20)]
    sum = hashlib.sha256(b"".join(chunks)).hexdigest()

    def breaking() -> Iterator[bytes]:
        yield from chunks[:10]
        sshd.drop()
        yield from chunks[10:]

    path = tmp_path / "bin" / "kubelet"
    with reached(sshd) as host:
        with pytest.raises(Lost):
            host.put(str(path), breaking(), sum)
        assert not path.exists()
        host.put(str(path), chunks, sum)
    assert hashlib.sha256(path.read_bytes()).hexdigest() == sum


@pytest.mark.parametrize("left", [b"x" * 1000, b"other bytes" * 1000])
def test_an_upload_goes_on_where_it_was_cut_unless_that_is_something_else(
    sshd: Sshd, tmp_path: Path, left: bytes
) -> None:
    data = b"x" * 200_000
    sum = hashlib.sha256(data).hexdigest()
    path, there = tmp_path / "tool", tmp_path / part("tool", sum)
    there.write_bytes(left)
    with reached(sshd) as host:
        if left[0] != data[0]:
            with pytest.raises(Lost, match="what an earlier upload left"):
                host.put(str(path), (data,), sum)
            assert list(tmp_path.glob(".tool*")) == []
        host.put(str(path), (data,), sum)
    assert path.read_bytes() == data
    assert list(tmp_path.glob(".tool*")) == []


def test_bytes_that_come_late_by_an_earlier_connection_spoil_no_upload(tmp_path: Path) -> None:
    """They come after it was measured how much is there, and before the upload goes on."""
    data = b"0123456789" * 1000
    there = tmp_path / "part"
    there.write_bytes(data[:1500])
    tell = scripts.receive(str(tmp_path / "tool"), str(there), 1000)
    subprocess.run(tell.argv, input=data[1000:], check=True)
    assert there.read_bytes() == data


class Images:
    """A containerd on the machine, which takes one image; and a workstation that sends it."""

    data = b"".join(hashlib.sha256(bytes([n])).digest() * (1 << 15) for n in range(4))
    names = ("registry.example/etcd:1",)

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.imported, self.parts = folder / "imported", folder / "images"
        sum = hashlib.sha256(self.data).hexdigest()
        script = 'cat >"$1.new" && sha256sum <"$1.new" | grep -q "$2" && mv "$1.new" "$1"'
        tell = scripts.Tell(scripts.sh("ctr", script, str(self.imported), sum))
        monkeypatch.setattr(commands, "import_images", lambda pinned: tell)
        monkeypatch.setattr(images, "PLACE", str(self.parts))

    def chunks(self) -> Iterator[bytes]:
        return (self.data[at : at + 65536] for at in range(0, len(self.data), 65536))

    def into(self, host: SshHost) -> None:
        host.import_images(self.chunks(), self.names, pinned=True)

    def left(self) -> list[int]:
        return [path.stat().st_size for path in self.parts.glob(".*")] if self.parts.exists() else []


def test_an_image_is_streamed(sshd: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = Images(tmp_path, monkeypatch)
    with reached(sshd) as host:
        made.into(host)
    assert made.imported.read_bytes() == made.data and not made.parts.exists()


def test_an_image_that_was_cut_goes_on_by_way_of_a_file_in_this_run_and_the_next(
    sshd: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, cuts = Images(tmp_path, monkeypatch), [Fault("cut", 1 << 20), Fault("cut", 3 << 20)]
    with proxies.through(sshd.port, cuts) as proxy:
        config = sshd.ssh_config.replace(f"Port {sshd.port}", f"Port {proxy.port}")
        key = host_key(sshd)
        (sshd.folder / "known_hosts").write_text(f"[127.0.0.1]:{proxy.port} {key}\n")
        with reached(sshd, config=config) as host:
            for _ in cuts:
                with pytest.raises(Lost):
                    made.into(host)
        (left,) = made.left()
        before = proxy.passed
        with reached(sshd, config=config) as host:
            made.into(host)
    assert left > 1 << 19 and proxy.passed - before < len(made.data) - left + (1 << 18)
    assert made.imported.read_bytes() == made.data and made.left() == []


def test_what_is_left_of_another_image_is_not_gone_on_with(
    sshd: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Images(tmp_path, monkeypatch)
    made.parts.mkdir()
    Path(images.places(made.names)[1]).write_bytes(b"other" * 1000)
    with reached(sshd) as host:
        with pytest.raises(Lost, match="what an earlier upload left"):
            made.into(host)
        assert made.left() == []
        made.into(host)
    assert made.imported.read_bytes() == made.data and made.left() == []


def test_a_stalled_machine_is_given_up_in_time(sshd: Sshd) -> None:
    with reached(sshd, QUICK) as host:
        assert host.read("/etc/hostname")
        sshd.freeze()
        began = time.monotonic()
        with pytest.raises(Lost, match="no answer"):
            host.connection.run(("true",), (), 100.0)
        assert time.monotonic() - began < 5


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
        assert time.monotonic() - began < 3
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
            ended = [_in_thread(lambda: host.read("/etc/hostname")) for _ in range(8)]
            assert all(end() for end in ended)
        assert host.read("/etc/hostname")
        log = (sshd.folder / "log").read_text()
    assert log.count("Accepted publickey") == 2


def test_no_session_at_all(tmp_path: Path) -> None:
    patient = dataclasses.replace(PATIENT, answer=0.3)
    with servers.running(tmp_path / "sshd", more="MaxSessions 0") as sshd, reached(sshd, patient) as host:
        assert "MaxSessions" in str(failing(host).hint)


def test_many_threads_share_one_connection(sshd: Sshd) -> None:
    """Commands that end before their input does, and more sessions than sshd allows, end no connection."""
    with reached(sshd) as host:
        ended = [_in_thread(lambda: [host.read("/etc/hostname") for _ in range(10)]) for _ in range(20)]
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
                near.settimeout(5.0)
                far.settimeout(5.0)
                near.sendall(b"x" * 300_000)
                assert _all_of(far, 300_000) == b"x" * 300_000
                far.sendall(b"answer")
                assert _all_of(near, 6) == b"answer"
                far.close()
                assert near.recv(1) == b""
            with host.dial("127.0.0.1", port) as near:
                far, _ = server.accept()
                far.settimeout(5.0)
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


def test_a_lost_lock_is_taken_again_before_the_next_write(sshd: Sshd, tmp_path: Path) -> None:
    lock, path = str(tmp_path / "lock"), str(tmp_path / "file")
    owner = "{0.st_uid}:{0.st_gid}".format(tmp_path.stat())
    with reached(sshd) as host, host.lock(lock, "us"):
        sshd.drop()
        host.write(path, b"1", owner=owner)
        with pytest.raises(errors.Occupied), LocalHost("machine").lock(lock, "them"):
            pytest.fail("it was not held")
        sshd.drop()
        _until(lambda: _free(lock))
        with (
            LocalHost("machine").lock(lock, "them"),
            pytest.raises(errors.Occupied, match="them"),
        ):
            host.write(path, b"2", owner=owner)
    assert Path(path).read_bytes() == b"1"


def test_a_run_takes_its_lock_from_its_own_lost_session(sshd: Sshd, tmp_path: Path) -> None:
    """The machine does not learn that the connection is lost: the old session stays, and holds the lock."""
    lock, path = str(tmp_path / "lock"), tmp_path / "file"
    owner = "{0.st_uid}:{0.st_gid}".format(tmp_path.stat())
    quick = dataclasses.replace(PATIENT, idle=1.0, answer=1.0)
    with reached(sshd, quick) as host, host.lock(lock, "us"):
        sshd.freeze()
        host.write(str(path), b"1", owner=owner)
        with pytest.raises(errors.Occupied, match="by us"), LocalHost("machine").lock(lock, "them"):
            pytest.fail("it was not held")
    assert path.read_bytes() == b"1"


def test_who_is_frozen_ends_with_the_server_that_no_longer_has_him(sshd: Sshd, tmp_path: Path) -> None:
    """As after a test that fails half-way: a stopped process is nobody's child, and would stay for ever."""
    with (
        reached(sshd, QUICK) as host,
        contextlib.suppress(errors.KubebootError),
        host.lock(str(tmp_path / "lock"), "us"),
    ):
        sshd.freeze()
        first, *others = sshd.sessions()
        os.kill(first, signal.SIGKILL)
        _until(lambda: sshd.sessions() == [])
        assert any(map(_stopped, others))
        sshd.stop()
        _until(lambda: not any(map(_stopped, others)))


def _stopped(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"
    return False


def test_a_lock_is_waited_for_whose_new_holder_has_not_said_yet_who_it_is(tmp_path: Path) -> None:
    """Of two connections of a run that were lost, the second one has ended the first."""
    lock = tmp_path / "lock"
    lock.write_text("us\nmark 999999999\n")
    with subprocess.Popen(
        ("flock", lock, "sh", "-c", "echo has; sleep 0.5"), stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None and other.stdout.readline() == b"has\n"
        argv = scripts.lock(str(lock), "us", "mark", 5.0)
        with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as mine:
            assert mine.stdout is not None and mine.stdout.readline() == b"held\n"
        argv = scripts.lock(str(lock), "them", "another", 5.0)
        assert subprocess.run(argv, input=b"", stdout=subprocess.PIPE).stdout == b"held\n"


def test_a_lock_whose_run_falls_silent_ends(tmp_path: Path) -> None:
    """Two marks are two runs, whatever they call themselves; the first one is not closed, it says nothing."""
    first, second = (scripts.lock(str(tmp_path / "lock"), "us", mark, 0.5) for mark in ("one", "two"))
    with subprocess.Popen(first, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as run:
        assert run.stdout and run.stdout.readline() == b"held\n"
        taken = subprocess.run(second, input=b"", capture_output=True)
        assert (taken.returncode, taken.stdout.splitlines()[0]) == (scripts.LOCK_TAKEN, b"us")
        assert run.wait(10.0) == 0
        assert subprocess.run(second, input=b"", capture_output=True).stdout == b"held\n"


def test_a_lock_is_held_as_long_as_its_holder_lives(
    sshd: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(held, "SILENCE", 1.0)
    with reached(sshd) as host, host.lock(str(tmp_path / "lock"), "us"):
        time.sleep(2.0)
        assert not _free(str(tmp_path / "lock"))


@pytest.fixture
def sudo(tmp_path: Path) -> Callable[[str], Sshd]:
    """A server on whose PATH there is a sudo that does as the test wants."""

    def make(script: str) -> Sshd:
        folder = tmp_path / "bin"
        folder.mkdir()
        (folder / "sudo").write_text(f"#!/bin/sh\n{script}\n")
        (folder / "sudo").chmod(0o755)
        return Sshd(tmp_path / "sshd", environment=f"PATH={folder}:/usr/bin:/bin")

    return make


@pytest.mark.parametrize(
    ("script", "reason"),
    [('shift 2; exec "$@"', None), ("echo 'sudo: a password is required' >&2; exit 1", "KB_SUDO")],
)
def test_who_is_not_root_uses_sudo_and_never_types_a_password(
    sudo: Callable[[str], Sshd], monkeypatch: pytest.MonkeyPatch, script: str, reason: str | None
) -> None:
    sshd = sudo(script)
    sshd.start()
    try:
        with reached(sshd) as host:
            monkeypatch.setattr(host.connection, "_sudo", True)
            assert host.connection.quote(("id", "-u")).startswith("sudo -n -- env LC_ALL=C ")
            if reason is None:
                assert host.read("/etc/hostname")
            else:
                assert failing(host).reason == reason
    finally:
        sshd.stop()


def test_a_connection_that_goes_while_one_becomes_root_is_no_refusal(
    sudo: Callable[[str], Sshd], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The first sudo takes its session with it; the read is done on a new connection."""
    sshd = sudo(
        f'[ -e {tmp_path}/gone ] || {{ : >{tmp_path}/gone; kill -9 $PPID; exit 1; }}; shift 4; exec "$@"'
    )
    sshd.start()
    try:
        with reached(sshd, sudo_password="geheim") as host:
            monkeypatch.setattr(host.connection, "_sudo", True)
            assert host.read("/etc/hostname")
    finally:
        sshd.stop()


def test_sudo_that_says_no_end_of_words_is_given_up_in_time() -> None:
    class Talks:
        settimeout = staticmethod(lambda seconds: None)
        recv_stderr = staticmethod(lambda most: b"words ")

    with pytest.raises(TimeoutError):
        become_root.enter(Talks(), "geheim", "machine", "ops", 0.01)  # type: ignore[arg-type]


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


def test_a_jump_host_is_passed_and_its_key_verified(sshd: Sshd, tmp_path: Path) -> None:
    with servers.running(tmp_path / "gate", "gate") as gate:
        config = f"{sshd.ssh_config}  ProxyJump gate\n{gate.ssh_config}"
        host = SshHost(Connection(Login(sshd.name, config, deadlines=PATIENT)))
        assert host.read("/etc/hostname")
        assert "Accepted publickey" in (gate.folder / "log").read_text()
        host.close()
        (gate.folder / "known_hosts").write_text("")
        stranger = SshHost(Connection(Login(sshd.name, config, deadlines=PATIENT)))
        assert failing(stranger).reason == "KB_HOST_KEY"
        stranger.close()


def test_jump_hosts_are_passed_in_their_order(sshd: Sshd, tmp_path: Path) -> None:
    """Each of them forwards to the next one only."""
    with servers.running(tmp_path / "inner", "inner", f"PermitOpen 127.0.0.1:{sshd.port}") as inner:
        only = f"PermitOpen 127.0.0.1:{inner.port}"
        with servers.running(tmp_path / "outer", "outer", only) as outer:
            hops = inner.ssh_config + outer.ssh_config
            config = f"{sshd.ssh_config}  ProxyJump outer,inner\n{hops}"
            with contextlib.closing(SshHost(Connection(Login(sshd.name, config, deadlines=PATIENT)))) as host:
                assert host.read("/etc/hostname")


def test_a_machines_password_is_not_offered_to_its_jump_hosts() -> None:
    found = Login("machine", "Host machine\n  ProxyJump outer,inner\n", password="hunter2").connection()
    assert [hop.connect_kwargs.get("password") for hop in hops(found)] == ["hunter2", None, None]


def test_no_jump_host_for_one_machine_of_a_pattern(sshd: Sshd) -> None:
    config = f"{sshd.ssh_config}  ProxyJump none\nHost *\n  ProxyJump nowhere.invalid\n"
    with contextlib.closing(SshHost(Connection(Login(sshd.name, config, deadlines=PATIENT)))) as host:
        assert host.read("/etc/hostname")


def test_a_machine_by_its_ipv6_address(tmp_path: Path) -> None:
    with servers.running(tmp_path / "sshd", more="ListenAddress ::1") as sshd:
        key = " ".join((sshd.folder / "host_key.pub").read_text().split()[:2])
        (sshd.folder / "known_hosts").write_text(f"[::1]:{sshd.port} {key}\n")
        config = sshd.ssh_config.replace("127.0.0.1", "::1")
        with contextlib.closing(SshHost(Connection(Login(sshd.name, config, deadlines=PATIENT)))) as host:
            assert host.read("/etc/hostname")
            assert host.connection.address.endswith(f"@[::1]:{sshd.port}")


def test_a_machine_known_by_another_name(sshd: Sshd) -> None:
    key = " ".join((sshd.folder / "host_key.pub").read_text().split()[:2])
    (sshd.folder / "known_hosts").write_text(f"vm-17 {key}\n")
    config = f"{sshd.ssh_config}  HostKeyAlias vm-17\n"
    with contextlib.closing(SshHost(Connection(Login(sshd.name, config, deadlines=PATIENT)))) as host:
        assert host.read("/etc/hostname")


def test_first_use_of_a_machine_known_by_another_name(sshd: Sshd, tmp_path: Path) -> None:
    (sshd.folder / "known_hosts").write_text("")
    config, file = f"{sshd.ssh_config}  HostKeyAlias vm-17\n", tmp_path / "known_hosts"
    login = Login(sshd.name, config, deadlines=PATIENT, known_hosts=(file,))
    error = failing(SshHost(Connection(login)))
    assert isinstance(error, UnknownHostKey)
    hostkeys.remember(file, error.line)
    with Connection(login) as connection:
        assert connection.shown_keys() == (error.line,)


def _free(path: str) -> bool:
    with contextlib.suppress(errors.Occupied), LocalHost("machine").lock(path, "probe"):
        return True
    return False


def _until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < end, "it never came"


def _in_thread(call: Callable[[], object]) -> Callable[[], object]:
    """Start it, and answer a function that waits for its end."""
    got: list[object] = []
    raised: list[BaseException] = []

    def run() -> None:
        try:
            got.append(call())
        except BaseException as err:
            raised.append(err)

    thread = threading.Thread(target=run)
    thread.start()

    def end() -> object:
        thread.join(20)
        assert not thread.is_alive(), "it hangs"
        if raised:
            raise raised[0]
        return got[0]

    return end
