"""FakeHost behaves as a machine does where steps depend on it."""

from __future__ import annotations

import hashlib

import pytest

from kubeboot import errors
from kubeboot.host.api import CommandFailed, HostTarget
from kubeboot.host.model import Mount
from kubeboot.host.sending import temporary, temporary_of
from tests.fakes.entries import Change
from tests.fakes.host import FakeHost

UNIT = b'[Service]\nExecStart=/bin/true\nEnvironment=KUBEBOOT_INPUTS=old "A=b c"\n'
DROP_IN = "/etc/systemd/system/kubelet.service.d/20-inputs.conf"


@pytest.fixture
def host() -> FakeHost:
    return FakeHost()


def target(host: FakeHost) -> HostTarget:
    return host


def test_a_write_is_read_back_and_listed(host: FakeHost) -> None:
    host.write("/etc/kubernetes/pki/ca.key", b"k", 0o600)
    assert host.read("/etc/kubernetes/pki/ca.key") == b"k"
    stat = host.stat("/etc/kubernetes/pki/ca.key")
    assert stat is not None and (stat.kind, stat.mode, stat.uid) == ("file", 0o600, 0)
    assert host.listdir("/etc/kubernetes") == ("pki",)
    assert host.changes == [Change("write", "/etc/kubernetes/pki/ca.key")]


def test_links_are_followed_by_reads_and_replaced_by_writes(host: FakeHost) -> None:
    host.write("/var/lib/kubelet/pki/kubelet-client-1.pem", b"1")
    host.symlink("/var/lib/kubelet/pki/kubelet-client-current.pem", "kubelet-client-1.pem")
    assert host.read("/var/lib/kubelet/pki/kubelet-client-current.pem") == b"1"
    host.write("/var/lib/kubelet/pki/kubelet-client-current.pem", b"2")
    assert host.read("/var/lib/kubelet/pki/kubelet-client-1.pem") == b"1"
    assert not host.symlinks


def test_a_unit_keeps_what_its_process_was_started_with(host: FakeHost) -> None:
    host.write("/etc/systemd/system/kubelet.service", UNIT)
    host.start("kubelet")
    first = host.unit("kubelet.service")
    assert (first.active, dict(first.environment)) == ("active", {"KUBEBOOT_INPUTS": "old", "A": "b c"})
    host.write(DROP_IN, b"[Service]\nEnvironment=KUBEBOOT_INPUTS=new\n")
    host.restart("kubelet")
    assert host.unit("kubelet").environment["KUBEBOOT_INPUTS"] == "old", "systemd was not told to reload"
    host.daemon_reload()
    host.start("kubelet")
    assert host.unit("kubelet").environment["KUBEBOOT_INPUTS"] == "old", "start leaves a running unit alone"
    host.restart("kubelet")
    assert host.unit("kubelet").environment["KUBEBOOT_INPUTS"] == "new"
    assert host.unit("kubelet").pid != first.pid


def test_a_unit_that_is_not_there_does_not_start(host: FakeHost) -> None:
    assert not host.unit("kubelet").loaded
    with pytest.raises(CommandFailed, match="not found"):
        host.start("kubelet")


def test_a_snapshot_shows_each_kind_of_change_and_forgets_undone_ones(host: FakeHost) -> None:
    before = host.snapshot()
    host.write("/etc/kubernetes/manifests/etcd.yaml", b"x")
    assert host.snapshot() != before
    host.remove("/etc/kubernetes/manifests/etcd.yaml")
    assert host.snapshot() != before, "directories count"
    host.remove_tree("/etc/kubernetes")
    assert host.snapshot() == before


def test_sysctls_exist_only_with_their_module(host: FakeHost) -> None:
    with pytest.raises(CommandFailed):
        host.set_sysctl("net.bridge.bridge-nf-call-iptables", "1")
    host.load_module("br_netfilter")
    host.set_sysctl("net.bridge.bridge-nf-call-iptables", "1")
    assert host.module("br-netfilter")


def test_a_tree_is_not_removed_across_a_mount(host: FakeHost) -> None:
    host.write("/var/lib/kubelet/a", b"")
    host.write("/var/lib/kubelet/pods/1/vol/data", b"")
    host.mount_table.append(Mount("tmpfs", "/var/lib/kubelet/pods/1/vol", "tmpfs"))
    assert host.remove_tree("/var/lib/kubelet") == ("/var/lib/kubelet/pods/1/vol",)
    assert host.read("/var/lib/kubelet/a") is None
    assert host.read("/var/lib/kubelet/pods/1/vol/data") == b""


def test_a_wrong_sum_leaves_nothing(host: FakeHost) -> None:
    before = host.snapshot()
    with pytest.raises(CommandFailed, match="sha256"):
        host.put("/usr/local/bin/kubelet", [b"a", b"b"], hashlib.sha256(b"other").hexdigest())
    assert host.snapshot() == before


def test_faults_come_at_the_nth_write_before_or_after_it(host: FakeHost) -> None:
    host.fail_at(2)
    host.fail_at(3, KeyboardInterrupt(), after=True)
    host.write("/etc/1", b"")
    with pytest.raises(CommandFailed, match="injected"):
        host.write("/etc/2", b"")
    assert host.read("/etc/2") is None
    host.faults.pop(2)
    host.write("/etc/2", b"")
    with pytest.raises(KeyboardInterrupt):
        host.write("/etc/3", b"")
    assert host.read("/etc/3") == b""


def test_an_unreachable_machine_answers_nothing(host: FakeHost) -> None:
    host.unreachable = True
    with pytest.raises(errors.Unreachable):
        host.read("/etc/hostname")


def test_one_lock_one_holder(host: FakeHost) -> None:
    with host.lock("/run/kubeboot.lock", "alice"), pytest.raises(errors.Occupied, match="alice"):
        host.lock("/run/kubeboot.lock", "bob").__enter__()
    with host.lock("/run/kubeboot.lock", "bob"):
        pass


def test_what_a_killed_write_left_is_known_however_deep() -> None:
    assert temporary_of(temporary("config.toml", "0" * 8)) == "config.toml"
    assert temporary_of(temporary(temporary("config.toml", "0" * 8), "1" * 8)) == "config.toml"
    assert temporary_of("config.toml") is None
