"""Faults of the network, and ranges that are taken."""

from __future__ import annotations

from kubeboot.config.machines import NodeOptions
from kubeboot.host.facts import Nic
from kubeboot.host.model import Chain
from kubeboot.kube.surroundings import Machine
from tests.sim.preflight_seeds import (
    FIT,
    UNITS,
    Fault,
    Seed,
    Stage,
    a_socket,
    all_of,
    cluster,
    facts,
    host,
    link,
    listen,
    put,
    run,
    spec,
)


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


_PROC = "/proc/net/route"
_API = "the cluster's Nodes, when joining"


FAULTS = (
    # network
    *(
        Fault("1", f"Port-{port}", "error", "/proc/net/tcp, /proc/PID/fd", listen(port))
        for port in (6443, 2379, 2380, 10250, 10257, 10259, 8443)
    ),
    Fault("52", "Port-8472", "error", "/proc/net/udp", listen(8472, "udp", "", 0)),
    Fault("53", "Firewall-firewalld", "warning", UNITS, run("firewalld.service")),
    Fault("54", "Firewall-ufw", "warning", UNITS, run("ufw.service")),
    Fault("54", "Firewall-nftables", "warning", UNITS, run("nftables.service")),
    Fault(
        "54",
        "Firewall-policy",
        "warning",
        "nft chains",
        host(lambda h: h.chains.append(Chain("inet", "filter", "input", "input", "drop"))),
    ),
    Fault("54", "Firewall-netfilter-persistent", "warning", UNITS, run("netfilter-persistent.service")),
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
    Fault("55", "NetworkManager", "warning", f"{UNITS}, its conf.d", run("NetworkManager.service")),
    Fault("56", "NMCloudSetup", "error", UNITS, run("nm-cloud-setup.timer")),
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
            host(lambda h: h.dialers.update({("10.100.0.11", 6443): a_socket})),
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
)
