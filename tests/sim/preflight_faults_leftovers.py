"""Faults of a runtime that was there, and of what others left."""

from __future__ import annotations

from kubeboot.host.model import Chain, Container, Process
from kubeboot.steps.preflight.machine import COMMANDS
from tests.sim.preflight_seeds import (
    UNITS,
    Fault,
    Seed,
    Stage,
    all_of,
    facts,
    host,
    link,
    put,
    run,
)


def _containerd(text: str) -> Seed:
    return all_of(
        facts(commands=frozenset({*COMMANDS, "containerd"})),
        host(lambda h: setattr(h, "containerd_config", text)),
    )


def _container(stage: Stage) -> None:
    run("containerd.service")(stage)
    stage.host.container_table["c"] = Container("c", "image", "web", "web-1", "default", pid=99)


_FILE = "a file"


FAULTS = (
    # a runtime that was there
    Fault(
        "38",
        "Old-containerd",
        "warning",
        "containerd --version",
        host(lambda h: h.tool_versions.update(containerd="1.6.20")),
    ),
    Fault(
        "38", "Old-runc", "warning", "runc --version", host(lambda h: h.tool_versions.update(runc="1.0.3"))
    ),
    Fault(
        "37", "CRIDisabled", "warning", "containerd config dump", _containerd('disabled_plugins = ["cri"]\n')
    ),
    Fault(
        "34",
        "CgroupDriver",
        "warning",
        "containerd config dump",
        _containerd("[plugins.cri.containerd.runtimes.runc.options]\nSystemdCgroup = false\n"),
    ),
    Fault(
        "35",
        "CgroupDriverRunning",
        "error",
        "the cgroups of running pods",
        host(lambda h: h.process_table.update({9: Process(9, "pause", "/kubepods/besteffort/pod1/abc")})),
    ),
    Fault("2", "Containers", "error", "containerd's k8s.io namespace", _container),
    Fault(
        "2",
        "DropIn-20-old.conf",
        "warning",
        "drop-ins of containerd and kubelet",
        put(
            "/etc/systemd/system/kubelet.service.d/20-old.conf",
            "[Service]\nExecStart=\nExecStart=/opt/kubelet\n",
        ),
    ),
    # what others left
    Fault(
        "14",
        "FileAvailable--etc-kubernetes-manifests-x.yaml.bak",
        "error",
        _FILE,
        put("/etc/kubernetes/manifests/x.yaml.bak"),
    ),
    Fault("2", "FileAvailable--etc-kubernetes-admin.conf", "error", _FILE, put("/etc/kubernetes/admin.conf")),
    Fault("2", "FileAvailable--etc-kubernetes-pki-ca.crt", "error", _FILE, put("/etc/kubernetes/pki/ca.crt")),
    Fault("85", "DirAvailable--var-lib-etcd", "error", _FILE, put("/var/lib/etcd/member/wal")),
    *(
        Fault("2", f"Service-{unit.partition('.')[0]}", "error", UNITS, run(unit))
        for unit in (
            "k3s.service",
            "rke2-server.service",
            "k0scontroller.service",
            "crio.service",
            "kubelet.service",
        )
    ),
    Fault("2", "Service-snap", "error", UNITS, run("snap.microk8s.daemon-kubelite.service")),
    Fault("53", "Service-docker", "warning", UNITS, run("docker.service")),
    Fault("7", "Link-cni0", "error", "links", link("cni0", addresses=("10.244.3.1/24",))),
    Fault("7", "Link-cilium_host", "error", "links", link("cilium_host")),
    Fault("7", "CNIConfig-05-cilium.conflist", "error", _FILE, put("/etc/cni/net.d/05-cilium.conflist")),
    Fault("7", "CNIState", "error", _FILE, put("/var/lib/cni/networks/cbr0/10.244.3.7")),
    Fault(
        "62",
        "FlannelSubnet",
        "error",
        _FILE,
        put("/run/flannel/subnet.env", "FLANNEL_NETWORK=10.42.0.0/16\nFLANNEL_SUBNET=10.42.1.1/24\n"),
    ),
    Fault(
        "59",
        "Nftables-kube-proxy",
        "error",
        "nft tables",
        host(lambda h: h.nft.append(("ip", "kube-proxy")) or True),
    ),
    Fault(
        "59",
        "IptablesChains",
        "error",
        "nft chains",
        host(lambda h: h.chains.append(Chain("ip", "nat", "KUBE-SERVICES"))),
    ),
)
