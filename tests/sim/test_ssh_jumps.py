"""Machines behind jump hosts and by their IPv6 address."""

from __future__ import annotations

import contextlib
from pathlib import Path

from kubeboot.host.ssh.connection import Connection
from kubeboot.host.ssh.host import SshHost
from kubeboot.host.ssh.login import Login, hops
from tests.fakes import sshd as servers
from tests.fakes.sshd import Sshd
from tests.sim.over_ssh import PATIENT, failing


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
