"""Every host fault that preflight knows, seeded on a fit machine in memory; and no false finding there."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest

from kubeboot import errors
from kubeboot.config.spec import ClusterSpec
from kubeboot.host.api import Link, Listener, Mount
from kubeboot.host.facts import Facts, Nic
from kubeboot.plan import node
from kubeboot.steps import preflight
from kubeboot.steps.preflight.machine import COMMANDS
from tests.fakes.host import FakeHost

FIT = Facts(
    hostname="cp-1",
    machine_id="0123456789abcdef0123456789abcdef",
    os_id="debian",
    kernel="6.1.0-30-cloud-amd64",
    cpus=2,
    memory=4 << 30,
    nics=(Nic("eth0", ("192.0.2.11/24",)),),
    default_nic="eth0",
    default_source="192.0.2.11",
    nameservers=("192.0.2.53",),
    commands=frozenset(COMMANDS),
)
Seed = Callable[[FakeHost], None]


def names(
    host: FakeHost, facts: Facts = FIT, *, touched: bool = False, ignored: frozenset[str] = frozenset()
) -> list[str]:
    return [f"{f.level}:{f.name}" for f in findings(host, facts, touched=touched, ignored=ignored)]


def findings(
    host: FakeHost, facts: Facts = FIT, *, touched: bool = False, ignored: frozenset[str] = frozenset()
) -> tuple[preflight.Finding, ...]:
    spec = ClusterSpec()
    scene = preflight.Scene(spec, node.settings(spec, facts, "control_plane"), facts, host, touched)
    return preflight.examine(scene, preflight.CHECKS, ignored)


def test_a_fit_machine_has_no_finding() -> None:
    assert names(FakeHost()) == []


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"uid": 1000, "user": "vagrant"}, "error:IsPrivilegedUser"),
        ({"init": "openrc-init"}, "error:Systemd"),
        ({"arch": "s390x"}, "error:Architecture"),
        ({"kernel": "4.19.0-27-amd64"}, "error:KernelVersion"),
        ({"cpus": 1}, "error:NumCPU"),
        ({"memory": 1 << 30}, "error:Mem"),
        ({"commands": frozenset(COMMANDS) - {"nft"}}, "error:FileExisting-nft"),
        ({"swap": ("/dev/zram0",)}, "error:Swap"),
        ({"cgroup_v2": False}, "warning:CgroupV1"),
        ({"machine_id": ""}, "error:MachineID"),
        ({"nameservers": ("127.0.0.53",)}, "warning:Resolver"),
        ({"nics": (Nic("eth0", ("192.0.2.11/24",)), Nic("vpn0", ("10.244.7.1/24",)))}, "error:CIDROverlap"),
        ({"nics": (Nic("eth0", ("192.0.2.11/24",)), Nic("lan", ("10.100.0.1/16",)))}, "error:CIDROverlap"),
        ({"nics": (Nic("eth0", ("192.0.2.99/24",)),)}, "error:NodeAddress"),
    ],
)
def test_a_fault_in_the_facts_is_found(change: dict[str, object], name: str) -> None:
    assert names(FakeHost(), dataclasses.replace(FIT, **change)) == [name]  # type: ignore[arg-type]


def _listen(port: int, process: str = "nginx") -> Seed:
    return lambda host: host.listener_table.append(Listener("tcp", "0.0.0.0", port, 77, process))  # noqa: S104


def _write(path: str) -> Seed:
    def seed(host: FakeHost) -> None:
        host.mkdir(path.rpartition("/")[0])
        host.write(path, b"")

    return seed


def _run(unit: str) -> Seed:
    def seed(host: FakeHost) -> None:
        host.write(f"/etc/systemd/system/{unit}", b"[Service]\nExecStart=/bin/true\n")
        host.daemon_reload()
        host.start(unit)

    return seed


def _mount(point: str, option: str) -> Seed:
    return lambda host: host.mount_table.append(Mount("/dev/vdb", point, "ext4", ("rw", option)))


def _link(name: str) -> Seed:
    return lambda host: host.link_table.update({name: Link(name, addresses=("10.244.3.1/24",))})


@pytest.mark.parametrize(
    ("seed", "name"),
    [
        *((_listen(port), f"error:Port-{port}") for port in (6443, 2379, 2380, 10250, 10257, 10259, 8443)),
        (
            _write("/etc/kubernetes/manifests/x.yaml.bak"),
            "error:FileAvailable--etc-kubernetes-manifests-x.yaml.bak",
        ),
        (_write("/etc/kubernetes/admin.conf"), "error:FileAvailable--etc-kubernetes-admin.conf"),
        (_write("/etc/kubernetes/pki/ca.crt"), "error:FileAvailable--etc-kubernetes-pki-ca.crt"),
        (_write("/var/lib/etcd/member/wal"), "error:DirAvailable--var-lib-etcd"),
        *((_run(unit), f"error:Service-{unit.split('.')[0]}") for unit in ("k3s.service", "crio.service")),
        (_run("kubelet.service"), "error:Service-kubelet"),
        (_run("firewalld.service"), "warning:Firewall-firewalld"),
        (_run("ufw.service"), "warning:Firewall-ufw"),
        (_link("cni0"), "error:Link-cni0"),
        (_link("cilium_host"), "error:Link-cilium_host"),
        (_mount("/var/lib/containerd", "noexec"), "error:NoExec-var-lib-containerd"),
        (_mount("/opt", "ro"), "error:ReadOnly-opt"),
    ],
)
def test_a_fault_on_the_machine_is_found(seed: Seed, name: str) -> None:
    host = FakeHost()
    seed(host)
    assert names(host) == [name]


def test_a_full_disk_is_found() -> None:
    host = FakeHost()
    host.free = 1 << 20
    assert {"error:DiskSpace-var-lib", "error:DiskSpace-opt"} <= set(names(host))


def test_what_is_ours_is_no_finding_on_a_machine_of_ours() -> None:
    host = FakeHost()
    _listen(6443, "kube-apiserver")(host)
    _write("/etc/kubernetes/manifests/etcd.yaml")(host)
    _run("kubelet.service")(host)
    _link("cni0")(host)
    assert names(host, touched=True) == []


def test_a_foreign_process_on_our_port_is_a_finding_even_there() -> None:
    host = FakeHost()
    _listen(6443)(host)
    assert names(host, touched=True) == ["error:Port-6443"]


def test_ignoring_demotes_and_the_rest_is_refused_with_every_fix() -> None:
    host = FakeHost()
    _listen(6443)(host)
    _link("cni0")(host)
    some = findings(host, ignored=frozenset({"Port-6443"}))
    assert [f.level for f in some] == ["warning", "error"]
    with pytest.raises(errors.PreflightFailed) as caught:
        preflight.refuse(some)
    assert caught.value.exit_code == 3
    assert "[ERROR Link-cni0]" in (caught.value.output or "") and "ip link delete cni0" in (
        caught.value.output or ""
    )
    assert "Port-6443" not in (caught.value.output or "")
    preflight.refuse(findings(host, ignored=frozenset({"all"})))


def test_looking_changes_nothing() -> None:
    host = FakeHost()
    names(host)
    assert host.changes == []
