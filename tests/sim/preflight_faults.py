"""The host faults that preflight is held to: catalog number, finding, how to seed it on a fake machine.

Chosen from the catalog before the checks were written. docs/preflight.md has the same table; a test compares.
"""

from __future__ import annotations

import socket
from typing import Any

from kubeboot.config.spec import LoadBalancer, VirtualIp
from kubeboot.host.model import Chain, Container, Mount, Process, Rule
from kubeboot.kube.surroundings import Machine
from kubeboot.steps.preflight.machine import COMMANDS
from tests.sim import preflight_faults_machine, preflight_faults_network
from tests.sim.preflight_seeds import (
    MACHINE_ID,
    UNITS,
    Fault,
    Seed,
    Stage,
    all_of,
    cluster,
    facts,
    host,
    link,
    link_to,
    listen,
    mount,
    peer,
    put,
    run,
    spec,
)

_ENDPOINT = ("k8s.example.org", 6443)


def _external() -> Seed:
    return spec(control_plane_endpoint=_ENDPOINT[0], load_balancer=LoadBalancer(mode="external"))


def _unresolved(stage: Stage) -> None:
    def fail() -> Any:
        raise socket.gaierror(-2, "Name or service not known")

    stage.host.dialers[_ENDPOINT] = fail


def _virtual(address: str, peers: tuple[str, ...] = ()) -> Seed:
    virtual = VirtualIp(address=address, peers=peers)
    return spec(load_balancer=LoadBalancer(virtual_ip=virtual))


def _containerd(text: str) -> Seed:
    return all_of(
        facts(commands=frozenset({*COMMANDS, "containerd"})),
        host(lambda h: setattr(h, "containerd_config", text)),
    )


def _container(stage: Stage) -> None:
    run("containerd.service")(stage)
    stage.host.container_table["c"] = Container("c", "image", "web", "web-1", "default", pid=99)


_FILE = "a file"
_API = "the cluster's Nodes, when joining"


FAULTS = (
    *preflight_faults_machine.FAULTS,
    *preflight_faults_network.FAULTS,
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
    # joining
    Fault("20", "ClockSkew", "error", "Date of the API's answer", cluster(ahead=252.0)),
    Fault("20", "ClockSkew", "warning", "Date of the API's answer", cluster(ahead=-5.0)),
    Fault(
        "54",
        "PeerUnreachable-6443",
        "error",
        "a connection to every API server",
        cluster(control_planes=(("192.0.2.12", 6443),)),
    ),
    Fault("29", "DuplicateMachineID", "error", _API, peer(machine_id=MACHINE_ID)),
    Fault(
        "29",
        "DuplicateProductUUID",
        "warning",
        _API,
        all_of(peer(product_uuid="4C4C4544-0001"), put("/sys/class/dmi/id/product_uuid", "4c4c4544-0001\n")),
    ),
    Fault("50", "DuplicateAddress", "error", _API, peer(addresses=("192.0.2.11",))),
    Fault("91", "VersionSkew", "error", "the API server's version", cluster(version="v1.36.4")),
    Fault(
        "88",
        "EvenControlPlanes",
        "warning",
        _API,
        cluster("control_plane", peers=(Machine("node-2", control_plane=True),)),
    ),
    Fault(
        "74",
        "EndpointUnreachable",
        "error",
        "a connection to the endpoint, without haproxy here",
        all_of(_external(), cluster()),
    ),
    Fault(
        "74",
        "EndpointUnknown",
        "warning",
        "the endpoint's name, without haproxy here",
        all_of(_external(), _unresolved),
    ),
    Fault(
        "75",
        "VirtualIPTaken",
        "error",
        "a connection, and who answers ARP",
        all_of(
            _virtual("192.0.2.100"),
            put("/proc/net/arp", "IP\n192.0.2.100 0x1 0x2 02:00:00:00:00:09 * eth0\n"),
        ),
    ),
    Fault("75", "VirtualIPNetwork", "error", "addresses", _virtual("198.51.100.1")),
    Fault("75", "VirtualIPOwn", "error", "addresses", _virtual("192.0.2.11")),
    Fault("75", "VirtualIPPeers", "error", "spec", _virtual("192.0.2.100", ("192.0.2.12",))),
    # seeded in another way, or what an administrator's hardening and another installer leave
    Fault("-", "Mem", "error", "the control group's limit", put("/sys/fs/cgroup/memory.max", "536870912\n")),
    Fault(
        "-", "NumCPU", "error", "the control group's quota", put("/sys/fs/cgroup/cpu.max", "100000 100000\n")
    ),
    Fault("44", "PidsLimit", "warning", "the control group's limit", put("/sys/fs/cgroup/pids.max", "512\n")),
    Fault(
        "19",
        "HostsEntry",
        "warning",
        "/etc/hosts",
        put("/etc/hosts", "127.0.0.1 localhost\n198.51.100.9 cp-1\n"),
    ),
    Fault(
        "32",
        "ModuleDisabled-br_netfilter",
        "warning",
        "modprobe.d, where it is loaded",
        all_of(
            put("/etc/modprobe.d/cis.conf", "blacklist br-netfilter\n"),
            host(lambda h: h.modules.add("br_netfilter")),
        ),
    ),
    Fault(
        "33",
        "SysctlReadOnly",
        "error",
        "mount table, effective values",
        host(lambda h: h.mount_table.append(Mount("proc", "/proc/sys", "proc", ("ro",)))),
    ),
    Fault(
        "44",
        "KernelLimit-user.max_net_namespaces",
        "warning",
        "effective values",
        host(lambda h: h.sysctls.update({"user.max_net_namespaces": "0"})),
    ),
    Fault(
        "44",
        "KernelLimit-kernel.pid_max",
        "warning",
        "effective values",
        host(lambda h: h.sysctls.update({"kernel.pid_max": "4096"})),
    ),
    Fault(
        "1",
        "LocalPortRange",
        "warning",
        "effective values",
        host(lambda h: h.sysctls.update({"net.ipv4.ip_local_port_range": "1024\t65535"})),
    ),
    Fault(
        "31",
        "SwapReturns-mkswap.service",
        "error",
        "enabled services that call swapon",
        all_of(
            put("/etc/systemd/system/mkswap.service", "[Service]\nExecStart=/sbin/swapon /swapfile\n"),
            link_to(
                "/etc/systemd/system/multi-user.target.wants/mkswap.service",
                "/etc/systemd/system/mkswap.service",
            ),
        ),
    ),
    Fault("49", "NotADirectory-etc-kubernetes", "error", "lstat", put("/etc/kubernetes", "")),
    Fault("49", "ReadOnly-etc-kubernetes", "error", "mount table", mount("/etc/kubernetes", "ro")),
    Fault("1", "Port-10256", "error", "/proc/net/tcp, /proc/PID/fd", listen(10256)),
    Fault(
        "54",
        "Firewall-rules",
        "warning",
        "nftables' rules that drop or reject",
        host(lambda h: h.refusals.append(Rule("inet", "f", "in", "tcp dport { 22, 6443 } counter drop"))),
    ),
    Fault(
        "63",
        "ResolverInvalid",
        "warning",
        "/etc/resolv.conf",
        facts(nameservers=("192.0.2.53", "dns.example.org")),
    ),
    Fault(
        "63",
        "SearchDomains",
        "warning",
        "/etc/resolv.conf",
        put(
            "/etc/resolv.conf", f"nameserver 192.0.2.53\nsearch {' '.join(f'd{n}.test' for n in range(30))}\n"
        ),
    ),
    Fault(
        "66",
        "ProxyEnvironment",
        "warning",
        "/etc/environment",
        put("/etc/environment", 'https_proxy="http://p:1"\n'),
    ),
    Fault(
        "66",
        "ProxyDefault",
        "error",
        "systemd's own settings",
        put(
            "/etc/systemd/system.conf.d/proxy.conf",
            '[Manager]\nDefaultEnvironment="HTTPS_PROXY=http://p:1"\n',
        ),
    ),
    Fault(
        "69",
        "OpenFiles",
        "warning",
        "systemd's own settings",
        put("/etc/systemd/system.conf", "[Manager]\n#DefaultLimitNOFILE=1\nDefaultLimitNOFILE=1024:4096\n"),
    ),
    Fault(
        "2",
        "KubeletExtraArgs",
        "warning",
        "/etc/default/kubelet, /etc/sysconfig/kubelet",
        put("/etc/default/kubelet", "KUBELET_EXTRA_ARGS=--container-runtime=remote\n"),
    ),
    Fault(
        "37",
        "ContainerdConfig",
        "warning",
        "/etc/containerd/config.toml",
        put("/etc/containerd/config.toml", "version = = 3\n"),
    ),
    Fault(
        "2",
        "Masked-kubelet",
        "warning",
        "systemd's directories",
        link_to("/etc/systemd/system/kubelet.service", "/dev/null"),
    ),
    Fault(
        "2", "Leftover-var-lib-rancher", "warning", "a directory", put("/var/lib/rancher/k3s/server/token")
    ),
)
