"""kubeboot.pyz alone on a machine: a cluster from one file, a support file without its secrets, and back."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.harness import TOP, Lab, Machine, difference, snapshot

pytestmark = pytest.mark.cluster

FILE = "/root/kubeboot.pyz"
BUNDLE = "/var/lib/kubeboot-lab/bundle.tar"
CANARIES = r"""
cat /etc/kubernetes/pki/*.key /etc/kubernetes/pki/etcd/*.key /var/lib/kubelet/pki/*.pem |
  awk '/BEGIN.*PRIVATE/ {key = 1; next} /END/ {key = 0} key && length > 20'
awk '/client-key-data/ {print $2}' /etc/kubernetes/*.conf
kubectl --kubeconfig /etc/kubernetes/admin.conf --namespace kube-system get secret \
  --output 'go-template={{range .items}}{{index .data "token-secret" | base64decode}}{{"\n"}}{{end}}'
"""


@pytest.fixture(scope="module")
def machine(request: pytest.FixtureRequest) -> Iterator[Machine]:
    """One machine, with the file and without the kubeboot that the lab gives to others."""

    def failed() -> bool:
        return request.session.testsfailed > 0

    with Lab.up(control_planes=1, workers=0, failed=failed) as lab:
        found = lab["cp-1"]
        found.run("rm", "-f", "/usr/local/bin/kubeboot")
        yield found


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file as .ci/package makes it, from a copy of the tree: dist/ is left as it is."""
    tree = tmp_path_factory.mktemp("tree")
    skip = shutil.ignore_patterns(".git", ".venv", "dist", ".*_cache", "__pycache__", "tests", ".hypothesis")
    shutil.copytree(TOP, tree, dirs_exist_ok=True, ignore=skip, symlinks=True)
    subprocess.run((str(tree / ".ci/package"),), check=True, stdout=subprocess.DEVNULL)
    return tree / "dist/kubeboot.pyz"


@pytest.fixture(scope="module")
def before(machine: Machine, built: Path) -> dict[str, str]:
    """The machine with the file on it, unpacked once."""
    machine.run("sh", "-c", f"cat > {FILE}", stdin=built.read_bytes())
    machine.run("python3", FILE, "version")
    return snapshot(machine)


def test_it_unpacks_where_only_root_can_write(machine: Machine, before: dict[str, str]) -> None:
    assert machine.run("stat", "-c", "%a %U", "/var/cache/kubeboot/pyz").out == "700 root\n"


def test_it_makes_a_cluster(machine: Machine, before: dict[str, str]) -> None:
    done = machine.run("python3", FILE, "init", "--single", "--bundle", BUNDLE)
    assert "the cluster is ready" in done.err
    again = machine.run("python3", FILE, "init", "--single", "--bundle", BUNDLE)
    assert "nothing changed" in again.err


def test_its_support_file_has_no_secret_of_the_machine(machine: Machine) -> None:
    machine.run("python3", FILE, "support", "-o", "/root/support.tar.gz")
    canaries = machine.run("sh", "-c", CANARIES).out.split()
    assert len(canaries) > 30
    text = machine.run("tar", "-xOzf", "/root/support.tar.gz").out
    assert "kube-apiserver" in text
    assert [canary for canary in canaries if canary in text] == []
    machine.run("rm", "/root/support.tar.gz")


def test_it_takes_everything_back(machine: Machine, before: dict[str, str]) -> None:
    machine.run("python3", FILE, "reset", "--yes")
    left = [line for line in difference(before, snapshot(machine)) if "/var/cache/kubeboot/pyz" not in line]
    assert left == []
