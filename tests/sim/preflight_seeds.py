"""A machine in memory that is fit, and what makes it unfit."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, Literal

from kubeboot.config.node import Role
from kubeboot.config.spec import ClusterSpec
from kubeboot.host.facts import Facts, Nic
from kubeboot.host.model import Link, Listener, Mount
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
UNITS = "systemd's active units"


def fit() -> FakeHost:
    """A Debian machine as it is after its installation."""
    host = FakeHost()
    names = ("fs/overlayfs/overlay", "net/bridge/br_netfilter", "net/netfilter/nf_conntrack")
    names += ("drivers/net/vxlan/vxlan", "net/netfilter/nf_tables")
    put(f"/lib/modules/{KERNEL}/modules.dep", "".join(f"kernel/{n}.ko.xz:\n" for n in names))(Stage(host))
    for path, text in {
        "/sys/fs/cgroup/cgroup.controllers": "cpuset cpu io memory hugetlb pids rdma misc\n",
        "/proc/1/status": "Name:\tsystemd\nNoNewPrivs:\t0\nSeccomp:\t0\n",
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


class _Socket:
    def close(self) -> None: ...


def a_socket() -> Any:
    """What a connection that somebody takes looks like."""
    return _Socket()
