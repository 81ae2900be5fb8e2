"""A cluster without a bundle and without a way out: from a mirror of upstream, and from a directory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.harness import Lab, Machine
from tests.fakes import tls

pytestmark = pytest.mark.cluster

PORT = 8765
HOSTS = ("dl.k8s.io", "github.com", "registry.k8s.io", "ghcr.io", "docker.io")
SITE = "/root/site"
CONFIG = "/etc/kubeboot/cluster.yaml"


@pytest.fixture(scope="module")
def lab(request: pytest.FixtureRequest) -> Iterator[Lab]:
    def failed() -> bool:
        return request.session.testsfailed > 0

    with Lab.up(control_planes=1, workers=2, failed=failed) as made:
        yield made


@pytest.fixture(scope="module")
def upstream(lab: Lab) -> Machine:
    """The machine that answers for upstream, over TLS, and is no part of the cluster."""
    machine = lab["worker-2"]
    authority = tls.authority("site")
    pair = tls.issued(authority, "upstream", machine.address)
    script = Path(__file__).with_name("upstream.py").read_bytes()
    for path, data in (("server.crt", pair.certificate), ("server.key", pair.key), ("upstream.py", script)):
        put(machine, f"/root/{path}", data)
    machine.run(
        *("systemd-run", "--unit", "upstream", "python3", "/root/upstream.py"),
        *("/var/lib/kubeboot-lab/bundle.tar", "/root/server.crt", "/root/server.key", str(PORT)),
    )
    machine.run("timeout", "60", "sh", "-c", f"until ss -Hltn | grep -q :{PORT}; do sleep 0.2; done")
    return machine


@pytest.fixture(scope="module")
def cut_off(lab: Lab, upstream: Machine) -> tuple[Machine, Machine]:
    """A control plane and a worker to be, without a default route, that know the mirror."""
    machines = lab["cp-1"], lab["worker-1"]
    for machine in machines:
        machine.run("ip", "route", "del", "default")
        assert machine.run("ip", "route", "show", "default").out == ""
        put(machine, "/root/site-ca.pem", tls.authority("site").certificate)
        put(machine, CONFIG, mirrors(upstream.address).encode())
    return machines


def put(machine: Machine, path: str, data: bytes) -> None:
    machine.run("sh", "-c", f"umask 077; cat > {path}", stdin=data)


def mirrors(address: str) -> str:
    lines = "".join(f"    https://{host}: [https://{address}:{PORT}/{host}]\n" for host in HOSTS)
    return (
        "apiVersion: kubeboot.io/v1alpha1\nkind: Cluster\n"
        f"artifacts:\n  caFile: /root/site-ca.pem\n  mirrors:\n{lines}"
    )


def test_init_takes_everything_from_the_mirror(cut_off: tuple[Machine, Machine]) -> None:
    cp, _ = cut_off
    assert "the cluster is ready" in cp.run("kubeboot", "init").err
    lock = cp.run("cat", "/etc/kubeboot/lock.yaml").out
    assert "https://dl.k8s.io/release/" in lock
    assert "registry.k8s.io/kube-apiserver" in lock


def test_a_second_run_asks_the_mirror_nothing(cut_off: tuple[Machine, Machine], upstream: Machine) -> None:
    cp, _ = cut_off
    asked = requests(upstream)
    assert "nothing changed" in cp.run("kubeboot", "init").err
    assert requests(upstream) == asked


def test_a_worker_joins_from_a_directory_when_the_mirror_is_gone(
    cut_off: tuple[Machine, Machine], upstream: Machine
) -> None:
    cp, worker = cut_off
    worker.run("kubeboot", "artifacts", "pull", "--to", SITE)
    upstream.run("systemctl", "stop", "upstream")
    worker.run("rm", "-r", "/var/cache/kubeboot", "/etc/kubeboot/cluster.yaml", "/etc/kubeboot/lock.yaml")
    join = cp.run("kubeboot", "token", "create", "--print-join-command").out.split()
    assert "Ready" in worker.run(*join, "--bundle", SITE).err
    nodes = cp.run("kubectl", "--kubeconfig", "/etc/kubernetes/admin.conf", "get", "nodes", "--no-headers")
    assert sorted(line.split()[:2] for line in nodes.out.splitlines()) == [
        ["cp-1", "Ready"],
        ["worker-1", "Ready"],
    ]


def test_reset_takes_the_way_to_services_back(cut_off: tuple[Machine, Machine]) -> None:
    for machine in reversed(cut_off):
        assert "10.96.0.0/12 dev eth1" in machine.run("ip", "route").out
        machine.run("kubeboot", "reset", "--yes")
        assert "10.96.0.0/12" not in machine.run("ip", "route").out


def requests(upstream: Machine) -> int:
    """How much was asked for so far, by its log."""
    return len(upstream.run("journalctl", "--unit", "upstream", "--output", "cat").out.splitlines())
