"""A bounded number of open connections: who is idle makes room, who is busy is left alone."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import paramiko
import pytest

from kubeboot import errors
from kubeboot.host.ssh import pool as pool_module
from kubeboot.host.ssh.connection import Connection
from kubeboot.host.ssh.login import Login
from kubeboot.host.ssh.pool import Pool
from tests.fakes import sshd as servers


@dataclasses.dataclass(eq=False)
class Door:
    """Counts how many are open at once."""

    open: set[Door]
    most: list[int]

    def use(self) -> None:
        self.open.add(self)
        self.most.append(len(self.open))

    def close(self) -> None:
        self.open.discard(self)


def test_never_more_are_open_than_there_is_room_for_and_everybody_has_a_turn() -> None:
    pool, most, there = Pool(4), list[int](), set[Door]()
    doors = [Door(there, most) for _ in range(20)]

    def visit(door: Door) -> None:
        with pool.using(door):
            door.use()

    with ThreadPoolExecutor(10) as people:
        list(people.map(visit, doors * 10))
    assert len(most) == 200 and max(most) <= 4


def test_the_latest_idle_is_closed_and_the_busy_and_the_kept_are_not() -> None:
    pool, there = Pool(4), set[Door]()
    kept, busy, oldest, old, new = (Door(there, []) for _ in range(5))
    pool.keep(kept)
    kept.use()
    with pool.using(busy):
        busy.use()
        for door in (oldest, old, new):
            with pool.using(door):
                door.use()
        assert there == {kept, busy, oldest, new}


def test_without_room_one_waits_until_somebody_is_done() -> None:
    pool, there = Pool(1), set[Door]()
    first, second = Door(there, []), Door(there, [])
    inside = threading.Event()

    def wait() -> None:
        with pool.using(second):
            inside.set()

    with ThreadPoolExecutor(1) as person:
        with pool.using(first):
            waiting = person.submit(wait)
            assert not inside.wait(0.05)
        waiting.result(60.0)


@dataclasses.dataclass(eq=False)
class Slow(Door):
    """Takes its time to close."""

    closing: threading.Event = dataclasses.field(default_factory=threading.Event)
    may: threading.Event = dataclasses.field(default_factory=threading.Event)

    def close(self) -> None:
        self.closing.set()
        assert self.may.wait(60.0)
        super().close()


def test_who_is_being_closed_is_not_used_before_that_is_over() -> None:
    """It was cut off in its first command."""
    pool, there, inside = Pool(2), set[Door](), threading.Event()
    slow, busy, third = Slow(there, []), Door(there, []), Door(there, [])

    def visit(door: Door) -> None:
        with pool.using(door):
            door.use()
            if door is slow:
                inside.set()

    visit(slow)
    inside.clear()
    with ThreadPoolExecutor(2) as people:
        with pool.using(busy):
            first = people.submit(visit, third)
            assert slow.closing.wait(60.0)
        again = people.submit(visit, slow)
        early = inside.wait(0.1)
        slow.may.set()
        first.result(60.0)
        again.result(60.0)
    assert not early and slow in there


def test_room_that_nobody_makes_is_not_waited_for_without_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool_module, "PATIENCE", 0.01)
    pool, there = Pool(1), set[Door]()
    with (
        pool.using(Door(there, [])),
        pytest.raises(errors.TimedOut, match="all 1 connections"),
        pool.using(Door(there, [])),
    ):
        pytest.fail("there was no room")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[servers.Sshd]:
    with servers.running(tmp_path / "sshd") as made:
        yield made


def test_a_connection_that_had_to_go_opens_again(server: servers.Sshd) -> None:
    pool = Pool(1)
    first, second = (Connection(Login(server.name, server.ssh_config)) for _ in range(2))
    for connection in (first, second):
        connection.join(pool)
    for connection in (first, second, first):
        assert connection.run(("echo", "here"), (), 60.0).out == b"here\n"
    assert first._line.transport().is_active() and not second._line._fabric.is_connected
    first.close()


def test_a_key_file_is_read_once_for_all_machines_and_again_when_it_changes(
    server: servers.Sshd, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    whole = paramiko.Ed25519Key.from_private_key_file

    def counting(path: str, password: str | None = None) -> paramiko.PKey:
        read.append(path)
        return whole(path, password)

    monkeypatch.setattr(paramiko.Ed25519Key, "from_private_key_file", counting)

    def login() -> None:
        with Connection(Login(server.name, server.ssh_config)):
            pass

    login()
    login()
    assert len(read) == 1
    server.make_key("client_key")
    (server.folder / "authorized_keys").write_bytes((server.folder / "client_key.pub").read_bytes())
    login()
    assert len(read) == 2
