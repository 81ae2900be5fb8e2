"""Firewalls on real machines: found, opened when that is asked for, opened again, restored."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.e2e.harness import Lab, Machine, difference, snapshot
from tests.e2e.test_cluster import get, join_command

pytestmark = [pytest.mark.cluster, pytest.mark.long]

RULES = b"""
table inet filter {
	chain input {
		type filter hook input priority filter; policy drop;
		ct state established,related accept
		iifname "lo" accept
		tcp dport 22 accept
	}
	chain forward {
		type filter hook forward priority filter; policy drop;
	}
}
"""
UFW = "ufw default deny incoming; ufw default deny routed; ufw allow 22/tcp; ufw --force enable"


@pytest.fixture(scope="module")
def lab(request: pytest.FixtureRequest) -> Iterator[Lab]:
    def failed() -> bool:
        return request.session.testsfailed > 0

    with Lab.up(control_planes=1, workers=1, failed=failed) as made:
        yield made


def picture(machine: Machine) -> dict[str, str]:
    """The machine, and its firewalls' rules byte for byte."""
    rules = machine.run("nft", "list", "ruleset").out
    saved = machine.run("sh", "-c", "! command -v iptables-save >/dev/null || iptables-save | grep -v ^#").out
    return {**snapshot(machine), "ruleset": rules, "iptables": saved}


def findings(machine: Machine) -> set[str]:
    told = json.loads(machine.run("kubeboot", "preflight", "-o", "json", check=False).out)
    return {finding["name"] for finding in told["findings"] if finding["name"].startswith("Firewall")}


def make(cp: Machine, worker: Machine) -> None:
    """A cluster of both, whose pods and machines reach each other."""
    cp.run("kubeboot", "init", "--open-firewall")
    worker.run(*join_command(cp))
    assert len(get(cp, "nodes")["items"]) == 2  # type: ignore[arg-type]
    for machine in (cp, worker):
        assert findings(machine) == set()
        machine.run("kubeboot", "doctor")


def unmake(machines: tuple[Machine, ...], before: dict[str, dict[str, str]]) -> None:
    for machine in reversed(machines):
        machine.run("kubeboot", "reset", "--yes", "--force")
        assert difference(before[machine.name], picture(machine)) == []


def test_a_table_that_drops_is_found_opened_and_restored(lab: Lab) -> None:
    cp, worker = lab["cp-1"], lab["worker-1"]
    for machine in lab.machines:
        machine.run("nft", "-f", "-", stdin=RULES)
        assert findings(machine) == {"Firewall-policy"}
    before = {machine.name: picture(machine) for machine in lab.machines}
    told = cp.run("kubeboot", "init", "--open-firewall", "--dry-run")
    assert "which opens inet filter input, inet filter forward" in told.out + told.err
    make(cp, worker)
    for machine in lab.machines:
        machine.run("nft", "-f", "-", stdin=b"delete table inet filter\n" + RULES)
        assert findings(machine) == {"Firewall-policy"}
    again = ("kubeboot", "init", "--open-firewall")
    told = cp.run(*again, "--dry-run")
    assert "which was reloaded" in told.out + told.err
    cp.run(*again)
    worker.run(*join_command(cp))
    for machine in lab.machines:
        machine.run("kubeboot", "doctor")
    unmake(lab.machines, before)
    for machine in lab.machines:
        machine.run("nft", "delete", "table", "inet", "filter")


def test_ufw_and_firewalld_are_opened_and_restored(lab: Lab) -> None:
    cp, worker = lab["cp-1"], lab["worker-1"]
    for machine, package in ((cp, "ufw"), (worker, "firewalld")):
        got = machine.run(
            "sh", "-c", f"apt-get -qq update && apt-get -qqy install {package} >/dev/null", check=False
        )
        if got.code:
            pytest.skip(f"no {package} from here: {got.err[-200:]}")
    cp.run("sh", "-c", UFW)
    worker.run("systemctl", "start", "firewalld")
    before = {machine.name: picture(machine) for machine in lab.machines}
    assert findings(cp) == {"Firewall-ufw"} and findings(worker) == {"Firewall-firewalld"}
    make(cp, worker)
    cp.run("ufw", "reload")
    worker.run("firewall-cmd", "--reload")
    worker.run("systemctl", "restart", "firewalld")
    for machine in lab.machines:
        machine.run("kubeboot", "doctor")
    unmake(lab.machines, before)
