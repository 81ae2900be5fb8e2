"""A container runtime that was there before kubeboot, and what it would do to the kubelet."""

from __future__ import annotations

import fnmatch
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from kubeboot.config.versions import CONTAINERD
from kubeboot.steps.preflight.model import Finding, Scene

RUNC = (1, 1)
CONFIG = "/etc/containerd/config.toml"
NEEDED = (
    "cri",
    "io.containerd.grpc.v1.cri",
    "io.containerd.cri.v1.runtime",
    "io.containerd.cri.v1.images",
    "io.containerd.snapshotter.v1.overlayfs",
    "io.containerd.runtime.v2.task",
)
"""The plugins that a node works with, by their names in versions 1 and 2."""
_REPLACED = "kubeboot installs its own and restarts it; running containers are left alone"


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
    if said is None:
        yield Finding(
            "ContainerdConfig",
            f"{CONFIG} cannot be read as TOML, and containerd does not start with it: {_REPLACED}",
            f"fix it, or move it away: mv {CONFIG} {CONFIG}.old",
            "warning",
        )
        return
    off = [name for name in _listed(said, "disabled_plugins") if name in NEEDED]
    if off:
        yield Finding(
            "CRIDisabled",
            f"containerd's configuration disables {', '.join(off)}, which the kubelet needs: {_REPLACED}",
            f"take it out of disabled_plugins in {CONFIG}",
            "warning",
        )
    drivers = set(_found(said, "SystemdCgroup"))
    if False in drivers and True not in drivers:
        yield Finding(
            "CgroupDriver",
            "containerd makes its cgroups itself (cgroupfs), and the kubelet asks systemd for them: "
            f"{_REPLACED}",
            f"set SystemdCgroup = true for runc in {CONFIG}",
            "warning",
        )


def _effective(scene: Scene) -> Mapping[str, Any] | None:
    """As containerd merges it, else as its files have it; None where they cannot be read.

    A file of kubeboot's own is a step's to fix.
    """
    if scene.touched and "containerd" not in scene.facts.commands:
        return {}
    try:
        dumped = scene.see.runtime_config() if "containerd" in scene.facts.commands else ""
        return tomllib.loads(dumped) if dumped else _files(scene)
    except tomllib.TOMLDecodeError:
        return None


def _files(scene: Scene) -> Mapping[str, Any]:
    main = tomllib.loads(scene.text(CONFIG))
    merged = dict(main)
    for pattern in _listed(main, "imports"):
        folder, _, names = pattern.rpartition("/")
        for name in fnmatch.filter(scene.see.listdir(folder), names):
            more = tomllib.loads(scene.text(f"{folder}/{name}"))
            off = [*_listed(merged, "disabled_plugins"), *_listed(more, "disabled_plugins")]
            merged |= {**more, "plugins": [merged.get("plugins"), more.get("plugins")]}
            merged["disabled_plugins"] = off
    return merged


def _listed(tree: Mapping[str, Any], key: str) -> list[str]:
    """What is no list there is containerd's to refuse."""
    value = tree.get(key)
    return [str(each) for each in value] if isinstance(value, list) else []


def _found(tree: object, key: str) -> Iterable[object]:
    if isinstance(tree, dict):
        for name, value in tree.items():
            if name == key:
                yield value
            yield from _found(value, key)
    elif isinstance(tree, list):
        for value in tree:
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


CHECKS: tuple[Callable[[Scene], Iterable[Finding]], ...] = (
    versions, config, running_cgroups, containers,
)  # fmt: skip
