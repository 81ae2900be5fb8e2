"""Files that a machine takes from the bundle that it has: put together and checked there, by a real sshd."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from kubeboot.host.api import CommandFailed
from kubeboot.host.sending import OnMachine, Slice
from kubeboot.host.ssh.connection import Connection
from kubeboot.host.ssh.host import SshHost
from kubeboot.host.ssh.login import Login
from tests.fakes import sshd as servers

BYTES = bytes(range(256)) * 8192


@pytest.fixture
def host(tmp_path: Path) -> Iterator[SshHost]:
    with servers.running(tmp_path / "sshd") as server:
        made = SshHost(Connection(Login(server.name, server.ssh_config)))
        yield made
        made.close()


def never() -> Iterable[bytes]:
    raise AssertionError("nothing is to be sent")


def given(folder: Path) -> tuple[OnMachine, bytes]:
    bundle = str(folder / "a bundle")
    Path(bundle).write_bytes(BYTES)
    parts = (b"head\0", Slice(bundle, 1_000_001, 700_003), b"", Slice(bundle, 0, 7), b"tail\n")
    wanted = b"head\0" + BYTES[1_000_001:1_700_004] + BYTES[:7] + b"tail\n"
    return OnMachine(parts, never), wanted


def test_a_file_is_put_together_on_the_machine(host: SshHost, tmp_path: Path) -> None:
    chunks, wanted = given(tmp_path)
    host.put(str(tmp_path / "made"), chunks, hashlib.sha256(wanted).hexdigest(), 0o755)
    assert (tmp_path / "made").read_bytes() == wanted
    assert (tmp_path / "made").stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize("damage", ["changed", "shorter", "gone"])
def test_a_bundle_that_is_another_leaves_nothing(host: SshHost, tmp_path: Path, damage: str) -> None:
    chunks, wanted = given(tmp_path)
    bundle = tmp_path / "a bundle"
    if damage == "gone":
        bundle.unlink()
    else:
        bundle.write_bytes(b"x" * (len(BYTES) if damage == "changed" else 10))
    with pytest.raises(CommandFailed):
        host.put(str(tmp_path / "made"), chunks, hashlib.sha256(wanted).hexdigest())
    assert not (tmp_path / "made").exists()
    assert not list(tmp_path.glob(".made*"))
