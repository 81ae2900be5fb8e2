"""The host faults that preflight is held to: catalog number, finding, how to seed it on a fake machine.

Chosen from the catalog before the checks were written. docs/preflight.md has the same table; a test compares.
"""

from __future__ import annotations

import dataclasses
import socket
from collections.abc import Callable, Mapping
from typing import Any, Literal

from kubeboot.config.machines import NodeOptions
from kubeboot.config.node import Role
from kubeboot.config.spec import ClusterSpec, LoadBalancer, VirtualIp
from kubeboot.host.api import Chain, Container, Link, Listener, Mount, Process, Rule
from kubeboot.host.facts import Facts, Nic
from kubeboot.kube.surroundings import Machine
from kubeboot.plan import node
from kubeboot.steps import preflight
from kubeboot.steps.preflight.machine import COMMANDS
from tests.fakes.host import FakeHost

MACHINE_ID = "0123456789abcdef0123456789abcdef"
KERNEL = "6.1.0-30-cloud-amd64"
FIT = Facts(
    hostname="cp-1",
    machine_id=MACHINE_ID,
    os_id="debian",
    kernel=KERNEL,
    cpus=2,
    memory=4 << 30,
    nics=(Nic("eth0", ("192.0.2.11/24",)),),
    default_nic="eth0",
    default_source="192.0.2.11",
    nameservers=("192.0.2.53",),
    commands=frozenset(COMMANDS),
    clock=1_795_000_000.0,
)
NETWORKING = "networking"


def fit() -> FakeHost:
    """A Debian machine as it is after its installation."""
    host = FakeHost()
    names = ("fs/overlayfs/overlay", "net/bridge/br_netfilter", "net/netfilter/nf_conntrack")
    names += ("drivers/net/vxlan/vxlan", "net/netfilter/nf_tables")
    put(f"/lib/modules/{KERNEL}/modules.dep", "".join(f"kernel/{n}.ko.xz:\n" for n in names))(Stage(host))
    for path, text in {
        "/sys/fs/cgroup/cgroup.controllers": "cpuset cpu io memory hugetlb pids rdma misc\n",
        "/proc/self/status": "Name:\tkubeboot\nNoNewPrivs:\t0\nSeccomp:\t0\n",
        "/proc/self/mountinfo": "25 1 8:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw\n",
        "/proc/net/route": "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\n"
        "eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\n"
        "eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\n",
        "/etc/fstab": "/dev/vda1 / ext4 errors=remount-ro 0 1\n#/swapfile none swap sw 0 0\n",
        "/etc/hosts": "127.0.0.1\tlocalhost\n127.0.1.1\tcp-1\n",
        "/etc/sysctl.d/99-sysctl.conf": "# net.ipv4.ip_forward=0\n",
        "/usr/lib/sysctl.d/50-default.conf": "net.ipv4.conf.*.rp_filter = 2\nkernel.panic = 0\n",
        "/dev/kmsg": "",
    }.items():
        put(path, text)(Stage(host))
    run("systemd-timesyncd.service")(Stage(host))
    host.changes.clear()
    return host


@dataclasses.dataclass
class Stage:
    """A machine, its facts and what it is to become; seeds change it."""

    host: FakeHost
    facts: Facts = FIT
    spec: ClusterSpec = dataclasses.field(default_factory=ClusterSpec)
    role: Role = "control_plane"
    environ: Mapping[str, str] = dataclasses.field(default_factory=dict)
    cluster: preflight.Surroundings | None = None
    touched: bool = False

    def findings(self, ignored: frozenset[str] = frozenset()) -> tuple[preflight.Finding, ...]:
        settings = node.settings(self.spec, self.facts, self.role)
        scene = preflight.Scene(
            self.spec, settings, self.facts, self.host, self.touched, self.environ, self.cluster
        )
        return preflight.examine(scene, preflight.CHECKS, ignored)


Seed = Callable[[Stage], None]


@dataclasses.dataclass(frozen=True)
class Fault:
    """`catalog` is its number in the catalog of failures, or `-` for one that kubeadm checks as well."""

    catalog: str
    finding: str
    level: Literal["error", "warning"]
    seen: str
    seed: Seed


def facts(**changes: object) -> Seed:
    def seed(stage: Stage) -> None:
        stage.facts = dataclasses.replace(stage.facts, **changes)  # type: ignore[arg-type]

    return seed


def spec(**changes: Any) -> Seed:
    def seed(stage: Stage) -> None:
        ranges = {NETWORKING: stage.spec.networking.model_copy(update=changes.get(NETWORKING, {}))}
        stage.spec = stage.spec.model_copy(update={**changes, **ranges})

    return seed


def host(act: Callable[[FakeHost], object]) -> Seed:
    return lambda stage: act(stage.host) and None


def put(path: str, text: str = "") -> Seed:
    return lambda stage: stage.host.write(path, text.encode())


def run(unit: str) -> Seed:
    def seed(stage: Stage) -> None:
        stage.host.write(f"/etc/systemd/system/{unit}", b"[Service]\nExecStart=/bin/true\n")
        stage.host.daemon_reload()
        stage.host.start(unit)

    return seed


def mount(point: str, option: str = "rw", fstype: str = "ext4") -> Seed:
    return lambda stage: stage.host.mount_table.append(Mount("/dev/vdb", point, fstype, ("rw", option)))


def listen(port: int, protocol: Literal["tcp", "udp"] = "tcp", process: str = "nginx", pid: int = 77) -> Seed:
    entry = Listener(protocol, "0.0.0.0", port, pid, process)  # noqa: S104
    return lambda stage: stage.host.listener_table.append(entry)


def link(name: str, **more: Any) -> Seed:
    return lambda stage: stage.host.link_table.update({name: Link(name, **more)})


def link_to(path: str, target: str) -> Seed:
    return lambda stage: stage.host.symlink(path, target)


def all_of(*seeds: Seed) -> Seed:
    def seed(stage: Stage) -> None:
        for one in seeds:
            one(stage)

    return seed


def cluster(role: Role = "worker", **more: Any) -> Seed:
    def seed(stage: Stage) -> None:
        stage.role = role
        stage.cluster = preflight.Surroundings(**more)

    return seed


def peer(**more: Any) -> Seed:
    return cluster(peers=(Machine("node-2", **more),))


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


def _nic(address: str, name: str = "vpn0") -> Seed:
    return facts(nics=(*FIT.nics, Nic(name, (address,))))


def _route(destination: str, mask: str) -> Seed:
    def seed(stage: Stage) -> None:
        before = (stage.host.read("/proc/net/route") or b"").decode()
        row = f"tun0\t{destination}\t010200C0\t0003\t0\t0\t0\t{mask}\n"
        stage.host.write("/proc/net/route", (before + row).encode())

    return seed


def _address(address: str, *, among: tuple[Nic, ...] = ()) -> Seed:
    own = Nic("eth0", (f"{address}/24",))
    return all_of(
        facts(nics=(own, *among), default_source=address), spec(node=NodeOptions(advertise_address=address))
    )


def _containerd(text: str) -> Seed:
    return all_of(
        facts(commands=frozenset({*COMMANDS, "containerd"})),
        host(lambda h: setattr(h, "containerd_config", text)),
    )


def _container(stage: Stage) -> None:
    run("containerd.service")(stage)
    stage.host.container_table["c"] = Container("c", "image", "web", "web-1", "default", pid=99)


_NO_MODULES = host(lambda h: h.files.pop(f"/lib/modules/{KERNEL}/modules.dep"))
_FILE = "a file"
_UNITS = "systemd's active units"
_PROC = "/proc/net/route"
_API = "the cluster's Nodes, when joining"

FAULTS = (
    # the machine
    Fault("94", "IsPrivilegedUser", "error", "uid", facts(uid=1000, user="vagrant")),
    Fault("-", "Systemd", "error", "process 1, /run/systemd/system", facts(init="openrc-init")),
    Fault("-", "Architecture", "error", "uname", facts(arch="s390x")),
    Fault("-", "NumCPU", "error", "CPUs that may be used", facts(cpus=1)),
    Fault("-", "Mem", "error", "/proc/meminfo", facts(memory=1 << 30)),
    Fault("-", "FileExisting-nft", "error", "PATH", facts(commands=frozenset(COMMANDS) - {"nft"})),
    Fault("29", "MachineID", "error", "/etc/machine-id", facts(machine_id="")),
    Fault("28", "Hostname", "error", "hostname, --node-name", facts(hostname="localhost")),
    Fault("30", "HostnameLength", "error", "hostname, --node-name", facts(hostname="a" * 64)),
    Fault("30", "Localhost", "warning", "/etc/hosts", put("/etc/hosts", "10.0.0.1 localhost\n")),
    Fault("42", "SELinux", "error", "enforce, and the policy's modules", facts(selinux="enforcing")),
    Fault(
        "42",
        "AppArmor",
        "warning",
        "securityfs, and apparmor_parser",
        all_of(facts(apparmor=True), put("/sys/kernel/security/apparmor/profiles")),
    ),
    Fault("20", "Clock", "error", "the clock", facts(clock=1_000_000.0)),
    Fault("20", "TimeSync", "warning", _UNITS, host(lambda h: h.stop("systemd-timesyncd.service"))),
    # the kernel
    Fault(
        "59",
        "KernelVersion",
        "error",
        "uname",
        all_of(
            facts(kernel="4.19.0-27-amd64"),
            put(
                "/lib/modules/4.19.0-27-amd64/modules.dep",
                "a/overlay.ko: a/br_netfilter.ko: a/nf_conntrack.ko: a/vxlan.ko: a/nf_tables.ko:",
            ),
        ),
    ),
    Fault(
        "36",
        "CgroupV1",
        "warning",
        "/sys/fs/cgroup",
        all_of(
            facts(cgroup_v2=False),
            put("/proc/cgroups", "cpu\t1\t1\t1\nmemory\t1\t1\t1\npids\t1\t1\t1\ncpuset\t1\t1\t1\n"),
        ),
    ),
    Fault(
        "34",
        "CgroupController-memory",
        "error",
        "cgroup.controllers or /proc/cgroups",
        put("/sys/fs/cgroup/cgroup.controllers", "cpuset cpu io pids\n"),
    ),
    Fault(
        "32",
        "KernelModule-br_netfilter",
        "error",
        "/sys/module, modules.dep",
        put(
            f"/lib/modules/{KERNEL}/modules.dep",
            "a/overlay.ko: a/nf_conntrack.ko: a/vxlan.ko: a/nf_tables.ko:",
        ),
    ),
    Fault("32", "KernelModules", "error", "/lib/modules of the running kernel", _NO_MODULES),
    Fault(
        "32",
        "ModuleDisabled-br_netfilter",
        "error",
        "modprobe.d",
        put("/etc/modprobe.d/cis.conf", "install br_netfilter /bin/false\n"),
    ),
    Fault(
        "32",
        "ModulesDisabled",
        "error",
        "kernel.modules_disabled",
        host(lambda h: h.sysctls.update({"kernel.modules_disabled": "1"})),
    ),
    Fault(
        "33",
        "SysctlOverridden-net.ipv4.ip_forward",
        "warning",
        "every sysctl.d, in systemd's order",
        put("/etc/sysctl.d/99-zz-hardening.conf", "net.ipv4.ip_forward = 0\n"),
    ),
    Fault(
        "57",
        "SysctlOverridden-net.ipv4.conf.all.rp_filter",
        "warning",
        "the same",
        put("/etc/sysctl.d/99-zz-hardening.conf", "net/ipv4/conf/all/rp_filter = 1\n"),
    ),
    Fault(
        "44",
        "InotifyLimit",
        "warning",
        "the effective value, and whether it may be set",
        host(lambda h: h.write("/proc/sys/fs/inotify/max_user_instances", b"128", 0o444)),
    ),
    Fault("-", "Seccomp", "error", "/proc/self/status", put("/proc/self/status", "Name:\tkubeboot\n")),
    Fault("-", "Kmsg", "error", "/dev/kmsg", host(lambda h: h.files.pop("/dev/kmsg"))),
    Fault("-", "RebootRequired", "warning", "/run/reboot-required", put("/run/reboot-required")),
    # swap
    Fault("31", "Swap", "error", "/proc/swaps", facts(swap=("/dev/vda2",))),
    Fault(
        "31",
        "SwapReturns-fstab",
        "error",
        "/etc/fstab",
        put("/etc/fstab", "/swapfile none swap sw 0 0\n/dev/sr0 /cd iso9660 noauto 0 0\n"),
    ),
    Fault(
        "31",
        "SwapReturns-zram",
        "error",
        "zram-generator.conf, zram units",
        put("/etc/systemd/zram-generator.conf", "[zram0]\nzram-size = ram / 2\n"),
    ),
    Fault(
        "31",
        "SwapReturns-data-swap.swap",
        "error",
        "swap units, enabled or active",
        all_of(
            put("/etc/systemd/system/data-swap.swap", "[Swap]\nWhat=/data/swap\n"),
            host(lambda h: h.enable("data-swap.swap")),
        ),
    ),
    # disks
    Fault(
        "45",
        "DiskSpace-var-lib",
        "error",
        "statfs",
        host(lambda h: vars(h).update(free=1 << 30, size=2 << 30)),
    ),
    Fault(
        "45",
        "DiskPressure-var-lib-kubelet",
        "error",
        "statfs, the kubelet's thresholds",
        host(lambda h: vars(h).update(free=9 << 30, size=100 << 30)),
    ),
    Fault("45", "Inodes", "error", "statfs", host(lambda h: vars(h).update(free_inodes=1000))),
    Fault(
        "47",
        "EtcdDisk",
        "error",
        "20 synced writes to a file without a name",
        host(lambda h: vars(h).update(sync=0.150)),
    ),
    Fault("47", "EtcdDisk", "warning", "the same", host(lambda h: vars(h).update(sync=0.030))),
    Fault("41", "NoExec-var-lib-containerd", "error", "mount table", mount("/var/lib/containerd", "noexec")),
    Fault("49", "ReadOnly-opt", "error", "mount table", mount("/opt", "ro")),
    Fault(
        "41", "NoSuid-var-lib-containerd", "warning", "mount table", mount("/var/lib/containerd", "nosuid")
    ),
    Fault(
        "40",
        "Filesystem-var-lib-containerd",
        "error",
        "mount table",
        mount("/var/lib/containerd", fstype="overlay"),
    ),
    Fault("47", "Filesystem-var-lib-etcd", "error", "mount table", mount("/var/lib/etcd", fstype="nfs4")),
    Fault(
        "4",
        "MountPropagation",
        "error",
        "/proc/self/mountinfo",
        put("/proc/self/mountinfo", "25 1 8:1 / / rw,relatime - ext4 /dev/vda1 rw\n"),
    ),
    Fault(
        "4",
        "Mounts-var-lib-kubelet",
        "error",
        "mount table",
        mount("/var/lib/kubelet/pods/1/volumes/nfs/data"),
    ),
    Fault(
        "5",
        "Symlink-var-lib-kubelet",
        "warning",
        "lstat",
        all_of(host(lambda h: h.mkdir("/data/kubelet")), link_to("/var/lib/kubelet", "/data/kubelet")),
    ),
    # network
    *(
        Fault("1", f"Port-{port}", "error", "/proc/net/tcp, /proc/PID/fd", listen(port))
        for port in (6443, 2379, 2380, 10250, 10257, 10259, 8443)
    ),
    Fault("52", "Port-8472", "error", "/proc/net/udp", listen(8472, "udp", "", 0)),
    Fault("53", "Firewall-firewalld", "warning", _UNITS, run("firewalld.service")),
    Fault("54", "Firewall-ufw", "warning", _UNITS, run("ufw.service")),
    Fault("54", "Firewall-nftables", "warning", _UNITS, run("nftables.service")),
    Fault(
        "54",
        "Firewall-policy",
        "warning",
        "nft chains",
        host(lambda h: h.chains.append(Chain("inet", "filter", "input", "input", "drop"))),
    ),
    Fault("54", "Firewall-netfilter-persistent", "warning", _UNITS, run("netfilter-persistent.service")),
    Fault(
        "59",
        "IptablesMixed",
        "warning",
        "/proc/net/ip_tables_names, nft tables",
        all_of(
            put("/proc/net/ip_tables_names", "filter\nnat\n"),
            host(lambda h: h.nft.append(("ip", "nat")) or True),
        ),
    ),
    Fault("55", "NetworkManager", "warning", f"{_UNITS}, its conf.d", run("NetworkManager.service")),
    Fault("56", "NMCloudSetup", "error", _UNITS, run("nm-cloud-setup.timer")),
    Fault("63", "Resolver", "warning", "/etc/resolv.conf", facts(nameservers=("127.0.0.53",))),
    Fault("63", "ResolverEmpty", "warning", "/etc/resolv.conf", facts(nameservers=())),
    Fault(
        "63",
        "ResolverLimit",
        "warning",
        "/etc/resolv.conf",
        facts(nameservers=tuple(f"192.0.2.{n}" for n in range(50, 54))),
    ),
    Fault("50", "NodeAddress", "error", "addresses", facts(nics=(Nic("eth0", ("192.0.2.99/24",)),))),
    Fault("50", "NodeAddressScope", "error", "addresses", _address("169.254.7.7")),
    Fault(
        "50",
        "NodeAddressNAT",
        "warning",
        "addresses, known NAT ranges",
        _address("10.0.2.15", among=(Nic("eth1", ("192.0.2.11/24",)),)),
    ),
    Fault("54", "LoopbackDown", "error", "links", link("lo", kind="loopback", up=False)),
    Fault("54", "LinkDown", "error", "links", link("eth0", up=False)),
    Fault("58", "MTU", "warning", "links", link("eth0", mtu=1200)),
    Fault(
        "43",
        "IPv6Disabled",
        "error",
        "spec, disable_ipv6",
        spec(networking={"service_subnet": "fd00:96::/112"}),
    ),
    Fault(
        "66",
        "ProxyBypass",
        "error",
        "the command's environment",
        lambda stage: setattr(
            stage, "environ", {"https_proxy": "http://proxy:3128", "no_proxy": "localhost"}
        ),
    ),
    Fault(
        "66",
        "ProxyUnit",
        "error",
        "drop-ins of containerd and kubelet",
        put(
            "/etc/systemd/system/containerd.service.d/proxy.conf",
            "[Service]\nEnvironment=HTTPS_PROXY=http://p:1\n",
        ),
    ),
    # ranges
    Fault("60", "CIDROverlap", "error", "addresses", _nic("10.244.7.1/24")),
    Fault("60", "RouteOverlap", "error", _PROC, _route("0000640A", "0000FFFF")),
    Fault("60", "ResolverOverlap", "error", "/etc/resolv.conf", facts(nameservers=("10.96.0.53",))),
    Fault(
        "60",
        "PeerOverlap",
        "error",
        "the cluster's API servers",
        all_of(
            cluster(control_planes=(("10.100.0.11", 6443),)),
            host(lambda h: h.dialers.update({("10.100.0.11", 6443): _socket})),
        ),
    ),
    Fault("61", "CIDRCapacity", "warning", "spec", spec(networking={"pod_subnet": "10.244.0.0/23"})),
    Fault("61", "CIDRCapacity", "error", "spec", spec(networking={"pod_subnet": "10.244.0.0/25"})),
    Fault(
        "61",
        "CIDRFull",
        "error",
        _API,
        all_of(spec(networking={"pod_subnet": "10.244.0.0/23"}), cluster(peers=(Machine("a"), Machine("b")))),
    ),
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
        Fault("2", f"Service-{unit.partition('.')[0]}", "error", _UNITS, run(unit))
        for unit in (
            "k3s.service",
            "rke2-server.service",
            "k0scontroller.service",
            "crio.service",
            "kubelet.service",
        )
    ),
    Fault("2", "Service-snap", "error", _UNITS, run("snap.microk8s.daemon-kubelite.service")),
    Fault("53", "Service-docker", "warning", _UNITS, run("docker.service")),
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


class _Socket:
    def close(self) -> None: ...


def _socket() -> Any:
    return _Socket()
