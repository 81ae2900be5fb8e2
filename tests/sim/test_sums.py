"""Sums that were noted when a binary was put: believed as long as nobody has touched the file."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kubeboot.host import scripts, sums
from kubeboot.host.api import HostTarget, Unread
from kubeboot.host.local import LocalHost
from kubeboot.host.ssh.batch import Batch
from kubeboot.host.ssh.host import SshHost
from tests.fakes import sshd as servers

DATA = b"a binary" * 1000
SUM = hashlib.sha256(DATA).hexdigest()
LIE = "0" * 64


@pytest.fixture(params=["local", "ssh"])
def host(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[HostTarget]:
    monkeypatch.setattr(sums, "PATH", str(tmp_path / "home" / "sums"))
    (tmp_path / "home").mkdir()
    if request.param == "local":
        yield LocalHost("machine")
        return
    with servers.running(tmp_path / "sshd") as server:
        ssh = SshHost.from_ssh_config(server.ssh_config, server.name)
        yield ssh
        ssh.close()


def put(host: HostTarget, path: Path) -> None:
    """A binary whose note lies, so that it shows whether the note is believed."""
    host.put(str(path), (DATA,), SUM)
    noted = Path(sums.PATH).read_text()
    assert noted.split()[0] == SUM and noted.split()[-1] == str(path)
    Path(sums.PATH).write_text(noted.replace(SUM, LIE))


def batched(host: HostTarget, path: Path) -> str | None:
    """What a batch answers; a local look has none."""
    if not isinstance(host, SshHost):
        return host.sha256(str(path))
    view = Batch(host.connection)
    with pytest.raises(Unread):
        view.sha256(str(path))
    view.fetch()
    return view.sha256(str(path))


def test_a_note_is_believed(host: HostTarget, tmp_path: Path) -> None:
    put(host, tmp_path / "tool")
    assert host.sha256(str(tmp_path / "tool")) == batched(host, tmp_path / "tool") == LIE


def _same_size_and_times(path: Path) -> None:
    before = path.stat()
    path.write_bytes(DATA[::-1])
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def _replaced(path: Path) -> None:
    before = path.stat()
    path.with_suffix(".new").write_bytes(DATA[::-1])
    path.with_suffix(".new").rename(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def _linked(path: Path) -> None:
    path.rename(path.with_suffix(".old"))
    path.with_suffix(".old").write_bytes(DATA[::-1])
    path.symlink_to(path.with_suffix(".old"))


@pytest.mark.parametrize("touch", [_same_size_and_times, _replaced, _linked])
def test_a_file_that_was_touched_is_read(
    host: HostTarget, tmp_path: Path, touch: Callable[[Path], None]
) -> None:
    path = tmp_path / "tool"
    put(host, path)
    touch(path)
    true = hashlib.sha256(DATA[::-1]).hexdigest()
    assert host.sha256(str(path)) == batched(host, path) == true


def test_another_version_is_noted_anew(host: HostTarget, tmp_path: Path) -> None:
    path = tmp_path / "tool"
    put(host, path)
    host.put(str(path), (b"newer",), hashlib.sha256(b"newer").hexdigest())
    assert host.sha256(str(path)) == hashlib.sha256(b"newer").hexdigest()
    assert len(Path(sums.PATH).read_text().splitlines()) == 2


def test_nothing_is_noted_on_a_machine_that_is_not_ours(host: HostTarget, tmp_path: Path) -> None:
    Path(sums.PATH).parent.rmdir()
    host.put(str(tmp_path / "tool"), (DATA,), SUM)
    assert not Path(sums.PATH).parent.exists() and host.sha256(str(tmp_path / "tool")) == SUM
    assert host.sha256(str(tmp_path / "absent")) is None


@pytest.mark.parametrize("openssl", ["exit 1", "echo rubbish", "exec sha256sum"])
def test_a_sum_needs_no_openssl_and_a_wrong_one_is_found_in_any_case(openssl: str, tmp_path: Path) -> None:
    tool, notes = tmp_path / "openssl", tmp_path / "notes"
    tool.write_text(f"#!/bin/sh\n{openssl}\n")
    tool.chmod(0o755)
    (tmp_path / "tool").write_bytes(b"an old one")

    def replaced(sum: str) -> int:
        argv = scripts.replace(str(tmp_path / "tool"), sum, 0o755, "", str(notes)).argv
        path = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
        return subprocess.run(argv, input=DATA, env=path, capture_output=True, check=False).returncode

    assert replaced(LIE) != 0 and (tmp_path / "tool").read_bytes() == b"an old one"
    assert replaced(SUM) == 0 and (tmp_path / "tool").read_bytes() == DATA
    assert notes.read_text().split()[0] == SUM
