"""Other clusters and half-removed ones: what would mix with ours on a machine that is not ours yet."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from kubeboot.steps import paths
from kubeboot.steps.preflight.model import Finding, Scene

MANIFESTS = "/etc/kubernetes/manifests"
FILES = (
    "/etc/kubernetes/admin.conf",
    "/etc/kubernetes/super-admin.conf",
    "/etc/kubernetes/controller-manager.conf",
    "/etc/kubernetes/scheduler.conf",
    "/etc/kubernetes/kubelet.conf",
    "/etc/kubernetes/bootstrap-kubelet.conf",
    "/etc/kubernetes/pki/ca.crt",
    "/etc/kubernetes/pki/ca.key",
    "/etc/kubernetes/pki/sa.key",
    "/etc/kubernetes/pki/front-proxy-ca.crt",
    "/var/lib/kubelet/config.yaml",
    "/var/lib/kubelet/kubeadm-flags.env",
    "/var/lib/kubelet/pki/kubelet-client-current.pem",
    "/var/lib/kubelet/cpu_manager_state",
    "/var/lib/kubelet/memory_manager_state",
)
_LINKS = re.compile(
    r"cni0|flannel[.-].+|cilium_.+|cali[0-9a-f]{11}|vxlan(-v6)?\.calico|wireguard\.cali|weave|vethwe-.+"
    r"|kube-ipvs0|kube-bridge|kube-dummy-if|nodelocaldns|antrea-.+|ovn-k8s-mp0|tunl0|cbr0|lxc_health"
)
CNI_DIR = "/etc/cni/net.d"
CNI_CONFIG = "10-flannel.conflist"
CNI_STATES = ("/var/lib/cni/networks", "/var/lib/cni/flannel", "/var/lib/cni/results", "/var/lib/cni/cache")
SUBNET = "/run/flannel/subnet.env"
CHAINS = ("KUBE-", "CNI-", "FLANNEL-", "cali-", "CILIUM_", "WEAVE-", "ANTREA-", "KUBE_", "FLANNEL_")
TABLES = ("kube-proxy", "flannel-ipv4", "flannel-ipv6", "cilium", "calico", "kube-router", "antrea")


def manifests(scene: Scene) -> Iterable[Finding]:
    """The kubelet runs every file in the directory that does not begin with a dot."""
    ours = {"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "haproxy", "keepalived"}
    for name in scene.see.listdir(MANIFESTS):
        stem = name.removesuffix(".yaml")
        if not name.startswith(".") and not (scene.touched and stem in ours and name.endswith(".yaml")):
            yield Finding(
                f"FileAvailable--etc-kubernetes-manifests-{name}",
                f"{MANIFESTS}/{name} exists, and the kubelet would run it",
                f"move it elsewhere: mv {MANIFESTS}/{name} /root/",
            )


def files(scene: Scene) -> Iterable[Finding]:
    if scene.touched:
        return
    for path, stat in scene.stats(FILES).items():
        if stat is not None:
            yield Finding(
                f"FileAvailable-{path.replace('/', '-')}",
                f"{path} exists: this machine was part of another cluster",
                "leave that cluster first (kubeadm reset), or move the file away",
            )


def etcd_data(scene: Scene) -> Iterable[Finding]:
    path = scene.spec.etcd.data_dir
    names = paths.content(scene.see, path)
    if scene.runs_etcd and not scene.touched and names:
        held = "the data of another etcd member" if "member" in names else f"{min(names)}, but must be empty"
        yield Finding(
            f"DirAvailable-{path.replace('/', '-')}",
            f"{path} holds {held}",
            f"keep it with: mv {path} {path}.old",
        )


def links(scene: Scene) -> Iterable[Finding]:
    """tunl0 is in every network namespace once its module is loaded: with an address it is Calico's."""
    for link in scene.see.links():
        foreign = _LINKS.fullmatch(link.name) and (link.name != "tunl0" or link.addresses)
        if foreign and not scene.touched:
            yield Finding(
                f"Link-{link.name}",
                f"{link.name} ({', '.join(link.addresses) or 'no address'}) is left from another cluster",
                f"ip link delete {link.name}",
            )


def cni(scene: Scene) -> Iterable[Finding]:
    """The runtime takes the first configuration by name, whoever wrote it."""
    for name in scene.see.listdir(CNI_DIR):
        foreign = name.endswith((".conf", ".conflist", ".json")) and (name != CNI_CONFIG or not scene.touched)
        if foreign and (name <= CNI_CONFIG or not scene.touched):
            yield Finding(
                f"CNIConfig-{name}",
                f"{CNI_DIR}/{name} exists: pods would get their addresses from another network",
                f"mv {CNI_DIR}/{name} /root/",
            )
    if scene.touched:
        return
    states = scene.listings(CNI_STATES)
    for folder in (folder for folder, names in states.items() if names):
        yield Finding(
            "CNIState",
            f"{folder} keeps addresses that another cluster gave to pods: {', '.join(states[folder][:3])}",
            f"rm -r {folder}",
        )


def subnet(scene: Scene) -> Iterable[Finding]:
    """flannel believes this file, and the bridge what it was made with."""
    rows = dict(line.partition("=")[::2] for line in scene.text(SUBNET).splitlines())
    network, own = rows.get("FLANNEL_NETWORK", ""), rows.get("FLANNEL_SUBNET", "")
    pods = [part.strip() for part in scene.spec.networking.pod_subnet.split(",")]
    if network and network not in pods:
        yield Finding(
            "FlannelSubnet",
            f"{SUBNET} is of a cluster whose pods have {network}, and here they have {', '.join(pods)}",
            f"rm {SUBNET}",
        )
    bridge = next((link for link in scene.see.links() if link.name == "cni0"), None)
    have = [a for a in bridge.addresses if "." in a] if bridge else []
    if scene.touched and own and have and own not in have:
        yield Finding(
            "BridgeAddress",
            f"cni0 has {', '.join(have)} but this node's pods have {own}",
            "ip link delete cni0; the next pod creates it again",
        )


def packet_rules(scene: Scene) -> Iterable[Finding]:
    if scene.touched:
        return
    for family, table in scene.see.nft_tables():
        if table in TABLES:
            yield Finding(
                f"Nftables-{table}",
                f"the nftables table {family} {table} is left from another cluster",
                f"nft delete table {family} {table}",
            )
    chains = [c for c in scene.see.nft_chains() if c.name.startswith(CHAINS) and c.table not in TABLES]
    if chains:
        yield Finding(
            "IptablesChains",
            f"{len(chains)} chains of another cluster, such as {chains[0].name}, would still catch packets",
            "iptables-save | grep -vE 'KUBE-|CNI-|FLANNEL|cali-' | iptables-restore, or reboot",
        )


CHECKS: tuple[Callable[[Scene], Iterable[Finding]], ...] = (
    manifests, files, etcd_data, links, cni, subnet, packet_rules,
)  # fmt: skip
