"""Other clusters and half-removed ones: what would mix with ours on a machine that is not ours yet."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from kubeboot.steps.preflight.model import Finding, Scene

MANIFESTS = "/etc/kubernetes/manifests"
FILES = (
    "/etc/kubernetes/admin.conf",
    "/etc/kubernetes/kubelet.conf",
    "/etc/kubernetes/bootstrap-kubelet.conf",
    "/etc/kubernetes/pki/ca.crt",
)
OTHERS = {
    "k3s.service": "k3s-uninstall.sh",
    "k3s-agent.service": "k3s-agent-uninstall.sh",
    "rke2-server.service": "rke2-uninstall.sh",
    "rke2-agent.service": "rke2-uninstall.sh",
    "k0scontroller.service": "k0s reset",
    "k0sworker.service": "k0s reset",
    "snap.microk8s.daemon-kubelite.service": "snap remove microk8s",
    "crio.service": "systemctl disable --now crio",
}
LINKS = ("cni0", "flannel.1", "cilium_host", "cilium_net", "tunl0", "vxlan.calico", "weave", "kube-ipvs0")
CNI_DIR = "/etc/cni/net.d"
CNI_CONFIG = "10-flannel.conflist"
CNI_STATE = "/var/lib/cni/networks"
SUBNET = "/run/flannel/subnet.env"
CHAINS = ("KUBE-", "CNI-", "FLANNEL-", "cali-", "CILIUM_", "WEAVE-")
TABLES = ("kube-proxy", "flannel-ipv4", "flannel-ipv6", "cilium", "calico")


def manifests(scene: Scene) -> Iterable[Finding]:
    """The kubelet runs every file in the directory that does not begin with a dot."""
    ours = {"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "haproxy", "keepalived"}
    for name in scene.see.listdir(MANIFESTS):
        stem = name.removesuffix(".yaml")
        if not name.startswith(".") and not (scene.touched and stem in ours and name.endswith(".yaml")):
            yield Finding(
                f"FileAvailable--etc-kubernetes-manifests-{name}",
                f"{MANIFESTS}/{name} is there, and the kubelet would run it",
                f"move it elsewhere: mv {MANIFESTS}/{name} /root/",
            )


def files(scene: Scene) -> Iterable[Finding]:
    if scene.touched:
        return
    for path in FILES:
        if scene.see.stat(path) is not None:
            yield Finding(
                f"FileAvailable-{path.replace('/', '-')}",
                f"{path} is there: this machine has been part of another cluster",
                "leave that cluster first (kubeadm reset), or move the file away",
            )


def etcd_data(scene: Scene) -> Iterable[Finding]:
    path = scene.spec.etcd.data_dir
    if scene.runs_etcd and not scene.touched and "member" in scene.see.listdir(path):
        yield Finding(
            f"DirAvailable-{path.replace('/', '-')}",
            f"{path} holds the data of another etcd member",
            f"keep it with: mv {path} {path}.old",
        )


def others(scene: Scene) -> Iterable[Finding]:
    active = scene.see.active_units()
    for unit, removal in OTHERS.items():
        if unit in active:
            yield Finding(
                f"Service-{unit.split('.')[0]}", f"{unit} runs on this machine", f"remove it: {removal}"
            )
    if "docker.service" in active and not scene.touched:
        yield Finding(
            "Service-docker",
            "Docker runs on this machine: it sets the policy of forwarding to DROP, and shares containerd",
            "systemctl disable --now docker.service docker.socket, if nobody needs it",
            "warning",
        )


def kubelet(scene: Scene) -> Iterable[Finding]:
    if not scene.touched and scene.see.unit("kubelet.service").active == "active":
        yield Finding(
            "Service-kubelet",
            "a kubelet that kubeboot did not start runs on this machine",
            "leave its cluster first: kubeadm reset, then systemctl disable --now kubelet",
        )


def links(scene: Scene) -> Iterable[Finding]:
    for link in scene.see.links():
        if link.name in LINKS and not scene.touched:
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
                f"{CNI_DIR}/{name} is there: pods would get their addresses from another network",
                f"mv {CNI_DIR}/{name} /root/",
            )
    if scene.touched:
        return
    for name in scene.see.listdir(CNI_STATE):
        yield Finding(
            "CNIState",
            f"{CNI_STATE}/{name} keeps addresses that another cluster gave to pods",
            f"rm -r {CNI_STATE}/{name}",
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
            "ip link delete cni0; the next pod makes it anew",
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
    manifests, files, etcd_data, others, kubelet, links, cni, subnet, packet_rules,
)  # fmt: skip
