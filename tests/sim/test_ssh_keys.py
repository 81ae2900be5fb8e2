"""Whose key a machine shows, and whether it is believed: known hosts, pins, revoked keys, other names."""

from __future__ import annotations

import contextlib
import subprocess
from pathlib import Path

import pytest

from kubeboot.host.ssh import hostkeys
from kubeboot.host.ssh.connection import Connection
from kubeboot.host.ssh.host import SshHost
from kubeboot.host.ssh.hostkeys import HostKeys
from kubeboot.host.ssh.login import Login
from kubeboot.host.ssh.questions import UnknownHostKey
from kubeboot.inventory.model import pin
from tests.fakes.sshd import Sshd
from tests.sim.over_ssh import PATIENT, failing, host_key, reached


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
