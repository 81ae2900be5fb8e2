"""What --skip-phases may name: the groups of steps, and kubeadm's names for what is the same."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from kubeboot.config.problems import Problem, meant

GROUPS: Mapping[str, str] = {
    "preflight": "the checks before anything is changed",
    "kernel": "kernel modules and sysctls",
    "runtime": "containerd, runc and the CNI plugins",
    "images": "container images",
    "pki": "keys and certificates",
    "kubeconfig": "kubeconfig files",
    "kubelet": "the kubelet and kubectl",
    "load-balancer": "haproxy",
    "virtual-ip": "keepalived",
    "etcd": "etcd",
    "control-plane": "API server, controller-manager and scheduler",
    "cluster": "ConfigMaps and RBAC",
    "token": "the bootstrap token",
    "node": "the Node's labels, taints and readiness",
    "proxy": "kube-proxy",
    "network": "flannel",
    "dns": "CoreDNS",
    "hook": "the user's own playbooks",
}

_KUBEADM: Mapping[str, tuple[str, ...]] = {
    "addon": ("dns", "proxy"),
    "addon/coredns": ("dns",),
    "addon/kube-proxy": ("proxy",),
    "bootstrap-token": ("token",),
    "certs": ("pki",),
    "kubelet-start": ("kubelet",),
    "mark-control-plane": ("node/mark",),
    "upload-config": ("cluster/kubeadm-config", "cluster/kubelet-config"),
    "upload-config/kubeadm": ("cluster/kubeadm-config",),
    "upload-config/kubelet": ("cluster/kubelet-config",),
    "wait-control-plane": ("control-plane/rights", "control-plane/ready"),
    "kubelet-finalize": (),
    "upload-certs": (),
    "show-join-command": (),
}


def resolve(names: Iterable[str]) -> tuple[frozenset[str], list[Problem]]:
    """kubeboot's own names for what is to be skipped: a group, or one step as `group/step`."""
    found: set[str] = set()
    problems = []
    for name in names:
        if name in _KUBEADM:
            found.update(_KUBEADM[name])
        elif name.split("/")[0] in GROUPS:
            found.add(name)
        else:
            fix = meant(name, [*GROUPS, *_KUBEADM]) or f"known: {', '.join(GROUPS)}"
            problems.append(Problem((), f"there is no phase `{name}`", fix))
    return frozenset(found), problems
