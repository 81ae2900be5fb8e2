"""Other installers of clusters and of runtimes: what runs, comes back at boot, or is there."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from kubeboot.steps.preflight import configured
from kubeboot.steps.preflight.model import Finding, Scene

OTHERS = {
    "k3s.service": "k3s-uninstall.sh",
    "k3s-agent.service": "k3s-agent-uninstall.sh",
    "rke2-server.service": "rke2-uninstall.sh",
    "rke2-agent.service": "rke2-uninstall.sh",
    "rancher-system-agent.service": "rancher-system-agent-uninstall.sh",
    "k0scontroller.service": "k0s reset",
    "k0sworker.service": "k0s reset",
    "snap.microk8s.daemon-kubelite.service": "snap remove --purge microk8s",
    "snap.microk8s.daemon-containerd.service": "snap remove --purge microk8s",
    "snap.k8s.kubelet.service": "snap remove --purge k8s",
    "snap.k8s.containerd.service": "snap remove --purge k8s",
    "snap.kubelet.daemon.service": "snap remove --purge kubelet",
    "microshift.service": "systemctl disable --now microshift, and dnf remove microshift",
    "edgecore.service": "keadm reset",
    "crio.service": "systemctl disable --now crio",
    "cri-o.service": "systemctl disable --now cri-o",
    "cri-docker.service": "systemctl disable --now cri-docker.service cri-docker.socket",
    "etcd.service": "systemctl disable --now etcd",
    "kube-apiserver.service": "systemctl disable --now kube-apiserver",
    "kube-controller-manager.service": "systemctl disable --now kube-controller-manager",
    "kube-scheduler.service": "systemctl disable --now kube-scheduler",
    "kube-proxy.service": "systemctl disable --now kube-proxy",
    "flanneld.service": "systemctl disable --now flanneld",
}
DOCKER = {
    "docker.service": "systemctl disable --now docker.service docker.socket",
    "docker.socket": "systemctl disable --now docker.service docker.socket",
    "snap.docker.dockerd.service": "snap remove docker",
}
STATES = {
    "/etc/rancher": "k3s-uninstall.sh or rke2-uninstall.sh",
    "/var/lib/rancher": "k3s-uninstall.sh or rke2-uninstall.sh",
    "/var/lib/k0s": "k0s reset",
    "/var/snap/microk8s": "snap remove --purge microk8s",
    "/var/snap/k8s": "snap remove --purge k8s",
    "/var/lib/microshift": "rm -r /var/lib/microshift",
    "/var/lib/minikube": "minikube delete; rm -r /var/lib/minikube",
    "/var/lib/calico": "rm -r /var/lib/calico",
    "/var/lib/weave": "rm -r /var/lib/weave",
    "/var/lib/cri-dockerd": "rm -r /var/lib/cri-dockerd",
}
"""Where others keep what outlives their processes, and what removes it."""


def states(scene: Scene) -> Iterable[Finding]:
    listings = scene.listings(STATES)
    for path, removal in STATES.items():
        if not scene.touched and listings[path]:
            yield Finding(
                f"Leftover-{path.strip('/').replace('/', '-')}",
                f"{path} is left from another cluster, and may bring it back",
                f"remove it: {removal}",
                "warning",
            )


def others(scene: Scene) -> Iterable[Finding]:
    """What is installed and neither runs nor starts at the next boot is told of, not refused."""
    active = scene.see.active_units()
    there, returning = configured.units(scene) & frozenset(OTHERS), configured.enabled(scene)
    there -= configured.masked(scene, there)
    for unit, removal in OTHERS.items():
        if unit in active | there | returning:
            yield Finding(
                f"Service-{unit.split('.')[0]}",
                f"{unit} {_state(unit, active, returning)} this machine",
                f"remove it: {removal}",
                "error" if unit in active | returning else "warning",
            )
    docker = next((unit for unit in DOCKER if unit in active | returning), "")
    if docker and not scene.touched:
        yield Finding(
            "Service-docker",
            f"{docker} {_state(docker, active, returning)} this machine: Docker sets the "
            "forwarding policy to DROP, and shares containerd",
            f"{DOCKER[docker]}, if nothing needs it",
            "warning",
        )


def _state(unit: str, active: frozenset[str], returning: frozenset[str]) -> str:
    if unit in active:
        return "runs on"
    return "starts at every boot of" if unit in returning else "is installed on"


def kubelet(scene: Scene) -> Iterable[Finding]:
    """One that waits for its configuration is restarted again and again: `activating`."""
    if not scene.touched and "kubelet.service" in scene.see.active_units():
        yield Finding(
            "Service-kubelet",
            "a kubelet that kubeboot did not start runs on this machine",
            "leave its cluster first: kubeadm reset, then systemctl disable --now kubelet",
        )


def masked(scene: Scene) -> Iterable[Finding]:
    for unit in sorted(configured.masked(scene, ("kubelet.service", "containerd.service"))):
        yield Finding(
            f"Masked-{unit.split('.')[0]}",
            f"{unit} is masked: someone did not want it to run here, and kubeboot would install it again",
            f"systemctl unmask {unit}",
            "warning",
        )


CHECKS: tuple[Callable[[Scene], Iterable[Finding]], ...] = (states, others, kubelet, masked)
