"""Opening the firewalls of a machine for its part of the cluster, where that is asked for.

A unit does it whenever a firewall has started, and takes it back when it is stopped: an administrator's rules
stay as they are, and a firewall that is loaded again is opened again.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterable

from kubeboot import render
from kubeboot.config import balancing
from kubeboot.config.node import NodeSettings
from kubeboot.config.spec import ClusterSpec
from kubeboot.engine.step import Check, Drift, Ok, Step, View
from kubeboot.engine.values import Values
from kubeboot.host.model import Chain
from kubeboot.steps import basic

SCRIPT = "/usr/local/lib/kubeboot/firewall"
UNIT = "kubeboot-firewall.service"
UNIT_FILE = f"/etc/systemd/system/{UNIT}"
STATE = "/run/kubeboot-firewall"
"""The sum of the script that has opened them; there is none while they are closed."""
FIREWALLS = (
    "firewalld.service",
    "ufw.service",
    "nftables.service",
    "netfilter-persistent.service",
    "iptables.service",
    "ip6tables.service",
    "shorewall.service",
    "shorewall6.service",
    "ferm.service",
    "firehol.service",
    "csf.service",
)
VXLAN = 8472
POD_LINKS = ("cni0", "flannel.1", "flannel-v6.1")
"""Where pods' traffic comes from and goes to on a machine; elsewhere their addresses are a lie."""
_HOOKS = ("input", "forward")
_OWN = ("kube-proxy", "flannel-ipv4", "flannel-ipv6", "firewalld")
"""Tables of the cluster's own; firewalld's is firewalld's alone, and gets a policy."""


def ports(spec: ClusterSpec, node: NodeSettings) -> tuple[int, ...]:
    """The TCP ports by which other machines, and pods, reach this one."""
    etcd = () if spec.etcd.external else (2379, 2380)
    balancer = (spec.load_balancer.port,) if balancing.runs_haproxy(spec, node.role) else ()
    return {
        "control_plane": (spec.api_server.bind_port, *balancer, *etcd, 10250),
        "worker": (10250,),
        "etcd": (2379, 2380),
        "load_balancer": balancer,
    }[node.role]


def steps(spec: ClusterSpec, node: NodeSettings) -> tuple[Step, ...]:
    """Nothing unless it is asked for."""
    if not spec.open_firewall:
        return ()
    text = script(spec, node)
    unit = render.template("systemd/kubeboot-firewall.service.j2", script=SCRIPT, firewalls=FIREWALLS)
    listed = ", ".join(map(str, ports(spec, node)))
    return (
        basic.EnsureFile(
            id="firewall/script",
            title="Write what opens firewalls",
            on=node.name,
            path=SCRIPT,
            data=text.encode(),
            mode=0o755,
        ),
        basic.EnsureUnitFile(
            id="firewall/unit",
            title="Write its unit",
            on=node.name,
            path=UNIT_FILE,
            data=unit.encode(),
            unit=UNIT,
        ),
        OpenFirewalls(
            id="firewall/open",
            title=f"Let TCP {listed}{f', UDP {VXLAN}' if _has_pods(node) else ''} through firewalls",
            on=node.name,
            after=frozenset({"firewall/script", "firewall/unit"}),
            unit=UNIT,
            sum=hashlib.sha256(text.encode()).hexdigest(),
        ),
    )


def script(spec: ClusterSpec, node: NodeSettings) -> str:
    """What opens and closes this machine's firewalls."""
    ranges = tuple(part.strip() for part in spec.networking.pod_subnet.split(","))
    return render.template(
        "firewall/firewall.sh.j2",
        tcp=ports(spec, node),
        udp=(VXLAN,) if _has_pods(node) else (),
        pods=tuple(("ip6" if ":" in part else "ip", part) for part in ranges if _has_pods(node)),
        links=POD_LINKS,
        vrrp=balancing.runs_keepalived(spec, node.role),
    )


def _has_pods(node: NodeSettings) -> bool:
    """Whether it is a Node, with pods of the cluster's network."""
    return node.role in ("control_plane", "worker")


def closed(chains: Iterable[Chain]) -> tuple[Chain, ...]:
    """The chains of nftables that filter and have no way round, through a chain of ours."""
    found = tuple(chains)
    ours = {(c.family, c.table, c.name.lower()) for c in found}
    return tuple(
        chain
        for chain in found
        if chain.hook in _HOOKS
        and chain.table not in _OWN
        and (chain.family, chain.table, f"kubeboot-{chain.hook}") not in ours
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class OpenFirewalls(basic.EnsureActive):
    """The unit has run with this script, and no firewall was loaded again since then."""

    sum: str

    def check(self, see: View, vals: Values) -> Check:
        chains = ", ".join(f"{c.family} {c.table} {c.name}" for c in closed(see.host.nft_chains()))
        found = super().check(see, vals)
        if isinstance(found, Drift):
            return Drift(f"{found.summary}{f', which opens {chains}' if chains else ''}", found.change)
        if (see.host.read(STATE) or b"").split()[:1] != [self.sum.encode()]:
            return Drift(f"restart {self.unit}: something else is open", "change")
        return Drift(f"open {chains}, which was reloaded", "change") if chains else Ok()
