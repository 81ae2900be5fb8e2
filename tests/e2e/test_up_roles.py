"""A fleet with etcd and a balancer on machines of their own, playbooks, and a second workstation."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.harness import LAB, Lab, difference, members, snapshot
from tests.e2e.test_up import journal, kubeboot, nodes

pytestmark = [pytest.mark.cluster, pytest.mark.long]

ANYBODY = """\
Host *
  IdentityFile {key}
  StrictHostKeyChecking no
  UserKnownHostsFile /dev/null
"""
ALL = ("etcd-1", "etcd-2", "etcd-3", "cp-1", "cp-2", "lb-1", "worker-1")
HARDEN = """\
- hosts: all
  gather_facts: false
  tasks:
  - name: Harden it
    copy: {content: "{{ inventory_hostname }}", dest: /root/hardened}
"""
CHARTS = """\
- hosts: kube_control_plane
  gather_facts: false
  tasks:
  - name: Install what every cluster has
    command: kubectl --kubeconfig /etc/kubernetes/admin.conf create namespace from-a-hook
"""


@pytest.fixture(scope="module")
def lab(request: pytest.FixtureRequest) -> Iterator[Lab]:
    failed = lambda: request.session.testsfailed > 0  # noqa: E731
    with Lab.up(control_planes=2, workers=1, failed=failed, balancers=1, etcd=3) as made:
        yield made


@pytest.fixture(scope="module")
def clean(lab: Lab) -> dict[str, dict[str, str]]:
    return {name: snapshot(lab[name]) for name in ("etcd-3", "lb-1")}


@pytest.fixture(scope="module")
def config(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("fleet")
    (folder / "harden.yml").write_text(HARDEN)
    (folder / "charts.yml").write_text(CHARTS)
    said = {
        "apiVersion": "kubeboot.io/v1alpha1",
        "kind": "Cluster",
        "controlPlaneEndpoint": f"{lab['lb-1'].address}:8443",
        "hooks": {"before_host": str(folder / "harden.yml"), "after_init": str(folder / "charts.yml")},
    }
    (folder / "cluster.yaml").write_text(json.dumps(said))
    return str(folder / "cluster.yaml")


def without(lab: Lab, folder: Path, *names: str) -> Path:
    """The lab's inventory less some machines."""
    argv = (str(LAB), "inventory", "--name", lab.name)
    found = json.loads(subprocess.run(argv, check=True, capture_output=True, text=True).stdout)
    for group in (group for name, group in found.items() if name != "_meta"):
        group["hosts"] = [host for host in group.get("hosts", ()) if host not in names]
    script = folder / "smaller"
    script.write_text(f"#!/bin/sh\ncat <<'E'\n{json.dumps(found)}\nE\n")
    script.chmod(0o755)
    return script


def test_all_of_it_is_made_in_one_run(lab: Lab, clean: dict[str, dict[str, str]], config: str) -> None:
    told = kubeboot(lab, "plan", "--config", config, code=10).out
    assert "hook/before_host" in told and "Join as a balancer" in told
    said = kubeboot(lab, "up", "--config", config).err
    assert f"machines: {len(ALL)} changed" in said and "harden.yml: Harden it" in said
    assert set(nodes(lab)) == {"cp-1", "cp-2", "worker-1"}
    assert members(lab["etcd-1"]) == dict.fromkeys(ALL[:3], True)
    for name in ("cp-1", "cp-2"):
        manifest = lab[name].run("cat", "/etc/kubernetes/manifests/kube-apiserver.yaml").out
        assert all(f"https://{lab[each].address}:2379" in manifest for each in ALL[:3])
    assert (
        f"https://{lab['lb-1'].address}:8443"
        in lab["worker-1"].run("cat", "/etc/kubernetes/kubelet.conf").out
    )


def test_the_playbooks_have_run(lab: Lab, config: str) -> None:
    assert {lab[name].run("cat", "/root/hardened").out for name in ALL} == set(ALL)
    argv = ("kubectl", "--kubeconfig", "/etc/kubernetes/admin.conf", "get", "namespace", "from-a-hook")
    assert lab["cp-2"].run(*argv).code == 0


def test_a_second_run_changes_nothing(lab: Lab, config: str) -> None:
    before = {name: journal(lab, name) for name in ALL}
    assert f"{len(ALL)} as they should be" in kubeboot(lab, "up", "--config", config).err
    assert {name: journal(lab, name) for name in ALL} == before
    assert "nothing would change" in kubeboot(lab, "plan", "--config", config).out


def test_another_workstation_needs_nothing_but_ssh(lab: Lab, tmp_path: Path) -> None:
    way = variables(lab)["cp-2"]
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh" / "config").write_text(ANYBODY.format(key=way["ansible_ssh_private_key_file"]))
    where = ("--from", f"{way['ansible_user']}@{way['ansible_host']}:{way['ansible_port']}")
    told = kubeboot(lab, "plan", *where, inventory=None, home=tmp_path)
    assert "nothing would change" in told.out
    again = kubeboot(lab, "up", *where, inventory=None, home=tmp_path).err
    assert f"{len(ALL)} as they should be" in again


def variables(lab: Lab) -> dict[str, dict[str, str]]:
    argv = (str(LAB), "inventory", "--name", lab.name)
    listed = json.loads(subprocess.run(argv, check=True, capture_output=True, text=True).stdout)
    return dict(listed["_meta"]["hostvars"])


def test_a_member_leaves(lab: Lab, clean: dict[str, dict[str, str]], config: str, tmp_path: Path) -> None:
    smaller = without(lab, tmp_path, "etcd-3")
    assert "etcd-3" in kubeboot(lab, "plan", "--config", config, inventory=smaller, code=10).out
    kubeboot(lab, "up", "--yes", "--config", config, inventory=smaller)
    assert members(lab["etcd-1"]) == {"etcd-1": True, "etcd-2": True}
    manifest = lab["cp-2"].run("cat", "/etc/kubernetes/manifests/kube-apiserver.yaml").out
    assert lab["etcd-3"].address not in manifest
    found = difference(clean["etcd-3"], snapshot(lab["etcd-3"]))
    assert [line for line in found if "/root/hardened" not in line and ".ansible" not in line] == []
    kubeboot(lab, "plan", "--config", config, inventory=smaller)


def test_it_comes_back(lab: Lab, config: str) -> None:
    kubeboot(lab, "up", "--config", config)
    assert members(lab["etcd-2"]) == dict.fromkeys(ALL[:3], True)


def test_the_fleet_is_taken_down(lab: Lab, clean: dict[str, dict[str, str]], config: str) -> None:
    kubeboot(lab, "down", "--yes", "--config", config)
    for name in ("etcd-1", "lb-1", "cp-1", "worker-1"):
        assert "kubelet" not in snapshot(lab[name])["units"]
