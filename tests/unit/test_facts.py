"""Facts from what probe.sh printed: recorded here and in the lab, written for systems not at hand."""

from __future__ import annotations

import dataclasses
import os
import time
from pathlib import Path

import pytest

from kubeboot.host import commands, facts
from kubeboot.host.api import CommandFailed
from kubeboot.host.facts import Facts, Nic
from kubeboot.host.process import run
from kubeboot.host.runner import Result

RECORDED = Path(__file__).parent / "recorded"


def recorded(name: str) -> Facts:
    return facts.parse((RECORDED / f"probe-{name}.txt").read_bytes())


def test_a_machine_of_the_lab_with_two_networks() -> None:
    found = recorded("debian12-lab-node")
    assert (found.hostname, found.arch) == ("cp-1", "amd64")
    assert found.nics == (
        Nic("eth0", ("10.0.2.15/24",)),
        Nic("flannel.1", ("10.244.0.0/32",)),
        Nic("cni0", ("10.244.0.1/24",)),
        Nic("eth1", ("192.168.56.11/24",)),
    )
    assert (found.default_nic, found.default_source) == ("eth0", "10.0.2.15")
    assert found.nameservers == ("127.0.0.11",)
    assert (found.init, found.uid, found.user, found.cpus) == ("systemd", 0, "root", 2)
    assert found.memory == 24684084 * 1024
    assert found.clock == pytest.approx(1795228629, abs=3600)
    assert not found.cgroup_v2
    assert not found.may_lower_oom_score, "the lab's machines lack CAP_SYS_RESOURCE"
    assert {"systemctl", "nft", "kubelet"} <= found.commands


def test_a_machine_without_systemd() -> None:
    found = recorded("debian12")
    assert found.init == "process_api"
    assert found.default_source == "192.0.2.2"


def test_ubuntu_with_resolved_swap_and_two_ways_out() -> None:
    found = recorded("written-ubuntu2404")
    assert found.arch == "arm64"
    assert found.swap == ("/swap.img",)
    assert found.nameservers == ("127.0.0.53",)
    assert found.resolved_nameservers == ("192.0.2.53", "2001:db8::53")
    assert (found.apparmor, found.selinux, found.cgroup_v2) == (True, "disabled", True)
    assert (found.default_nic, found.default_source) == ("enp0s3", "10.0.2.15")
    assert found.nics[1:] == (
        Nic("enp0s8", ("192.168.56.11/24", "2001:db8:56::11/64")),
        Nic("veth1a", ("172.30.0.1/30",)),
    )
    assert found.may_lower_oom_score


def test_rhel_with_ipv6_alone_and_no_root() -> None:
    found = recorded("written-rhel9")
    assert found.selinux == "enforcing"
    assert (found.uid, found.user) == (1000, "admin")
    assert found.clock == 1795228629, "a date(1) that does not know %N"
    assert found.default_source == "2001:db8:2::20", "the one in the gateway's network"


def test_words_that_were_not_said_have_defaults() -> None:
    assert dataclasses.replace(facts.parse(b"hostname=a\nend=1\n"), hostname="b") == Facts(
        hostname="b", arch="", cgroup_v2=False, init="", capabilities=0, user=""
    )


def test_a_probe_that_broke_off_is_no_answer() -> None:
    ask = commands.probe()
    with pytest.raises(CommandFailed, match="incomplete"):
        ask.answer(Result(0, b"hostname=a\nkernel=6", b""), "cp-1")


def test_the_probe_itself_waits_for_nothing_and_is_ours() -> None:
    ask = commands.probe()
    began = time.perf_counter()
    result = run(ask.argv, (ask.stdin,), ask.deadline)
    took = time.perf_counter() - began
    found = ask.answer(result, "here")
    assert result.err == b""
    assert found.hostname == os.uname().nodename
    assert found.kernel == os.uname().release
    assert found.uid == os.getuid()
    assert abs(found.clock - time.time()) < 30
    assert took < 10  # it takes a twentieth of a second where nothing else runs
