"""A cluster in memory that is well, to fall ill in a test, and what the doctor's checks find in it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from kubeboot.config.spec import ClusterSpec
from kubeboot.fleet.doctor import checkup
from kubeboot.fleet.doctor import etcd as checkup_etcd
from kubeboot.fleet.doctor import overlay as checkup_overlay
from kubeboot.fleet.doctor.patient import Patient
from kubeboot.fleet.status import CertificateStatus, NodeStatus, PodStatus, Status
from kubeboot.host.model import Link
from tests.fakes.api import FakeApi
from tests.fakes.host import FakeHost

MAC = "b2:ef:99:a8:20:8f"
WELL = Status(
    nodes=(NodeStatus("cp-1", "control-plane", True, "v1.37.1", "192.0.2.11", "containerd://2.3.7"),),
    pods=(PodStatus("kube-system", "etcd-cp-1", "cp-1", True, 0, "Running"),),
    certificates=(CertificateStatus("/etc/kubernetes/pki/apiserver.crt", 364),),
)


class _Socket:
    def close(self) -> None: ...


def a_node(name: str, number: int, **conditions: str) -> dict[str, Any]:
    said = {"Ready": "True", "DiskPressure": "False", **conditions}
    return {
        "apiVersion": "v1", "kind": "Node",
        "metadata": {"name": name, "annotations": {checkup_overlay.VTEP: json.dumps({"VtepMAC": MAC})}},
        "spec": {"podCIDR": f"10.244.{number}.0/24"},
        "status": {"conditions": [{"type": t, "status": s, "message": "why"} for t, s in said.items()]},
    }  # fmt: skip


def a_pod(name: str, node: str, ip: str, label: str, value: str, image: str = "x:v1") -> dict[str, Any]:
    return {
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name, "namespace": "kube-system", "labels": {label: value}},
        "spec": {"nodeName": node, "containers": [{"name": "a", "image": image}]},
        "status": {"podIP": ip},
    }  # fmt: skip


def well() -> Patient:
    """A control plane and a worker, of which everything is as it should be."""
    host = FakeHost()
    for unit in checkup.UNITS:
        host.write(f"/etc/systemd/system/{unit}", b"[Service]\n")
        host.daemon_reload()
        host.start(unit)
    host.link_table["flannel.1"] = Link("flannel.1", "vxlan")
    host.write(
        "/proc/net/route", b"Iface\tDestination\nflannel.1\t0001F40A\t0001F40A\t0003\t0\t0\t0\t00FFFFFF\n"
    )
    host.write(
        "/proc/net/arp",
        f"IP address HW type Flags HW address Mask Device\n10.244.1.0 0x1 0x6 {MAC} * flannel.1\n".encode(),
    )
    host.dialers["127.0.0.1", 8444] = _Socket  # type: ignore[assignment]
    host.dialers["10.244.1.7", 53] = _Socket  # type: ignore[assignment]
    api = FakeApi(
        a_node("cp-1", 0),
        a_node("worker-1", 1),
        a_pod("coredns-1", "worker-1", "10.244.1.7", "k8s-app", "kube-dns"),
        a_pod(
            "kube-apiserver-cp-1",
            "cp-1",
            "192.0.2.11",
            "component",
            "kube-apiserver",
            "r/kube-apiserver:v1.37.1",
        ),
    )
    return Patient("cp-1", "192.0.2.11", ClusterSpec(), host, api, WELL)


QUIET = tuple(check for check in checkup.CHECKS if check not in (checkup.names, checkup_etcd.etcd))


def found(patient: Patient, checks: tuple[Callable[..., Any], ...] = QUIET) -> list[str]:
    return [f"{f.level}:{f.name}" for check in checks for f in check(patient)]


def host_of(patient: Patient) -> FakeHost:
    assert isinstance(patient.see, FakeHost)
    return patient.see


def api_of(patient: Patient) -> FakeApi:
    assert isinstance(patient.api, FakeApi)
    return patient.api
