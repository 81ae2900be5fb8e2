"""Firewalls: which ports a role needs, what a machine's chains show, and what the script tells them."""

from __future__ import annotations

import dataclasses
import os
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from kubeboot.config.components import Etcd, ExternalEtcd
from kubeboot.config.node import NodeSettings, Role
from kubeboot.config.spec import ClusterSpec, LoadBalancer, Networking, VirtualIp
from kubeboot.engine.step import Drift, Ok, Target
from kubeboot.engine.values import Values
from kubeboot.host.model import Chain
from kubeboot.kube.api import NoApi
from kubeboot.kube.facts import ClusterFacts
from kubeboot.plan import join
from kubeboot.steps import firewall
from tests.fakes.host import FakeHost
from tests.sim import preflight_seeds as seeds
from tests.sim.contract import converges

SPEC = ClusterSpec(open_firewall=True)
NODE = NodeSettings("cp-1", "192.0.2.11", "control_plane")
DROPS = (
    Chain("inet", "filter", "input", "input", "drop"),
    Chain("inet", "filter", "forward", "forward", "drop"),
)
EXTERNAL = Etcd(external=ExternalEtcd(endpoints=("https://192.0.2.9:2379",)))
LINKS = '{ "cni0", "flannel.1", "flannel-v6.1" }'


@pytest.mark.parametrize(
    ("role", "spec", "ports"),
    [
        ("control_plane", ClusterSpec(), (6443, 8443, 2379, 2380, 10250)),
        ("control_plane", ClusterSpec(etcd=EXTERNAL), (6443, 8443, 10250)),
        (
            "control_plane",
            ClusterSpec(load_balancer=LoadBalancer(mode="machines")),
            (6443, 2379, 2380, 10250),
        ),
        (
            "control_plane",
            ClusterSpec(load_balancer=LoadBalancer(port=9443)),
            (6443, 9443, 2379, 2380, 10250),
        ),
        ("worker", ClusterSpec(), (10250,)),
        ("etcd", ClusterSpec(), (2379, 2380)),
        ("load_balancer", ClusterSpec(load_balancer=LoadBalancer(mode="machines")), (8443,)),
    ],
)
def test_the_ports_of_a_role(role: Role, spec: ClusterSpec, ports: tuple[int, ...]) -> None:
    node = dataclasses.replace(NODE, role=role)
    wanted = tuple(port for port in ports if role != "worker" or port != 8443)
    assert firewall.ports(spec, node) == wanted


def test_nothing_is_opened_unasked() -> None:
    assert firewall.steps(ClusterSpec(), NODE) == ()


def test_a_worker_opens_what_the_cluster_or_its_own_command_says() -> None:
    asked, plain = ClusterSpec(open_firewall=True), ClusterSpec()
    cluster = ClusterFacts(spec=plain, **_REST)
    assert join.cluster_spec(asked, cluster).open_firewall
    assert join.cluster_spec(plain, dataclasses.replace(cluster, spec=asked)).open_firewall
    assert not join.cluster_spec(plain, cluster).open_firewall


_REST = {
    field.name: None for field in dataclasses.fields(ClusterFacts) if field.name != "spec"
}  # what a description does not depend on


def opener(host: FakeHost) -> None:
    """The unit, as far as it can be seen: a chain of ours beside each that filters."""
    script = host.read(firewall.SCRIPT) or b""
    for chain in firewall.closed(host.chains):
        host.chains.append(Chain(chain.family, chain.table, f"kubeboot-{chain.hook}"))
    host.write(firewall.STATE, f"{firewall.hashlib.sha256(script).hexdigest()}  -\n".encode())


def made() -> tuple[FakeHost, firewall.OpenFirewalls]:
    host = FakeHost("cp-1")
    host.chains += DROPS
    *files, last = firewall.steps(SPEC, NODE)
    for step in files:
        step.apply(Target(host, NoApi()), Values())
    host.on_start[firewall.UNIT] = opener
    assert isinstance(last, firewall.OpenFirewalls)
    return host, last


def test_every_step_converges_and_is_taken_back() -> None:
    for step in firewall.steps(SPEC, NODE)[:2]:
        converges(step, FakeHost("cp-1"))


def test_chains_are_opened_once_and_again_when_they_are_loaded_anew() -> None:
    host, step = made()
    target = Target(host, NoApi())
    found = step.check(target.see, Values())
    assert isinstance(found, Drift) and "inet filter input, inet filter forward" in found.summary
    step.apply(target, Values())
    assert step.check(target.see, Values()) == Ok()
    host.chains[:] = list(DROPS)
    again = step.check(target.see, Values())
    assert isinstance(again, Drift) and "was reloaded" in again.summary
    step.apply(target, Values())
    assert step.check(target.see, Values()) == Ok()


def test_another_script_than_was_run_is_drift() -> None:
    host, step = made()
    step.apply(Target(host, NoApi()), Values())
    host.write(firewall.STATE, b"0123  -\n")
    found = step.check(Target(host, NoApi()).see, Values())
    assert isinstance(found, Drift) and found.change == "change"


@pytest.mark.parametrize("table", ["kube-proxy", "flannel-ipv4", "firewalld"])
def test_the_cluster_s_own_tables_are_no_firewall(table: str) -> None:
    assert firewall.closed([Chain("inet", table, "input", "input", "drop")]) == ()


def findings(seed: Callable[[seeds.Stage], object]) -> list[str]:
    stage = seeds.Stage(seeds.fit())
    seed(stage)
    return [finding.name for finding in stage.findings()]


def test_a_finding_goes_when_the_firewall_is_opened_and_comes_back_when_it_is_closed() -> None:
    def opened(stage: seeds.Stage) -> None:
        stage.host.chains += [
            *DROPS,
            Chain("inet", "filter", "kubeboot-input"),
            Chain("inet", "filter", "kubeboot-forward"),
        ]
        seeds.run("nftables.service")(stage)
        stage.host.write(firewall.STATE, b"sum")

    def closed(stage: seeds.Stage) -> None:
        stage.host.chains += DROPS
        stage.host.write(firewall.STATE, b"sum")

    assert findings(opened) == []
    assert findings(closed) == ["Firewall-policy"]
    assert findings(lambda stage: stage.host.chains.extend(DROPS)) == ["Firewall-policy"]
    assert findings(seeds.all_of(seeds.run("ufw.service"), seeds.spec(open_firewall=True))) == []


# --- the script, against commands that keep rules in files


@dataclasses.dataclass(frozen=True)
class Machine:
    """A directory with commands in front of the system's own, and a log of what they were told."""

    root: Path

    def run(self, verb: str, spec: ClusterSpec = SPEC, node: NodeSettings = NODE) -> list[str]:
        """What the script's commands were told."""
        script = (
            firewall.script(spec, node).replace("/run/", f"{self.root}/").replace("/etc/", f"{self.root}/")
        )
        script = script.replace("/proc/net/", f"{self.root}/")
        (self.root / "firewall").write_text(script)
        log = self.root / "log"
        log.write_text("")
        env = {"PATH": f"{self.root}/bin:{os.environ['PATH']}", "LOG": str(log), "ROOT": str(self.root)}
        done = subprocess.run(
            ["sh", str(self.root / "firewall"), verb], env=env, capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stderr) == (0, ""), done
        return log.read_text().splitlines()

    def command(self, name: str, text: str = "") -> None:
        """A command that says what it was told, and then does this."""
        path = self.root / "bin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f'#!/bin/sh\necho "{name} $*" >>"$LOG"\n{text}\n')
        path.chmod(path.stat().st_mode | stat.S_IXUSR)


NFT = """
case "$*" in
    "list chains") cat "$ROOT/chains" ;;
    "-f -") sed 's/^/  /' >>"$LOG" ;;
    "-a list chain inet filter input") echo '	jump kubeboot-input # handle 7' ;;
esac
"""
CHAINS = """table inet filter {
	chain input {
		type filter hook input priority filter; policy drop;
	}
	chain own {
	}
	chain output {
		type filter hook output priority filter; policy drop;
	}
}
table ip kube-proxy {
	chain filter-input {
		type filter hook input priority 0; policy accept;
	}
}
table ip filter {
	chain FORWARD {
		type filter hook forward priority filter; policy drop;
	}
}
"""


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    made = Machine(tmp_path)
    made.command("nft", NFT)
    (tmp_path / "chains").write_text("")
    return made


def test_without_a_firewall_nothing_is_opened_and_it_is_noted(machine: Machine) -> None:
    assert set(machine.run("open")) == {"nft list chains"}
    assert (machine.root / "kubeboot-firewall").exists()
    machine.run("close")
    assert not (machine.root / "kubeboot-firewall").exists()


def test_nftables_chains_get_a_jump_to_ours_and_iptables_own_are_opened_by_iptables(machine: Machine) -> None:
    (machine.root / "chains").write_text(CHAINS)
    machine.command("iptables-nft", 'case "$*" in *" -D "*|*" -F "*) exit 1 ;; esac')
    told = machine.run("open")
    assert "  insert rule inet filter input jump kubeboot-input" in told
    rule = "tcp dport { 6443, 8443, 2379, 2380, 10250 } accept"
    assert f"  add rule inet filter kubeboot-input {rule}" in told
    assert "  add rule inet filter kubeboot-input udp dport { 8472 } accept" in told
    assert "iptables-nft -w -A KUBEBOOT-FORWARD -i cni0 -s 10.244.0.0/16 -j ACCEPT" in told
    assert told[-1] == "iptables-nft -w -I FORWARD -j KUBEBOOT-FORWARD"
    assert not [
        line
        for line in told
        if "kube-proxy" in line or "output" in line or ("nft -f" in line and "ip filter" in line)
    ]


def test_what_was_put_in_is_taken_out(machine: Machine) -> None:
    (machine.root / "chains").write_text(CHAINS)
    machine.command("iptables-nft", 'case "$*" in *-D*) [ ! -e "$ROOT/gone" ] && : >"$ROOT/gone" ;; esac')
    told = machine.run("close")
    assert "nft delete rule inet filter input handle 7" in told
    assert "nft delete chain inet filter kubeboot-input" in told
    assert told[-4:] == [
        "iptables-nft -w -D FORWARD -j KUBEBOOT-FORWARD",
        "iptables-nft -w -D FORWARD -j KUBEBOOT-FORWARD",
        "iptables-nft -w -F KUBEBOOT-FORWARD",
        "iptables-nft -w -X KUBEBOOT-FORWARD",
    ]


def test_legacy_tables_that_nft_does_not_show_are_opened_too(machine: Machine) -> None:
    (machine.root / "ip_tables_names").write_text("nat\nfilter\n")
    machine.command("iptables-legacy", 'case "$*" in *" -D "*|*" -F "*) exit 1 ;; esac')
    told = machine.run("open")
    assert "iptables-legacy -w -A KUBEBOOT-INPUT -p tcp --dport 6443 -j ACCEPT" in told
    assert "iptables-legacy -w -I INPUT -j KUBEBOOT-INPUT" in told


def test_firewalld_gets_policies_of_its_own_and_loses_them(machine: Machine) -> None:
    policies = machine.root / "firewalld" / "policies"
    policies.mkdir(parents=True)
    machine.command("firewall-cmd")
    assert machine.run("open")[-1] == "firewall-cmd --reload"
    host, pods = ((policies / name).read_text() for name in ("kubeboot.xml", "kubeboot-pods.xml"))
    assert '<port port="6443" protocol="tcp"/>' in host and '<egress-zone name="HOST"/>' in host
    assert '<source address="10.244.0.0/16"/><accept/>' in pods
    assert machine.run("close")[-1] == "firewall-cmd --reload"
    assert list(policies.iterdir()) == []


def test_vrrp_and_ipv6_pods_are_let_through_where_they_are(machine: Machine) -> None:
    spec = ClusterSpec(
        open_firewall=True,
        load_balancer=LoadBalancer(virtual_ip=VirtualIp(address="192.0.2.100")),
        networking=Networking(pod_subnet="fd00:1::/56"),
    )
    (machine.root / "chains").write_text(
        CHAINS.replace("hook output", "hook forward").replace("ip filter", "ip old")
    )
    told = machine.run("open", spec)
    assert "  add rule inet filter kubeboot-input meta l4proto 112 accept" in told
    rule = f"iifname {LINKS} ip6 saddr fd00:1::/56 accept"
    assert f"  add rule inet filter kubeboot-forward {rule}" in told
    assert not [line for line in told if "add rule ip old" in line], "no IPv6 in an IPv4 table"
