"""Further ways to the same faults, as other tools and other hands have them, and what only looks like one."""

from __future__ import annotations

from kubeboot.host.model import Rule
from tests.sim import preflight_seeds as seeds
from tests.sim.preflight_seeds import Seed, Stage, all_of, facts, host, link, link_to, mount, put, spec

UNITS = "/etc/systemd/system"
WANTS = f"{UNITS}/multi-user.target.wants"
MODPROBE = "/etc/modprobe.d/cis.conf"
SYSCTL = "/etc/sysctl.d/99-zz.conf"
ZRAM = "systemd/zram-generator.conf"
IP_FORWARD = "SysctlOverridden-net.ipv4.ip_forward"
DUAL = {"pod_subnet": "10.244.0.0/16,fd00:244::/56", "service_subnet": "10.96.0.0/12,fd00:96::/112"}


def unit_file(name: str, text: str = "[Service]\nExecStart=/bin/true\n") -> Seed:
    return put(f"/usr/lib/systemd/system/{name}", text)


def wanted(name: str) -> Seed:
    return all_of(unit_file(name), link_to(f"{WANTS}/{name}", f"/usr/lib/systemd/system/{name}"))


def masked(name: str) -> Seed:
    """Enabled once, and masked since."""
    return all_of(wanted(name), link_to(f"{UNITS}/{name}", "/dev/null"))


def refused(text: str, chain: str = "in") -> Seed:
    return host(lambda h: h.refusals.append(Rule("inet", "f", chain, text)))


def environ(**variables: str) -> Seed:
    return lambda stage: setattr(stage, "environ", variables)


def _networks(*nets: str) -> str:
    return ",".join(("127.0.0.1", "localhost", ".svc", ".cluster.local", *nets))


def _keeps_time(unit: str) -> Seed:
    return all_of(host(lambda h: h.stop("systemd-timesyncd.service")), seeds.run(unit))


def _route(line: str) -> Seed:
    def seed(stage: Stage) -> None:
        spec(networking=DUAL)(stage)
        stage.host.sysctls["net.ipv6.conf.all.disable_ipv6"] = "0"
        put("/proc/net/ipv6_route", line)(stage)

    return seed


_ZEROS = "0" * 32
_VPN = (
    "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\n"
    "tun0\t00000000\t010200C0\t0003\t0\t0\t0\t00000080\n"
)

FOUND: tuple[tuple[str, str, Seed], ...] = (
    ("no-options", "SwapReturns-fstab", put("/etc/fstab", "/dev/vda2 none swap\n")),
    *(
        (f"zram-{root}", "SwapReturns-zram", put(f"/{root}/{ZRAM}", "[zram0]\n"))
        for root in ("run", "usr/local/lib", "usr/lib")
    ),
    ("second-zram", "SwapReturns-zram", seeds.run("systemd-zram-setup@zram1.service")),
    ("armbian", "SwapReturns-zram", wanted("armbian-zram-config.service")),
    ("microshift", "Service-microshift", seeds.run("microshift.service")),
    ("old-name", "Service-cri-o", seeds.run("cri-o.service")),
    ("snap-docker", "Service-docker", seeds.run("snap.docker.dockerd.service")),
    ("ipv6", "Firewall-ip6tables", seeds.run("ip6tables.service")),
    ("shorewall", "Firewall-shorewall", wanted("shorewall.service")),
    ("all-but-one", "Firewall-rules", refused("tcp dport != 22 drop")),
    ("all-but-some", "Firewall-rules", refused("tcp dport != { 22, 80 } counter packets 0 bytes 0 reject")),
    (
        "commented",
        "NetworkManager",
        all_of(
            seeds.run("NetworkManager.service"),
            put("/etc/NetworkManager/conf.d/k.conf", "#unmanaged-devices=interface-name:cni*\n"),
        ),
    ),
    ("enabled", "NMCloudSetup", wanted("nm-cloud-setup.timer")),
    ("dash", IP_FORWARD, put(SYSCTL, "-net.ipv4.ip_forward=0\n")),
    ("first-word", IP_FORWARD, put(SYSCTL, "net.ipv4.ip_forward = 0 # hardened\n")),
    ("shell", "ModuleDisabled-overlay", put(MODPROBE, "install overlay /bin/sh -c 'exit 1'\n")),
    ("colon", "ModuleDisabled-overlay", put(MODPROBE, "install overlay :\n")),
    (
        "kernel-line",
        "ModuleDisabled-br_netfilter",
        put("/proc/cmdline", "ro module_blacklist=x,br-netfilter quiet\n"),
    ),
    ("no-pods", "ProxyBypass", environ(https_proxy="http://p:1", NO_PROXY=_networks("10.96.0.0/12"))),
    (
        "dual-stack",
        "ProxyBypass",
        all_of(
            spec(networking=DUAL),
            host(lambda h: h.sysctls.update({"net.ipv6.conf.all.disable_ipv6": "0"})),
            environ(http_proxy="http://p:1"),
        ),
    ),
    ("relative", "NotADirectory-var-lib-kubelet", link_to("/var/lib/kubelet", "../gone/kubelet")),
    ("a-file", "NotADirectory-var-lib-etcd", put("/var/lib/etcd")),
    ("gluster", "Filesystem-var-lib-etcd", mount("/var/lib/etcd", fstype="fuse.glusterfs")),
    ("samba", "Filesystem-var-lib-etcd", mount("/var/lib/etcd", fstype="smb3")),
    ("sshfs", "Filesystem-var-lib-containerd", mount("/var/lib/containerd", fstype="fuse.sshfs")),
    ("rhel", "Hostname", facts(hostname="localhost.localdomain")),
    ("v6-name", "Hostname", facts(hostname="localhost6")),
    (
        "v6",
        "RouteOverlap",
        _route(f"fd000244{'0' * 24} 38 {_ZEROS} 00 {_ZEROS} 00000400 00000001 00000000 00000003 tun0\n"),
    ),
    (
        "rotated",
        "FileAvailable--var-lib-kubelet-pki-kubelet-client-current.pem",
        put("/var/lib/kubelet/pki/kubelet-client-current.pem"),
    ),
    ("kubenet", "Link-cbr0", link("cbr0")),
    ("antrea", "Link-antrea-tun0", link("antrea-tun0")),
    ("mapped", "Resolver", facts(nameservers=("::ffff:127.0.0.1",))),
    ("any", "Resolver", facts(nameservers=("0.0.0.0",))),  # noqa: S104
)

NO_FAULT: tuple[tuple[str, Seed], ...] = (
    ("swap that nobody turns on", put("/etc/fstab", "/dev/vda2 none swap sw,noauto 0 0\n")),
    ("a zram config of comments", put(f"/etc/{ZRAM}", "# [zram0]\n# zram-size = ram\n")),
    ("masked zram", masked("zramswap.service")),
    ("a masked swap unit", masked("data.swap")),
    ("masked k3s", masked("k3s.service")),
    ("a masked firewall", masked("firewalld.service")),
    ("all that is needed", refused("tcp dport != { 22, 2379-2380, 6443, 8443, 8472, 10250 } drop")),
    ("a set that has a name", refused("tcp dport != @allowed drop")),
    ("a module with options", put(MODPROBE, "install overlay /sbin/modprobe --ignore-install overlay\n")),
    (
        "a proxy that spares wider networks",
        environ(https_proxy="http://p:1", NO_PROXY=_networks("10.0.0.0/8", "192.0.2.0/24")),
    ),
    ("the name that Debian's installer gives", facts(hostname="debian")),
    ("a guest of VirtualBox", _keeps_time("vboxadd-service.service")),
    ("time by ntpd-rs", _keeps_time("ntpd-rs.service")),
    ("a VPN instead of the default route", put("/proc/net/route", _VPN)),
    ("routes of IPv6 elsewhere", _route(f"{'fe80' + '0' * 28} 40 {_ZEROS} 00 {_ZEROS} 1 1 0 1 eth0\n")),
    ("one good name server of two", facts(nameservers=("127.0.0.53", "192.0.2.53"))),
)
