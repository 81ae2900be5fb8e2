"""Files, links, directories and locks: the same on this machine, over a real sshd, and in memory."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from kubeboot import errors
from kubeboot.host.api import CommandFailed, HostTarget
from kubeboot.host.local import LocalHost
from kubeboot.host.ssh.host import SshHost
from tests.fakes.host import FakeHost
from tests.sim.host_support import BYTES, OWNER
from tests.sim.over_ssh import until

ODD = 'it\'s a $(odd) "name" \\ ü'


@pytest.fixture(params=["local", "ssh", "fake"])
def host(request: pytest.FixtureRequest) -> HostTarget:
    if request.param == "ssh":
        ssh: SshHost = request.getfixturevalue("remote")
        return ssh
    return LocalHost("machine") if request.param == "local" else FakeHost("machine")


@pytest.fixture
def folder(host: HostTarget, tmp_path: Path) -> str:
    host.mkdir(str(tmp_path), 0o700)
    return str(tmp_path)


def names(host: HostTarget, folder: str) -> tuple[str, ...]:
    return host.listdir(folder)


def test_what_is_not_there_is_none_or_empty(host: HostTarget, folder: str) -> None:
    for path in (f"{folder}/no", f"{folder}/no/such"):
        assert host.read(path) is None
        assert host.stat(path) is None
        assert host.sha256(path) is None
        assert host.listdir(path) == ()
        host.remove(path)
        assert host.remove_tree(path) == ()
    assert host.read(folder) is None, "a directory is no file"


@pytest.mark.parametrize("data", [b"", BYTES, b"no newline", b"x" * 200_000])
def test_bytes_come_back_as_they_were(host: HostTarget, folder: str, data: bytes) -> None:
    path = f"{folder}/{ODD}/file"
    host.write(path, data, 0o640, OWNER)
    assert host.read(path) == data
    assert host.sha256(path) == hashlib.sha256(data).hexdigest()
    found = host.stat(path)
    assert found is not None
    assert (found.kind, found.mode, found.uid, found.gid, found.size) == (
        "file", 0o640, os.getuid(), os.getgid(), len(data),
    )  # fmt: skip
    assert names(host, f"{folder}/{ODD}") == ("file",), "no temporary file is left"


def test_writing_again_changes_bytes_and_mode(host: HostTarget, folder: str) -> None:
    host.write(f"{folder}/a", b"1", 0o600, OWNER)
    host.write(f"{folder}/a", b"2", 0o4755, OWNER)
    found = host.stat(f"{folder}/a")
    assert host.read(f"{folder}/a") == b"2"
    assert found is not None and found.mode == 0o4755


def test_several_entries_are_what_each_of_them_is(host: HostTarget, folder: str) -> None:
    host.write(f"{folder}/dir/file", BYTES, 0o640, OWNER)
    host.symlink(f"{folder}/link", "nowhere")
    names = ("", "/dir", "/dir/file", "/link", "/no", "/dir/file/no")
    found = host.stats(tuple(folder + name for name in names))
    assert found == {folder + name: host.stat(folder + name) for name in names}
    assert [stat is not None and stat.kind for stat in found.values()] == [
        "dir", "dir", "file", "link", False, False,
    ]  # fmt: skip


def test_missing_directories_are_made_0755(host: HostTarget, folder: str) -> None:
    host.write(f"{folder}/x/y/z", b"", 0o600, OWNER)
    for path in ("x", "x/y"):
        found = host.stat(f"{folder}/{path}")
        assert found is not None and (found.kind, found.mode) == ("dir", 0o755)


def test_a_write_replaces_a_link_and_never_a_directory(host: HostTarget, folder: str) -> None:
    host.write(f"{folder}/target", b"old", owner=OWNER)
    host.symlink(f"{folder}/link", "target")
    host.write(f"{folder}/link", b"new", owner=OWNER)
    assert host.read(f"{folder}/target") == b"old"
    host.mkdir(f"{folder}/dir")
    with pytest.raises(CommandFailed):
        host.write(f"{folder}/dir", b"", owner=OWNER)
    assert names(host, folder) == ("dir", "link", "target")


def test_an_unknown_owner_is_refused_before_anything_changes(host: HostTarget, folder: str) -> None:
    if isinstance(host, FakeHost):
        host.fail_at(f"{folder}/a")
    with pytest.raises(CommandFailed):
        host.write(f"{folder}/a", b"", owner="nobody-of-that-name:root")
    assert names(host, folder) == ()


def test_append_adds_and_keeps_the_first_mode(host: HostTarget, folder: str) -> None:
    host.append(f"{folder}/sub/journal", b"1\n")
    host.append(f"{folder}/sub/journal", b"2\n", 0o644)
    found = host.stat(f"{folder}/sub/journal")
    assert host.read(f"{folder}/sub/journal") == b"1\n2\n"
    assert found is not None and found.mode == 0o600


def test_put_streams_and_verifies(host: HostTarget, folder: str) -> None:
    chunks = [os.urandom(1 << 16) for _ in range(20)]
    data = b"".join(chunks)
    host.put(f"{folder}/bin/tool", iter(chunks), hashlib.sha256(data).hexdigest())
    found = host.stat(f"{folder}/bin/tool")
    assert host.read(f"{folder}/bin/tool") == data
    assert found is not None and found.mode == 0o755
    with pytest.raises(CommandFailed, match="sha256"):
        host.put(f"{folder}/bin/other", iter(chunks[1:]), hashlib.sha256(data).hexdigest())
    assert names(host, f"{folder}/bin") == ("tool",)


def test_a_source_that_fails_half_way_leaves_nothing(host: HostTarget, folder: str) -> None:
    def source() -> Iterator[bytes]:
        yield b"x" * 100_000
        raise OSError("the disk with the bundle is gone")

    with pytest.raises(OSError, match="bundle") as raised:
        host.put(f"{folder}/tool", source(), hashlib.sha256(b"x" * 100_000).hexdigest())
    assert not isinstance(raised.value, errors.KubebootError)
    assert names(host, folder) == ()


def test_directories_have_the_mode_that_was_asked_for(host: HostTarget, folder: str) -> None:
    host.mkdir(f"{folder}/a/b", 0o700)
    above, below = host.stat(f"{folder}/a"), host.stat(f"{folder}/a/b")
    assert above is not None and below is not None
    assert (above.mode, below.mode) == (0o755, 0o700)
    host.mkdir(f"{folder}/a/b", 0o2750)
    host.mkdir(f"{folder}/a/b", 0o711)
    again = host.stat(f"{folder}/a/b")
    assert again is not None and again.mode == 0o711
    host.write(f"{folder}/file", b"", owner=OWNER)
    with pytest.raises(CommandFailed):
        host.mkdir(f"{folder}/file")


def test_links_are_made_moved_and_shown(host: HostTarget, folder: str) -> None:
    host.write(f"{folder}/1.pem", b"1", owner=OWNER)
    host.write(f"{folder}/2.pem", b"2", owner=OWNER)
    host.symlink(f"{folder}/current", "1.pem")
    host.symlink(f"{folder}/current", "2.pem")
    found = host.stat(f"{folder}/current")
    assert found is not None and (found.kind, found.target) == ("link", "2.pem")
    assert host.read(f"{folder}/current") == b"2"
    assert names(host, folder) == ("1.pem", "2.pem", "current")
    host.symlink(f"{folder}/dangling", "nowhere")
    assert host.read(f"{folder}/dangling") is None
    assert host.stat(f"{folder}/dangling") is not None
    host.remove(f"{folder}/current")
    assert host.read(f"{folder}/2.pem") == b"2"


def test_a_link_does_not_take_the_place_of_a_directory(host: HostTarget, folder: str) -> None:
    host.mkdir(f"{folder}/dir")
    with pytest.raises(CommandFailed):
        host.symlink(f"{folder}/dir", "x")
    assert names(host, folder) == ("dir",)


def test_chmod_changes_files_and_directories_but_no_links(host: HostTarget, folder: str) -> None:
    host.write(f"{folder}/file", b"", 0o644, OWNER)
    host.chmod(f"{folder}/file", 0o600, OWNER)
    host.symlink(f"{folder}/link", "file")
    with pytest.raises(CommandFailed):
        host.chmod(f"{folder}/link", 0o644, OWNER)
    with pytest.raises(CommandFailed):
        host.chmod(f"{folder}/nothing", 0o644, OWNER)
    found = host.stat(f"{folder}/file")
    assert found is not None and found.mode == 0o600


def test_remove_takes_a_file_a_link_and_an_empty_directory(host: HostTarget, folder: str) -> None:
    host.write(f"{folder}/dir/file", b"", owner=OWNER)
    with pytest.raises(CommandFailed):
        host.remove(f"{folder}/dir")
    host.remove(f"{folder}/dir/file")
    host.remove(f"{folder}/dir")
    assert names(host, folder) == ()


def test_a_tree_goes_with_hidden_files_but_not_what_its_links_name(host: HostTarget, folder: str) -> None:
    host.write(f"{folder}/outside/file", b"", owner=OWNER)
    host.write(f"{folder}/tree/.hidden/..odd", b"", owner=OWNER)
    host.write(f"{folder}/tree/{ODD}", b"", owner=OWNER)
    host.symlink(f"{folder}/tree/link", "../outside")
    host.symlink(f"{folder}/way", "outside")
    assert host.remove_tree(f"{folder}/tree") == ()
    assert host.remove_tree(f"{folder}/way") == ()
    assert names(host, folder) == ("outside",)
    assert names(host, f"{folder}/outside") == ("file",)


def test_a_tree_is_copied_and_moved_once(host: HostTarget, folder: str) -> None:
    host.write(f"{folder}/{ODD}/deep/file", BYTES, 0o600, OWNER)
    host.copy_tree(f"{folder}/{ODD}", f"{folder}/copy")
    for _ in range(2):
        host.rename(f"{folder}/copy", f"{folder}/moved")
    assert names(host, folder) == (ODD, "moved")
    found = host.stat(f"{folder}/moved/deep/file")
    assert (host.read(f"{folder}/moved/deep/file"), found and found.mode) == (BYTES, 0o600)
    with pytest.raises(CommandFailed):
        host.rename(f"{folder}/moved", f"{folder}/{ODD}")
    with pytest.raises(CommandFailed):
        host.rename(f"{folder}/never", f"{folder}/was")


def test_names_are_listed_sorted_and_whole(host: HostTarget, folder: str) -> None:
    for name in (ODD, ".hidden", "..two", "b", "a\nb"):
        host.write(f"{folder}/{name}", b"", owner=OWNER)
    assert names(host, folder) == tuple(sorted((ODD, ".hidden", "..two", "b", "a\nb")))


def test_one_lock_one_holder(host: HostTarget, folder: str) -> None:
    path = f"{folder}/run/lock"
    with (
        host.lock(path, "alice@ws1 pid 8 since 14:02: kubeboot init"),
        pytest.raises(errors.Occupied, match=r"alice@ws1 pid 8 since 14:02: kubeboot init"),
        host.lock(path, "bob"),
    ):
        pytest.fail("two hold the lock")
    with host.lock(path, "bob"):
        pass


def test_the_other_party_is_told_what_the_holder_says_last(host: HostTarget, folder: str) -> None:
    path = f"{folder}/run/lock"

    def told() -> str:
        with pytest.raises(errors.Occupied) as caught, host.lock(path, "bob"):
            pytest.fail("two hold the lock")
        return caught.value.message

    with host.lock(path, "alice: kubeboot init"):
        host.say(path, "at step one/and-a-long-name")
        host.say(path, "at step two")
        until(lambda: told().endswith("by alice: kubeboot init, at step two"))
    host.say(path, "nobody holds it")


def test_a_lock_excludes_local_and_remote_runs_alike(remote: SshHost, tmp_path: Path) -> None:
    here, path = LocalHost("machine"), str(tmp_path / "lock")
    with here.lock(path, "here"), pytest.raises(errors.Occupied, match="here"), remote.lock(path, "there"):
        pytest.fail("two hold the lock")
    with remote.lock(path, "there"), pytest.raises(errors.Occupied, match="there"), here.lock(path, "here"):
        pytest.fail("two hold the lock")
    with here.lock(path, "here"):
        pass
