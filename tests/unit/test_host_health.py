"""What a machine says of its fitness, parsed; the words are those that Debian's tools print."""

from __future__ import annotations

from pathlib import Path

import pytest

from kubeboot.host import health
from kubeboot.host.model import Chain, Rule, Space
from kubeboot.host.runner import Ask, Result


def answer(ask: Ask, out: bytes, status: int = 0) -> object:  # type: ignore[type-arg]
    return ask.answer(Result(status, out, b""), "cp-1")


def test_units_are_the_first_words() -> None:
    out = b"ssh.service loaded active running Secure Shell\ndev-vda2.swap loaded active active /dev/vda2\n\n"
    assert answer(health.active_units(), out) == {"ssh.service", "dev-vda2.swap"}
    assert answer(health.active_units(), b"", 1) == frozenset(), "a machine without systemd has none"


def test_space_counts_bytes_and_inodes() -> None:
    found = answer(health.space("/x"), b"1000 250 4096 64 8\n")
    assert found == Space(4096000, 1024000, 64, 8)


@pytest.mark.parametrize(
    ("said", "found"),
    [
        (b"containerd=containerd github.com/x 1.6.20~ds1 1.6.20~ds1-1\n", {"containerd": "1.6.20~ds1"}),
        (b"containerd=containerd github.com/containerd/containerd/v2 v2.3.7 \n", {"containerd": "2.3.7"}),
        (b"runc=runc version 1.1.5+ds1\n", {"runc": "1.1.5+ds1"}),
        (b"iptables=iptables v1.8.9 (nf_tables)\n", {"iptables": "1.8.9"}),
        (b"iptables=iptables v1.8.9 (legacy)\n", {"iptables": "1.8.9 (legacy)"}),
        (b"runc=\n", {}),
        (b"", {}),
    ],
)  # fmt: skip
def test_versions_are_found_in_what_tools_say(said: bytes, found: dict[str, str]) -> None:
    assert answer(health.versions(), said) == found


def test_chains_belong_to_the_table_above_them() -> None:
    out = b"""table ip nat {
\tchain KUBE-SERVICES {
\t}
\tchain OUTPUT {
\t\ttype nat hook output priority -100; policy accept;
\t}
}
table inet filter {
\tchain input {
\t\ttype filter hook input priority filter; policy drop;
\t}
\tchain forward {
\t\ttype filter hook forward priority 0; policy accept;
\t}
}
"""
    assert answer(health.nft_chains(), out) == (
        Chain("ip", "nat", "KUBE-SERVICES"),
        Chain("ip", "nat", "OUTPUT"),
        Chain("inet", "filter", "input", "input", "drop"),
        Chain("inet", "filter", "forward", "forward", "accept"),
    )


def test_rules_that_refuse_are_found_with_their_chains() -> None:
    out = b"""table inet f {
\tset blocked {
\t\ttype ipv4_addr
\t}
\tchain in {
\t\ttype filter hook input priority filter; policy drop;
\t\ttcp dport { 22, 6443 } counter packets 0 bytes 0 drop
\t\ttcp dport 22 accept
\t}
}
table ip filter {
\tchain FORWARD {
\t\treject with icmp host-prohibited
\t}
}
"""
    assert answer(health.nft_refusals(), out) == (
        Rule("inet", "f", "in", "tcp dport { 22, 6443 } counter packets 0 bytes 0 drop"),
        Rule("ip", "filter", "FORWARD", "reject with icmp host-prohibited"),
    )


@pytest.mark.parametrize(
    ("said", "mean"),
    [
        (b"20+0 records in\n20+0 records out\n46000 bytes (46 kB, 45 KiB) copied, 0.04 s, 1.2 MB/s\n", 0.002),
        (b"3+0 records in\n6900 bytes (6.9 kB, 6.7 KiB) copied, 0.6 s, 11 kB/s\n", 0.2),
        (b"0 bytes copied, 0.5 s, 0.0 kB/s\n", None),
        (b"", None),
    ],
)
def test_the_disks_speed_is_the_mean_of_what_was_written(said: bytes, mean: float | None) -> None:
    assert answer(health.sync_seconds("/x"), said) == (None if mean is None else pytest.approx(mean))


def test_measuring_here_leaves_nothing(tmp_path: Path) -> None:
    before = tmp_path.stat().st_mtime_ns
    found = health.sync_here(f"{tmp_path}/not/there")
    assert found is None or 0 < found < health.LIMIT * 2
    assert not any(tmp_path.iterdir()) and tmp_path.stat().st_mtime_ns == before


def test_where_files_must_have_names_nothing_is_measured() -> None:
    assert health.sync_here("/proc") is None
