"""A fleet from one workstation, by inventories/lab alone: made, grown, changed, shrunk, taken down."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from kubeboot import log
from tests.e2e import canaries
from tests.e2e.harness import LAB, TOP, Done, Lab, snapshot

pytestmark = pytest.mark.cluster

INVENTORY = TOP / "inventories" / "lab"
QUICK = 60.0
"""Seconds for a run with nothing to do, on machines that are busy with other things."""


@pytest.fixture(scope="module")
def lab(request: pytest.FixtureRequest) -> Iterator[Lab]:
    with Lab.up(control_planes=2, workers=1, failed=lambda: request.session.testsfailed > 0) as made:
        yield made


def kubeboot(
    lab: Lab,
    *argv: str,
    inventory: Path | None = INVENTORY,
    code: int = 0,
    home: Path | None = None,
    **more: str,
) -> Done:
    """Run it here, as a person would at a workstation, whose `home` it is; says how long it took."""
    environment = {**os.environ, "KUBEBOOT_LAB": lab.name, "PYTHONPATH": str(TOP), **more}
    environment |= {"HOME": str(home)} if home else {}
    began = time.monotonic()
    listed = ("-i", str(inventory)) if inventory else ()
    command = (sys.executable, "-m", "kubeboot", *argv[:1], *listed, *argv[1:])
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=1200)
    print(f"kubeboot {' '.join(argv)}: {time.monotonic() - began:.1f} s")
    assert ran.returncode == code, f"{argv}: {ran.returncode}\n{ran.stdout}\n{ran.stderr}"
    return Done(ran.returncode, ran.stdout, ran.stderr)


def nodes(lab: Lab) -> dict[str, dict[str, str]]:
    """Labels by the name of each Node that is Ready."""
    argv = ("kubectl", "--kubeconfig", "/etc/kubernetes/admin.conf", "get", "nodes", "-o", "json")
    found = json.loads(lab["cp-1"].run(*argv).out)["items"]
    return {
        node["metadata"]["name"]: node["metadata"]["labels"]
        for node in found
        if any(c["type"] == "Ready" and c["status"] == "True" for c in node["status"]["conditions"])
    }


def journal(lab: Lab, name: str) -> str:
    return lab[name].run("sha256sum", "/var/lib/kubeboot/journal.jsonl").out


def test_the_fleet_is_made_and_no_key_is_shown_or_left(lab: Lab, tmp_path: Path) -> None:
    kubeboot(lab, "plan", code=10)
    with canaries.watching() as shown:
        made = kubeboot(lab, "up", "-vv", TMPDIR=str(tmp_path))
    assert "machines: 3 changed" in made.err
    assert set(nodes(lab)) == {"cp-1", "cp-2", "worker-1"}
    keys = canaries.keys(lab)
    assert len(keys) > 40 and any(b"/kubelet" in words for words in shown)
    assert [key for key in keys for words in (*shown, f"{made}".encode()) if key in words] == []
    assert {m.name: canaries.left(m, keys) for m in lab.machines} == {m.name: [] for m in lab.machines}
    logs = log.directory(os.environ, os.geteuid())
    assert canaries.within(logs, keys) == canaries.within(tmp_path, keys) == []


def test_a_second_run_changes_nothing(lab: Lab) -> None:
    before = {name: journal(lab, name) for name in ("cp-1", "cp-2", "worker-1")}
    began = time.monotonic()
    assert "3 as they should be" in kubeboot(lab, "up").err
    assert time.monotonic() - began < QUICK
    assert {name: journal(lab, name) for name in before} == before
    assert "nothing would change" in kubeboot(lab, "plan").out


def test_a_local_init_finds_nothing_but_its_own_bundle_to_verify(lab: Lab) -> None:
    plan = lab["cp-1"].run("kubeboot", "init", "--dry-run", "--skip-phases", "token").out
    left = [line.split()[1] for line in plan.splitlines() if line[:4].strip() in ("+", "~", "-", "?", "!")]
    assert left == ["artifacts/verify"], plan


def test_a_machine_is_added_and_only_that_is_touched(lab: Lab) -> None:
    counts = ("--control-planes", "2", "--workers", "2")
    subprocess.run((str(LAB), "up", *counts, "--name", lab.name), check=True)
    before = {name: journal(lab, name) for name in ("cp-2", "worker-1")}
    kubeboot(lab, "up")
    assert set(nodes(lab)) == {"cp-1", "cp-2", "worker-1", "worker-2"}
    assert {name: journal(lab, name) for name in before} == before


def test_a_setting_that_changes_is_rolled_out(lab: Lab, tmp_path: Path) -> None:
    config = tmp_path / "cluster.yaml"
    config.write_text("apiVersion: kubeboot.io/v1alpha1\nkind: Cluster\nkubelet: {maxPods: 99}\n")
    told = kubeboot(lab, "plan", "--config", str(config), code=10).out
    assert "kubelet" in told and "restart" in told
    kubeboot(lab, "up", "--config", str(config))
    for name in ("cp-1", "cp-2", "worker-1"):
        assert "maxPods: 99" in lab[name].run("cat", "/var/lib/kubelet/config.yaml").out
    kubeboot(lab, "plan", "--config", str(config))


def test_a_machine_that_left_the_inventory_is_removed(lab: Lab, tmp_path: Path) -> None:
    listed = subprocess.run(
        (str(LAB), "inventory", "--name", lab.name), check=True, capture_output=True, text=True
    )
    found = json.loads(listed.stdout)
    del found["_meta"]["hostvars"]["worker-2"]
    found["kube_node"]["hosts"].remove("worker-2")
    smaller = tmp_path / "smaller"
    smaller.write_text(f"#!/bin/sh\ncat <<'E'\n{json.dumps(found)}\nE\n")
    smaller.chmod(0o755)
    config = tmp_path / "cluster.yaml"
    config.write_text("apiVersion: kubeboot.io/v1alpha1\nkind: Cluster\nkubelet: {maxPods: 99}\n")
    more = ("--config", str(config))
    assert "worker-2" in kubeboot(lab, "plan", *more, inventory=smaller, code=10).out
    kubeboot(lab, "up", "--yes", *more, inventory=smaller)
    assert set(nodes(lab)) == {"cp-1", "cp-2", "worker-1"}
    kubeboot(lab, "plan", *more, inventory=smaller)


def test_the_fleet_is_taken_down(lab: Lab) -> None:
    assert "KB_USAGE" in kubeboot(lab, "down", code=2).err
    kubeboot(lab, "down", "--yes")
    for name in ("cp-1", "worker-1"):
        assert "kubelet" not in snapshot(lab[name])["units"]
