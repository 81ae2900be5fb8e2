"""keepalived on the machines whose haproxy listens on all addresses: one of them has the virtual address."""

from __future__ import annotations

import re

from kubeboot import render
from kubeboot.artifacts.api import Catalog
from kubeboot.config import balancing
from kubeboot.config.node import NodeSettings
from kubeboot.config.spec import ClusterSpec
from kubeboot.engine.step import Step
from kubeboot.host.api import HostView
from kubeboot.pki import endpoint
from kubeboot.steps import basic, haproxy, load_balancer
from kubeboot.steps.etcd import loopback
from kubeboot.steps.pod_manifest import EnsureStaticPod, PodReader
from kubeboot.steps.static_pod import MANIFESTS, StaticPod, Volume

DIRECTORY = "/etc/kubernetes/keepalived"
CONFIG = f"{DIRECTORY}/keepalived.conf"
MANIFEST = "virtual-ip/manifest"
INSTANCE = "kubeboot"
CAPABILITIES = ("NET_ADMIN", "NET_BROADCAST", "NET_RAW", "SETGID", "SETUID")
"""To have the address, to say so to everybody, to speak VRRP; and to be the user of its check, which is root.

Without the last two the check does not run, and keepalived takes that for an answer.
"""
_HELD = re.compile(r"virtual_ipaddress \{\s+(\S+) dev (\S+)")


def steps(spec: ClusterSpec, node: NodeSettings, catalog: Catalog) -> tuple[Step, ...]:
    """The config, the static pod, and the wait for the address to lead to an API server."""
    if not balancing.runs_keepalived(spec, node.role):
        return ()
    return (
        basic.EnsureFile(
            id="virtual-ip/config",
            title="Write keepalived's config",
            on=node.name,
            after=frozenset({"trees/"}),
            path=CONFIG,
            data=config(spec, node).encode(),
            reader=PodReader(f"{MANIFESTS}/keepalived.yaml"),
        ),
        EnsureStaticPod(
            id=MANIFEST,
            title="Write keepalived's static pod",
            on=node.name,
            after=frozenset({"virtual-ip/config", load_balancer.MANIFEST}),
            follows=frozenset({"virtual-ip/config"}),
            pod=pod(spec, node, catalog.image("keepalived").name),
        ),
        basic.Await(
            id="virtual-ip/serves",
            title="Wait for an API server's answer at the virtual address",
            on=node.name,
            after=frozenset({MANIFEST, "kubelet/service"}),
            condition=load_balancer.Serves(
                balancing.virtual_address(spec), spec.load_balancer.port, ("keepalived", "haproxy")
            ),
            cost=5.0,
        ),
    )


def config(spec: ClusterSpec, node: NodeSettings) -> str:
    """keepalived.conf. All peers or none: who is not among them would have the address as well."""
    found = spec.load_balancer.virtual_ip
    health = endpoint.join(loopback(node.address), haproxy.health_port(spec))
    return render.template(
        "keepalived/keepalived.conf.j2",
        node=node.name,
        own=node.address,
        interface=node.interface,
        instance=INSTANCE,
        router_id=balancing.router_id(spec),
        virtual=f"{balancing.virtual_address(spec)}/32",
        peers=[peer for peer in found.peers if peer != node.address] if found else [],
        health=health,
    )


def pod(spec: ClusterSpec, node: NodeSettings, image: str) -> StaticPod:
    """keepalived. One that was killed has left the address behind: the next begins without it."""
    address = f"{balancing.virtual_address(spec)}/32"
    clean = f"ip address delete {address} dev {node.interface} 2>/dev/null"
    run = f"exec keepalived --dont-fork --log-console --vrrp --use-file={CONFIG}"
    return StaticPod(
        name="keepalived",
        image=image,
        command=("sh", "-c", f"{clean}; {run}"),
        port=0,
        probes=(),
        volumes=(Volume("config", DIRECTORY, DIRECTORY, kind="Directory"),),
        requests=(("cpu", "10m"), ("memory", "16Mi")),
        inputs=(CONFIG,),
        capabilities=CAPABILITIES,
        tier="control-plane" if node.role == "control_plane" else "node",
        grace=5,
    )


def held(see: HostView) -> tuple[str, str] | None:
    """The virtual address (with its /32) and its interface, if this machine has it now."""
    wanted = _HELD.search((see.read(CONFIG) or b"").decode(errors="replace"))
    if wanted is None:
        return None
    address, interface = wanted.groups()
    has = any(link.name == interface and address in link.addresses for link in see.links())
    return (address, interface) if has else None


def processes(see: HostView) -> tuple[int, ...]:
    """keepalived with our config."""
    return tuple(
        p.pid for p in see.processes() if p.name == "keepalived" and any(CONFIG in w for w in p.cmdline)
    )
