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
LINKS = ("cni0", "flannel.1", "cilium_host", "tunl0", "vxlan.calico", "weave")


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
    if scene.node.role == "control_plane" and not scene.touched and "member" in scene.see.listdir(path):
        yield Finding(
            f"DirAvailable-{path.replace('/', '-')}",
            f"{path} holds the data of another etcd member",
            f"keep it with: mv {path} {path}.old",
        )


def others(scene: Scene) -> Iterable[Finding]:
    for unit, removal in OTHERS.items():
        if scene.see.unit(unit).active == "active":
            yield Finding(
                f"Service-{unit.split('.')[0]}", f"{unit} runs on this machine", f"remove it: {removal}"
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


CHECKS: tuple[Callable[[Scene], Iterable[Finding]], ...] = (
    manifests,
    files,
    etcd_data,
    others,
    kubelet,
    links,
)
