"""A container runtime that was there before kubeboot, and what it would do to the kubelet."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from kubeboot.config.versions import CONTAINERD
from kubeboot.steps.preflight.model import Finding, Scene

RUNC = (1, 1)
OURS = ("10-kubeboot-inputs.conf", "10-kubeboot-standalone.conf", "10-kubeadm.conf")
DROP_INS = ("/etc/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system", "/run/systemd/system")
_PROXY = re.compile(r"^Environment=.*\b(https?_proxy)=", re.IGNORECASE | re.MULTILINE)
_NO_PROXY = re.compile(r"^Environment=.*\bno_proxy=", re.IGNORECASE | re.MULTILINE)
_REPLACED = "kubeboot brings its own and restarts it; containers that run go on"


def versions(scene: Scene) -> Iterable[Finding]:
    """kubeboot brings newer ones beside them; what uses the old ones should know."""
    found = scene.see.versions()
    for name, least in (("containerd", CONTAINERD), ("runc", RUNC)):
        number = tuple(int(part) for part in re.findall(r"\d+", found.get(name, ""))[:2])
        if number and number < least and not scene.touched:
            yield Finding(
                f"Old-{name}",
                f"{name} {found[name]} is on this machine; Kubernetes {scene.spec.kubernetes_version} wants "
                f"{'.'.join(map(str, least))}: {_REPLACED}",
                f"apt-get remove {name}, if nothing else needs it",
                "warning",
            )


def config(scene: Scene) -> Iterable[Finding]:
    said = _effective(scene)
    if any(name in ("cri", "io.containerd.grpc.v1.cri") for name in said.get("disabled_plugins", ())):
        yield Finding(
            "CRIDisabled",
            f"containerd's configuration disables its CRI plugin, which the kubelet talks to: {_REPLACED}",
            "take cri out of disabled_plugins in /etc/containerd/config.toml",
            "warning",
        )
    drivers = set(_found(said, "SystemdCgroup"))
    if False in drivers and True not in drivers:
        yield Finding(
            "CgroupDriver",
            "containerd makes its cgroups itself (cgroupfs), and the kubelet asks systemd for them: "
            f"{_REPLACED}",
            "set SystemdCgroup = true for runc in /etc/containerd/config.toml",
            "warning",
        )


def _effective(scene: Scene) -> Mapping[str, Any]:
    if "containerd" not in scene.facts.commands:
        return {}
    try:
        return tomllib.loads(scene.see.runtime_config())
    except tomllib.TOMLDecodeError:
        return {}


def _found(tree: object, key: str) -> Iterable[object]:
    if isinstance(tree, dict):
        for name, value in tree.items():
            if name == key:
                yield value
            yield from _found(value, key)


def running_cgroups(scene: Scene) -> Iterable[Finding]:
    """What is true of pods that run, whatever any configuration says."""
    wrong = [p for p in scene.see.processes() if p.cgroup.startswith("/kubepods/")]
    if wrong:
        yield Finding(
            "CgroupDriverRunning",
            f"pods run in cgroups that the runtime made itself, such as {wrong[0].name} in {wrong[0].cgroup}",
            "leave that cluster first (kubeadm reset), or reboot once the driver is set",
        )


def containers(scene: Scene) -> Iterable[Finding]:
    if scene.touched or "containerd.service" not in scene.see.active_units():
        return
    pods = [c for c in scene.see.containers() if c.pid and c.pod]
    if pods:
        yield Finding(
            "Containers",
            f"{len(pods)} containers of another cluster run on this machine, such as {pods[0].pod}",
            "leave that cluster first: kubeadm reset, or the uninstaller of what made it",
        )


def drop_ins(scene: Scene) -> Iterable[Finding]:
    """What others add to our units takes effect after a restart, and is in none of our files."""
    for path, text in _drop_ins(scene):
        if _PROXY.search(text) and not _NO_PROXY.search(text):
            yield Finding(
                "ProxyUnit",
                f"{path} sends requests through a proxy, the cluster's own among them",
                f"add NO_PROXY={bypass(scene)} to {path}",
            )
        elif re.search(r"^ExecStart=", text, re.MULTILINE):
            yield Finding(
                f"DropIn-{path.rpartition('/')[2]}",
                f"{path} changes how the unit is started",
                f"rm {path}; systemctl daemon-reload",
                "warning",
            )


def _drop_ins(scene: Scene) -> Iterable[tuple[str, str]]:
    for unit in ("containerd.service", "kubelet.service"):
        folders = [f"{root}/{unit}.d" for root in DROP_INS]
        names = {n: folder for folder in reversed(folders) for n in scene.see.listdir(folder)}
        for name, folder in sorted(names.items()):
            if name.endswith(".conf") and name not in OURS:
                yield f"{folder}/{name}", scene.text(f"{folder}/{name}")


def bypass(scene: Scene) -> str:
    """What must not go through a proxy."""
    networking = scene.spec.networking
    own = next(
        (a for nic in scene.facts.nics for a in nic.addresses if a.startswith(f"{scene.node.address}/")), ""
    )
    ranges = (networking.pod_subnet, networking.service_subnet, own or scene.node.address)
    return ",".join(("127.0.0.1", "localhost", *ranges, f".{networking.dns_domain}", ".svc"))


CHECKS: tuple[Callable[[Scene], Iterable[Finding]], ...] = (
    versions, config, running_cgroups, containers, drop_ins,
)  # fmt: skip
