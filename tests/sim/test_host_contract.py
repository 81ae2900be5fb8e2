"""What a real machine shows: the same from inside and through SSH."""

from __future__ import annotations

import dataclasses
import os
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from kubeboot.host.api import CommandFailed, HostTarget
from kubeboot.host.local import LocalHost
from kubeboot.host.ssh.host import SshHost
from tests.sim.host_support import BYTES, OWNER
from tests.sim.over_ssh import until


@pytest.fixture(params=["local", "ssh"])
def real(request: pytest.FixtureRequest) -> HostTarget:
    if request.param == "ssh":
        ssh: SshHost = request.getfixturevalue("remote")
        return ssh
    return LocalHost("machine")


@pytest.mark.parametrize("question", ["links", "mounts", "nft_tables", "images", "containers", "listeners"])
def test_both_ways_show_the_same_machine(remote: SshHost, question: str) -> None:
    """Soon: other tests begin and end servers and mounts between the one look and the other."""
    here = LocalHost("machine")
    until(lambda: getattr(remote, question)() == getattr(here, question)())


def test_facts_are_the_same_but_for_the_clock(remote: SshHost) -> None:
    same = {"clock": 0.0, "commands": frozenset[str]()}

    def agree() -> bool:
        here, there = LocalHost("machine").facts(), remote.facts()
        assert abs(here.clock - there.clock) < 30 and there.commands <= here.commands
        return dataclasses.replace(here, **same) == dataclasses.replace(there, **same)

    until(agree)


def test_processes_are_seen_and_signalled(real: HostTarget) -> None:
    child = subprocess.Popen(["sleep", "100"])
    try:
        mine = {process.pid: process for process in real.processes()}[child.pid]
        assert (mine.name, mine.cmdline) == ("sleep", ("sleep", "100"))
        assert mine.cgroup == {p.pid: p for p in LocalHost().processes()}[child.pid].cgroup
        real.kill(child.pid, signal.SIGTERM)
        assert child.wait(60) == -signal.SIGTERM
        real.kill(child.pid, signal.SIGTERM)
    finally:
        child.kill()


def test_a_listener_is_shown_with_its_process(real: HostTarget) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        found = [entry for entry in real.listeners() if entry.port == port]
    assert [(entry.protocol, entry.address, entry.pid) for entry in found] == [
        ("tcp", "127.0.0.1", os.getpid())
    ]
    assert found[0].process


def test_sysctls_and_modules_are_read(real: HostTarget) -> None:
    ours = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()
    assert real.sysctl("net.ipv4.ip_local_port_range") == " ".join(ours)
    assert real.sysctl("net/ipv4/ip_local_port_range") == " ".join(ours)
    assert real.sysctl("net.ipv4.no_such_thing") is None
    with pytest.raises(CommandFailed, match=r"no sysctl net\.ipv4\.no_such_thing"):
        real.set_sysctl("net.ipv4.no_such_thing", "1")
    assert not real.module("no-such-module")
    assert real.module(next(Path("/sys/module").iterdir()).name)


def test_a_connection_can_be_made_from_the_machine(real: HostTarget) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with real.dial("127.0.0.1", port) as near:
            far, _ = server.accept()
            with far:
                near.sendall(BYTES)
                near.shutdown(socket.SHUT_WR)
                assert far.makefile("rb").read() == BYTES
                far.sendall(b"answer")
            assert near.makefile("rb").read() == b"answer"
    with pytest.raises(OSError):
        real.dial("127.0.0.1", port)


def test_the_route_and_the_room_are_known(real: HostTarget, tmp_path: Path) -> None:
    assert real.route_source("127.0.0.1") == "127.0.0.1"
    assert real.route_source("localhost") in ("127.0.0.1", "::1")
    assert real.route_source("no-such-machine.invalid") is None
    room = os.statvfs(tmp_path)
    assert real.free_bytes(f"{tmp_path}/not/there") == pytest.approx(room.f_bavail * room.f_frsize, rel=0.5)


def test_a_local_and_a_remote_failure_say_what_failed(real: HostTarget) -> None:
    with pytest.raises(CommandFailed) as raised:
        real.write("/proc/nowhere/file", b"", owner=OWNER)
    assert "/proc/nowhere" in str(raised.value)


def test_fitness_is_told_and_nothing_is_left(real: HostTarget, tmp_path: Path) -> None:
    room = os.statvfs(tmp_path)
    found = real.space(f"{tmp_path}/not/there")
    assert found.size == room.f_blocks * room.f_frsize and found.inodes == room.f_files
    speed = real.sync_seconds(f"{tmp_path}/not/there")
    assert speed is None or speed > 0
    assert real.listdir(str(tmp_path)) == ()
    assert isinstance(real.active_units(), frozenset)
    assert set(real.versions()) <= {"containerd", "runc", "iptables"}
    assert all(chain.family and chain.table and chain.name for chain in real.nft_chains())
    assert all(rule.chain and ("drop" in rule.text or "reject" in rule.text) for rule in real.nft_refusals())
    assert isinstance(real.runtime_config(), str)
