"""Who is not root becomes root: without a password, in time, and no lost connection is a refusal."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kubeboot.host.ssh import starting
from kubeboot.host.ssh import sudo as become_root
from tests.fakes import sshd as servers
from tests.fakes.sshd import Sshd
from tests.sim.over_ssh import failing, reached


@pytest.fixture
def sudo(tmp_path: Path) -> Iterator[Callable[[str], Sshd]]:
    """A server on whose PATH there is a sudo that does as the test wants."""
    with contextlib.ExitStack() as stack:

        def make(script: str) -> Sshd:
            folder = tmp_path / "bin"
            folder.mkdir()
            (folder / "sudo").write_text(f"#!/bin/sh\n{script}\n")
            (folder / "sudo").chmod(0o755)
            path = f"PATH={folder}:/usr/bin:/bin"
            return stack.enter_context(servers.running(tmp_path / "sshd", environment=path))

        yield make


@pytest.mark.parametrize(
    ("script", "reason"),
    [('shift 2; exec "$@"', None), ("echo 'sudo: a password is required' >&2; exit 1", "KB_SUDO")],
)
def test_who_is_not_root_uses_sudo_and_never_types_a_password(
    sudo: Callable[[str], Sshd], monkeypatch: pytest.MonkeyPatch, script: str, reason: str | None
) -> None:
    monkeypatch.setattr(starting, "ROOT", "nobody-at-all")
    with reached(sudo(script)) as host:
        assert host.connection._starter.quote(("id", "-u")).startswith("sudo -n -- env LC_ALL=C ")
        if reason is None:
            assert host.read("/etc/hostname")
        else:
            assert failing(host).reason == reason


def test_a_connection_that_goes_while_one_becomes_root_is_no_refusal(
    sudo: Callable[[str], Sshd], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The first sudo takes its session with it; the read is done on a new connection."""
    monkeypatch.setattr(starting, "ROOT", "nobody-at-all")
    sshd = sudo(
        f'[ -e {tmp_path}/gone ] || {{ : >{tmp_path}/gone; kill -9 $PPID; exit 1; }}; shift 4; exec "$@"'
    )
    with reached(sshd, sudo_password="geheim") as host:
        assert host.read("/etc/hostname")


def test_sudo_that_says_no_end_of_words_is_given_up_in_time() -> None:
    class Talks:
        settimeout = staticmethod(lambda seconds: None)
        recv_stderr = staticmethod(lambda most: b"words ")

    with pytest.raises(TimeoutError):
        become_root.enter(Talks(), "geheim", "machine", "ops", 0.01)  # type: ignore[arg-type]
