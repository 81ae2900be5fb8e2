"""One fault is seeded in many ways: each of them is told of. And what looks like a fault and is none."""

from __future__ import annotations

from typing import Any

import pytest

from kubeboot.host.api import Unread
from kubeboot.host.facts import Nic
from kubeboot.host.model import Chain, Link, Listener, Mount
from tests.sim import preflight_seeds as seeds
from tests.sim import preflight_variants
from tests.sim.preflight_seeds import FIT, Seed, Stage, all_of, facts, host, link, link_to, put
from tests.sim.preflight_variants import UNITS, refused, unit_file, wanted

CONTAINERD = "/etc/containerd/config.toml"


def held(port: int, address: str) -> Seed:
    return host(lambda h: h.listener_table.append(Listener("tcp", address, port, 7, "nc")))


def chain(hook: str) -> Seed:
    return host(lambda h: h.chains.append(Chain("inet", "f", "c", hook, "drop")))


def mounted(point: str, option: str) -> Seed:
    return host(lambda h: h.mount_table.append(Mount("none", point, "ext4", (option,))))


FOUND: tuple[tuple[str, str, Seed], ...] = (
    *preflight_variants.FOUND,
    ("v6-only", "Port-6443", held(6443, "::")),
    ("loopback", "Port-2379", held(2379, "127.0.0.1")),
    ("metrics", "Port-10249", held(10249, "127.0.0.1")),
    ("enabled", "Service-k3s", wanted("k3s.service")),
    ("installed", "Service-k3s", unit_file("k3s.service")),
    ("own-unit", "Service-rke2-agent", put(f"{UNITS}/rke2-agent.service")),
    ("hard-way", "Service-kube-apiserver", wanted("kube-apiserver.service")),
    ("cri-dockerd", "Service-cri-docker", wanted("cri-docker.service")),
    ("socket", "Service-docker", wanted("docker.socket")),
    ("snap", "Service-snap", unit_file("snap.k8s.kubelet.service")),
    ("tree", "Leftover-var-lib-k0s", put("/var/lib/k0s/pki/ca.crt")),
    ("config", "Leftover-etc-rancher", put("/etc/rancher/k3s/k3s.yaml")),
    (
        "v3",
        "CRIDisabled",
        put(CONTAINERD, 'version = 3\ndisabled_plugins = ["io.containerd.cri.v1.runtime"]\n'),
    ),
    ("v2", "CRIDisabled", put(CONTAINERD, 'version = 2\ndisabled_plugins = ["io.containerd.grpc.v1.cri"]\n')),
    ("package", "CRIDisabled", put(CONTAINERD, 'disabled_plugins = ["cri"]\n')),
    (
        "imported",
        "CRIDisabled",
        all_of(
            put(CONTAINERD, 'imports = ["/etc/containerd/conf.d/*.toml"]\n'),
            put("/etc/containerd/conf.d/off.toml", 'disabled_plugins = ["cri"]\n'),
        ),
    ),
    (
        "imported-driver",
        "CgroupDriver",
        all_of(
            put(CONTAINERD, 'version = 3\nimports = ["/etc/containerd/conf.d/*.toml"]\n'),
            put(
                "/etc/containerd/conf.d/runc.toml",
                "[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]\n"
                "SystemdCgroup = false\n",
            ),
        ),
    ),
    (
        "dump-fails",
        "ContainerdConfig",
        all_of(facts(commands=FIT.commands | {"containerd"}), put(CONTAINERD, "[plugins\n")),
    ),
    ("fstab-label", "SwapReturns-fstab", put("/etc/fstab", "LABEL=swap\tnone\tswap\tdefaults\t0 0\n")),
    ("zram-tools", "SwapReturns-zram", wanted("zramswap.service")),
    ("zram-drop-in", "SwapReturns-zram", put("/etc/systemd/zram-generator.conf.d/a.conf", "[zram0]\n")),
    ("dphys", "SwapReturns-dphys-swapfile.service", wanted("dphys-swapfile.service")),
    ("rc.local", "SwapReturns-rc.local", put("/etc/rc.local", "#!/bin/sh\nswapon /swapfile\n")),
    (
        "wanted-swap",
        "SwapReturns-data.swap",
        all_of(
            put(f"{UNITS}/data.swap", "[Swap]\nWhat=/data\n"),
            link_to(f"{UNITS}/swap.target.wants/data.swap", f"{UNITS}/data.swap"),
        ),
    ),
    ("uninitialized", "MachineID", facts(machine_id="uninitialized")),
    ("zeros", "MachineID", facts(machine_id="0" * 32)),
    ("no-hex", "MachineID", facts(machine_id="X" * 32)),
    ("no-hosts", "Localhost", host(lambda h: h.files.pop("/etc/hosts"))),
    ("two", "Localhost", put("/etc/hosts", "10.0.0.1 localhost\n127.0.0.1 localhost\n")),
    (
        "sysctl.conf",
        "SysctlOverridden-net.ipv4.ip_forward",
        put("/etc/sysctl.conf", "net.ipv4.ip_forward=0\n"),
    ),
    (
        "alias",
        "SysctlOverridden-net.ipv4.conf.all.forwarding",
        put("/etc/sysctl.d/99-zz.conf", "net.ipv4.conf.all.forwarding = 0\n"),
    ),
    ("future", "Clock", facts(clock=4_000_000_000.0)),
    ("profile", "ProxyEnvironment", put("/etc/profile.d/p.sh", "export http_proxy=http://p:1\n")),
    ("ulimit", "OpenFiles", put("/proc/1/limits", "Max open files            1024      4096      files\n")),
    ("blacklist", "ModuleDisabled-br_netfilter", put("/etc/modprobe.d/b.conf", "blacklist br_netfilter\n")),
    (
        "dash",
        "ModuleDisabled-br_netfilter",
        put("/etc/modprobe.d/b.conf", "install br-netfilter /bin/true\n"),
    ),
    ("v1-memory", "Mem", put("/sys/fs/cgroup/memory/memory.limit_in_bytes", "1073741824\n")),
    (
        "v1-quota",
        "NumCPU",
        all_of(
            put("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "150000\n"),
            put("/sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n"),
        ),
    ),
    ("cni-flannel", "CNIState", put("/var/lib/cni/flannel/abc", "{}")),
    ("calico-veth", "Link-cali0123456789a", link("cali0123456789a")),
    ("ipip", "Link-tunl0", link("tunl0", addresses=("10.244.1.1/32",))),
    ("dns-cache", "Link-nodelocaldns", link("nodelocaldns", addresses=("169.254.20.10/32",))),
    ("key", "FileAvailable--etc-kubernetes-pki-ca.key", put("/etc/kubernetes/pki/ca.key")),
    ("policy", "FileAvailable--var-lib-kubelet-cpu_manager_state", put("/var/lib/kubelet/cpu_manager_state")),
    ("other-data", "DirAvailable--var-lib-etcd", put("/var/lib/etcd/default.etcd/member/wal")),
    ("output", "Firewall-policy", chain("output")),
    ("boot", "Firewall-nftables", wanted("nftables.service")),
    ("range", "Firewall-rules", refused("tcp dport 10000-11000 drop")),
    ("udp", "Firewall-rules", refused("udp dport 8472 counter packets 0 bytes 0 drop")),
    ("last", "Firewall-rules", refused("counter packets 3 bytes 180 reject with icmpx admin-prohibited")),
    (
        "service.d",
        "ProxyUnit",
        put(f"{UNITS}/service.d/p.conf", "[Service]\nEnvironment=http_proxy=http://p\n"),
    ),
    (
        "drop-in",
        "DropIn-10-cpu.conf",
        put(f"{UNITS}/kubelet.service.d/10-cpu.conf", "[Service]\nCPUQuota=10%\n"),
    ),
    (
        "manager",
        "ProxyDefault",
        put("/etc/systemd/system.conf", "DefaultEnvironment=http_proxy=http://p:1\n"),
    ),
    ("ro-etcd", "ReadOnly-var-lib-etcd", mounted("/var/lib/etcd", "ro")),
    ("ro-units", "ReadOnly-etc-systemd-system", mounted("/etc/systemd/system", "ro")),
    ("noexec-opt", "NoExec-opt-cni-bin", mounted("/opt", "noexec")),
    ("dangling", "NotADirectory-var-lib-kubelet", link_to("/var/lib/kubelet", "/gone/kubelet")),
    ("masked", "Masked-containerd", link_to(f"{UNITS}/containerd.service", "/dev/null")),
    ("commands", "FileExisting-flock", facts(commands=FIT.commands - {"flock"})),
)


@pytest.mark.parametrize(("finding", "seed"), [f[1:] for f in FOUND], ids=[f"{f[1]}-{f[0]}" for f in FOUND])
def test_another_way_to_the_same_fault_is_found(finding: str, seed: Seed) -> None:
    stage = Stage(seeds.fit())
    seed(stage)
    assert finding in {found.name for found in stage.findings()}


NO_FAULT: tuple[tuple[str, Seed], ...] = (
    *preflight_variants.NO_FAULT,
    ("Debian's own name at a loopback address", put("/etc/hosts", "127.0.0.1 localhost\n127.0.1.1 cp-1\n")),
    ("its name at its address", put("/etc/hosts", "127.0.0.1 localhost\n192.0.2.11 cp-1\n")),
    ("tunl0, which the kernel makes", link("tunl0", up=False)),
    ("docker0", all_of(facts(nics=(*FIT.nics, Nic("docker0", ("172.17.0.1/16",)))), link("docker0"))),
    ("a masked unit of another's", link_to(f"{UNITS}/k3s.service", "/dev/null")),
    ("nftables installed, not enabled", unit_file("nftables.service")),
    (
        "ufw as Ubuntu has it",
        all_of(seeds.run("ufw.service"), put("/etc/ufw/ufw.conf", "ENABLED=no\nLOGLEVEL=low\n")),
    ),
    ("a rule about something else", refused("tcp dport 25 drop")),
    ("a rule for some addresses", refused("ip saddr 203.0.113.7 drop")),
    ("invalid packets", refused("ct state invalid drop")),
    ("no limits", all_of(
        put("/sys/fs/cgroup/memory.max", "max\n"), put("/sys/fs/cgroup/cpu.max", "max 100000\n")
    )),
    (
        "v1's way to say none",
        all_of(
            put("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"),
            put("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n"),
            put("/sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n"),
        ),
    ),
    ("the kernel's range", host(
        lambda h: h.sysctls.update({"net.ipv4.ip_local_port_range": "32768\t60999"}))),
    ("a disk of etcd's own", put("/var/lib/etcd/lost+found/.keep")),
    ("a proxy that spares the cluster", put("/etc/environment", "HTTPS_PROXY=http://p\nNO_PROXY=.svc\n")),
    ("containerd as its package has it", put(CONTAINERD, "version = 3\nroot = '/var/lib/containerd'\n")),
    ("what Fedora ships", put(
        f"{UNITS}/service.d/10-timeout.conf", "[Service]\nTimeoutStopSec=9\n")),
    (
        "an empty variable of the package's",
        put("/etc/default/kubelet", "KUBELET_EXTRA_ARGS=\n"),
    ),
    ("the lab's limits", put("/proc/1/limits", "Max open files            20000     20000       files\n")),
    ("a comment", put("/etc/rc.local", "#!/bin/sh\n# swapon -a\n")),
)  # fmt: skip


@pytest.mark.parametrize("seed", [s for _, s in NO_FAULT], ids=[name for name, _ in NO_FAULT])
def test_what_is_no_fault_is_no_finding(seed: Seed) -> None:
    stage = Stage(seeds.fit())
    seed(stage)
    assert [str(found) for found in stage.findings()] == []


def test_what_is_installed_only_is_told_of_and_what_boots_bring_is_refused() -> None:
    levels = []
    for seed in (unit_file("k3s.service"), wanted("k3s.service")):
        stage = Stage(seeds.fit())
        seed(stage)
        levels += [found.level for found in stage.findings()]
    assert levels == ["warning", "error"]


def test_a_mount_is_told_of_once() -> None:
    stage = Stage(seeds.fit())
    stage.host.mount_table = [Mount("/dev/vda1", "/", "ext4", ("ro",))]
    assert [found.name for found in stage.findings()] == ["ReadOnly-etc"]


def test_on_a_machine_of_ours_its_own_rules_and_drop_ins_are_none_of_preflights_concern() -> None:
    stage = Stage(seeds.fit(), touched=True)
    refused("tcp dport 6443 drop")(stage)
    put(f"{UNITS}/kubelet.service.d/10-cpu.conf", "[Service]\nCPUQuota=400%\n")(stage)
    stage.host.link_table["cni0"] = Link("cni0", addresses=("10.244.0.1/24",))
    assert [str(found) for found in stage.findings()] == []


def test_a_peer_of_ipv6_is_told_as_it_is_written_in_commands() -> None:
    stage = Stage(seeds.fit())
    seeds.cluster(control_planes=(("fd00::12", 6443),))(stage)
    [found] = stage.findings()
    assert found.name == "PeerUnreachable-6443" and "cp-1 → [fd00::12]:6443: " in found.message


def test_what_keeps_many_addresses_is_told_of_once() -> None:
    stage = Stage(seeds.fit())
    for number in range(30):
        put(f"/var/lib/cni/results/cbr0-{number}-eth0")(stage)
    assert [(found.name, found.hint) for found in stage.findings()] == [
        ("CNIState", "rm -r /var/lib/cni/results")
    ]


class Batched:
    """A view as of a machine far away: what is asked for is known after the next round trip."""

    def __init__(self, near: Any) -> None:
        self._near, self._known, self._wanted, self.trips = near, {}, [], 0

    def fetch(self) -> None:
        self.trips += 1
        for name, subject in self._wanted:
            self._known[name, subject] = getattr(self._near, name)(*subject)
        self._wanted.clear()

    def __getattr__(self, name: str) -> Any:
        def ask(*subject: Any) -> Any:
            if (name, subject) not in self._known:
                self._wanted.append((name, subject))
                raise Unread
            return self._known[name, subject]

        return ask


def test_a_machine_far_away_is_examined_in_a_few_round_trips() -> None:
    stage = Stage(seeds.fit())
    for seed in (wanted("k3s.service"), put("/etc/sysctl.conf", "net.ipv4.ip_forward=0\n"), held(6443, "::")):
        seed(stage)
    near = [str(found) for found in stage.findings()]
    far = Batched(stage.host)
    stage.host = far  # type: ignore[assignment]
    assert [str(found) for found in stage.findings()] == near and len(near) == 3
    assert far.trips <= 5
