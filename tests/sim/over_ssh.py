"""A machine behind a real sshd, and how a test waits for it."""

from __future__ import annotations

import contextlib
import dataclasses
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from kubeboot import errors
from kubeboot.host.local import LocalHost
from kubeboot.host.ssh.connection import Connection
from kubeboot.host.ssh.host import SshHost
from kubeboot.host.ssh.login import Deadlines, Login
from tests.fakes.sshd import Sshd

PATIENT = Deadlines(absence=30.0)
QUICK = dataclasses.replace(PATIENT, idle=0.4, answer=2.0, absence=5.0)
"""Asks soon whether a machine lives; the answer may take its time where tests share a CPU."""


@contextlib.contextmanager
def reached(server: Sshd, deadlines: Deadlines = PATIENT, **more: object) -> Iterator[SshHost]:
    """A host behind this server, closed at the end."""
    login = dataclasses.replace(Login(server.name, server.ssh_config, deadlines=deadlines), **more)
    host = SshHost(Connection(login))
    try:
        yield host
    finally:
        host.close()


def failing(host: SshHost) -> errors.Unreachable:
    """The error of the next look."""
    with pytest.raises(errors.Unreachable) as raised:
        host.read("/etc/hostname")
    assert raised.value.exit_code == 5
    assert raised.value.hint
    assert raised.value.host == host.name
    return raised.value


def host_key(sshd: Sshd) -> str:
    """The server's public key."""
    return " ".join((sshd.folder / "host_key.pub").read_text().split()[:2])


def free(path: str) -> bool:
    """Whether nobody holds the lock."""
    with contextlib.suppress(errors.Occupied), LocalHost("machine").lock(path, "probe"):
        return True
    return False


def until(holds: Callable[[], bool]) -> None:
    """Wait for what comes soon, on a machine that has nothing else to do."""
    end = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.002)


def in_thread(call: Callable[[], object]) -> Callable[[], object]:
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
        thread.join(60)
        assert not thread.is_alive(), "it hangs"
        if raised:
            raise raised[0]
        return got[0]

    return end
