"""What only this machine can be tried for: children, durability, and what importing it costs."""

from __future__ import annotations

import errno
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kubeboot import errors
from kubeboot.host import api, durable, files, proc, removal, scripts
from kubeboot.host.api import CommandFailed
from kubeboot.host.local import LocalHost, LocalView
from kubeboot.host.process import run
from kubeboot.host.runner import Result


def test_a_view_has_no_way_to_change_anything() -> None:
    writes = {name for name in vars(api.HostTarget) if not name.startswith("_")} - {"name"}
    assert len(writes) > 20
    assert not [name for name in writes if hasattr(LocalView, name)]
    assert not [name for name in writes if not hasattr(LocalHost, name)]


def test_the_types_agree_with_the_contract() -> None:
    view: api.HostView = LocalView("a")
    target: api.HostTarget = LocalHost()
    assert view.name == "a"
    assert target.name == os.uname().nodename


def test_importing_it_is_light() -> None:
    heavy = ("paramiko", "fabric", "pydantic", "rich", "jinja2", "cryptography", "lightkube", "yaml")
    code = f"import sys, kubeboot.host.local; print([m for m in {heavy!r} if m in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", code]) == b"[]\n"


def test_a_child_speaks_english_and_finds_our_binaries_first() -> None:
    result = run(("sh", "-c", 'echo "$LC_ALL"; echo "$PATH"; pwd'), (), 10.0)
    locale, path, folder = result.out.decode().splitlines()
    assert (locale, folder) == ("C", "/")
    assert path.startswith("/usr/local/sbin:/usr/local/bin:")


def test_a_child_is_out_of_reach_of_ctrl_c() -> None:
    result = run(("sh", "-c", "ps -o pgid= -p $$ 2>/dev/null || cut -d' ' -f5 /proc/$$/stat"), (), 10.0)
    assert int(result.out) != os.getpgrp()


def test_input_and_both_outputs_larger_than_any_pipe() -> None:
    chunks = (bytes([65 + number]) * 100_000 for number in range(20))
    result = run(("sh", "-c", "tee /dev/stderr"), chunks, 30.0)
    assert len(result.out) == len(result.err) == 2_000_000


def test_a_command_that_is_not_there() -> None:
    assert run(("no-such-command", "x"), (), 1.0) == Result(127, b"", b"no-such-command: not found")


def test_a_closed_directory_of_the_path_has_no_command(monkeypatch: pytest.MonkeyPatch) -> None:
    """`su` keeps the PATH of root, whose own directories are closed to everybody else."""

    def closed(*args: object, **options: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(subprocess, "Popen", closed)  # nothing is closed to root, who runs this
    assert run(("no-such-command",), (), 1.0) == Result(127, b"", b"no-such-command: not found")


@pytest.mark.parametrize(
    ("mode", "said"), [(0o644, b"command: permission denied"), (0o755, b"command: exec format error")]
)
def test_a_file_that_cannot_be_run_fails_as_in_a_shell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: int, said: bytes
) -> None:
    """Such as a binary for another architecture that someone has copied here."""
    command = tmp_path / "command"
    command.write_bytes(b"\x7fELF of another machine")
    command.chmod(mode)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert run(("command",), (), 1.0) == Result(126, b"", said)


@pytest.mark.parametrize("stdin", [(), iter([b"x"])], ids=["no input", "a stream"])
def test_a_child_has_a_deadline(stdin: Iterator[bytes]) -> None:
    began = time.monotonic()
    with pytest.raises(errors.TimedOut, match="`sleep 100` did not end within"):
        run(("sleep", "100"), stdin, 0.2)
    assert time.monotonic() - began < 50


def test_a_source_that_fails_kills_its_reader_and_is_raised(tmp_path: Path) -> None:
    marker = tmp_path / "complete"

    def source() -> Iterator[bytes]:
        yield b"x"
        raise ValueError("the sum is wrong")

    with pytest.raises(ValueError, match="sum is wrong"):
        run(("sh", "-c", 'cat >/dev/null; : >"$1"', "sh", str(marker)), source(), 30.0)
    assert not marker.exists()


def test_a_reader_that_ends_early_ends_its_source() -> None:
    endless = iter(lambda: b"x" * 65536, b"")
    assert run(("sh", "-c", "exit 3"), endless, 30.0).status == 3
    assert not [thread for thread in threading.enumerate() if thread.name.endswith("(_feed)")]


@settings(max_examples=40)
@given(st.binary(max_size=300), st.sampled_from([0o600, 0o644, 0o755, 0o4755, 0o000]))
def test_a_replaced_file_has_exactly_its_bytes_and_mode(data: bytes, mode: int) -> None:
    path = f"/tmp/kubeboot-test-{os.getpid()}/file"
    try:
        durable.replace(path, (data[:7], data[7:]), mode, None)
        found = files.stat_of(path)
        assert found is not None
        assert (found.mode, found.size) == (mode, len(data))
        if os.getuid() == 0:
            assert files.read(path) == data
    finally:
        removal.remove_tree(str(Path(path).parent), ())


def test_a_reader_never_sees_half_a_file(tmp_path: Path) -> None:
    path, seen, stop = str(tmp_path / "manifest"), set[bytes | None](), threading.Event()
    whole = {b"a" * 50_000, b"b" * 50_000}
    durable.replace(path, (b"a" * 50_000,), 0o600, None)

    def look() -> None:
        while not stop.is_set():
            seen.add(files.read(path))

    thread = threading.Thread(target=look)
    thread.start()
    for turn in range(30):
        durable.replace(path, ((b"a", b"b")[turn % 2] * 25_000,) * 2, 0o600, None)
    stop.set()
    thread.join()
    assert seen <= whole


def test_a_kill_in_the_middle_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def killed() -> Iterator[bytes]:
        yield b"new"
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        durable.replace(str(path), killed(), 0o600, None)
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_secrets_are_never_readable_by_others_on_the_way(tmp_path: Path) -> None:
    modes = set[int]()

    def watched() -> Iterator[bytes]:
        for part in (b"secret ", b"key"):
            yield part
            modes.update(entry.stat().st_mode & 0o777 for entry in tmp_path.iterdir())

    durable.replace(str(tmp_path / "ca.key"), watched(), 0o600, None)
    assert modes == {0o600}


@pytest.mark.parametrize("natively", [True, False])
def test_a_tree_is_removed_around_its_mounts(tmp_path: Path, natively: bool) -> None:
    for name in ("tree/a", "tree/pods/1/vol/data", "tree/pods/1/.other", "tree/pods/2", "tree/pods/12/a b"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    tree, point = str(tmp_path / "tree"), str(tmp_path / "tree/pods/1/vol")
    if natively:
        assert removal.remove_tree(tree, [point, "/elsewhere"]) == (point,)
    else:
        scripts.remove_tree(tree, (point,)).verify(
            run(scripts.remove_tree(tree, (point,)).argv, (), 10.0), "here"
        )
    assert sorted(str(entry.relative_to(tmp_path)) for entry in tmp_path.rglob("*") if entry.is_file()) == [
        "tree/pods/1/vol/data"
    ]


def test_an_owner_that_nobody_knows() -> None:
    assert durable.owner_ids("root:root") == durable.owner_ids("0:0") == (0, 0)
    for owner in ("no-such-user:root", "root:no-such-group", "root"):
        with pytest.raises(CommandFailed, match="no such user or group"):
            durable.owner_ids(owner)


def test_sysctls_with_dots_in_their_names() -> None:
    assert proc.sysctl_path("net.ipv4.ip_forward") == "/proc/sys/net/ipv4/ip_forward"
    assert proc.sysctl_path("net/ipv4/conf/eth0.1/rp_filter") == "/proc/sys/net/ipv4/conf/eth0.1/rp_filter"
    assert proc.sysctl_path("net.ipv4.conf.eth0/1.rp_filter") == "/proc/sys/net/ipv4/conf/eth0.1/rp_filter"


def test_killing_what_is_gone_is_no_failure() -> None:
    child = subprocess.Popen(["true"])
    child.wait()
    LocalHost().kill(child.pid, signal.SIGTERM)


def test_a_command_s_time_is_scaled() -> None:
    began = time.monotonic()
    with pytest.raises(errors.TimedOut, match=r"within 0\.2 s"):
        run(("sleep", "100"), (), 2.0, scale=0.1)
    assert time.monotonic() - began < 50


def test_a_connection_s_time_is_scaled_and_stays_with_it() -> None:
    see = LocalView(timeout_scale=3.0)
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        see.dial(*server.getsockname(), 2.0) as connection,
    ):
        assert connection.gettimeout() == 6.0


ROOM = 20
APPEND = """
import sys
from kubeboot.host.api import CommandFailed
from kubeboot.host.local import LocalHost
try:
    LocalHost("m").append(sys.argv[1], sys.stdin.buffer.read())
except CommandFailed:
    sys.exit(9)
"""


def no_room() -> None:
    """In a child: files that grow beyond a few bytes are cut in the middle of a write, as on a full disk."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (ROOM, ROOM))


@pytest.mark.parametrize("local", [True, False])
def test_an_append_that_the_disk_has_no_room_for_adds_nothing(tmp_path: Path, local: bool) -> None:
    path, line = tmp_path / "journal", b"a line, whole\n"
    path.write_bytes(line)
    remote = scripts.append(str(path), line, 0o600).argv
    argv = (sys.executable, "-c", APPEND, str(path)) if local else remote
    done = subprocess.run(argv, input=line, capture_output=True, preexec_fn=no_room, check=False)
    assert done.returncode != 0
    assert path.read_bytes() == line
    assert subprocess.run(argv, input=line, check=False).returncode == 0
    assert path.read_bytes() == 2 * line


def test_a_full_disk_is_named_with_what_mends_it() -> None:
    with (
        pytest.raises(CommandFailed, match="/etc/x: no space left on device") as caught,
        files.naming("/etc/x"),
    ):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert "df -h" in (caught.value.hint or "")
