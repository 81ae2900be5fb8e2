"""Mounts and directories: what is on them, and what they forbid."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterable

from kubeboot.host.model import Mount
from kubeboot.steps.preflight.model import Finding, Level, Scene

EXEC_DIRS = ("/usr/local/bin", "/usr/local/lib", "/opt/cni/bin", "/var/lib/containerd")
WRITE_DIRS = (
    "/etc", "/opt", "/usr/local/bin", "/var/lib", "/usr/libexec", "/var/log", "/run", "/etc/kubernetes",
    "/etc/cni/net.d", "/etc/containerd", "/etc/systemd/system", "/etc/sysctl.d", "/etc/modules-load.d",
    "/opt/cni/bin", "/usr/local/lib", "/var/lib/kubelet", "/var/lib/containerd", "/var/lib/cni",
    "/var/lib/kubeboot",
)  # fmt: skip
FOLDERS = (
    "/etc/kubernetes", "/etc/kubernetes/manifests", "/etc/kubernetes/pki", "/etc/cni", "/etc/cni/net.d",
    "/etc/containerd", "/opt/cni", "/opt/cni/bin", "/usr/local/bin", "/usr/local/lib", "/var/lib/kubelet",
    "/var/lib/containerd", "/var/lib/cni", "/var/lib/kubeboot", "/var/log/pods", "/var/log/containers",
)  # fmt: skip
"""What has to be a directory, or not to be there yet."""


def mount_options(scene: Scene) -> Iterable[Finding]:
    mounts = scene.see.mounts()
    yield from _mounted(mounts, EXEC_DIRS, "noexec", "NoExec", "mount -o remount,exec {point}")
    written = (*WRITE_DIRS, scene.spec.etcd.data_dir)
    yield from _mounted(mounts, written, "ro", "ReadOnly", "mount -o remount,rw {point}")
    yield from _mounted(
        mounts, ("/var/lib/containerd",), "nosuid", "NoSuid", "mount -o remount,suid {point}", "warning"
    )


def _mounted(
    mounts: tuple[Mount, ...],
    paths: tuple[str, ...],
    option: str,
    name: str,
    fix: str,
    level: Level = "error",
) -> Iterable[Finding]:
    """One finding for each mount, by the first directory on it."""
    told: set[str] = set()
    for path in paths:
        mount = holding(mounts, path)
        if mount is not None and option in mount.options and mount.point not in told:
            told.add(mount.point)
            yield Finding(
                f"{name}-{dashed(path)}",
                f"{path} is on {mount.point}, mounted {option}",
                fix.format(point=mount.point),
                level,
            )


def holding(mounts: tuple[Mount, ...], path: str) -> Mount | None:
    """The mount that a path is on; of several on one point the last one counts."""
    found = [m for m in mounts if f"{path}/".startswith(f"{m.point.rstrip('/')}/")]
    return max(enumerate(found), key=lambda pair: (len(pair[1].point), pair[0]))[1] if found else None


def propagation(scene: Scene) -> Iterable[Finding]:
    rows = (line.split() for line in scene.text("/proc/self/mountinfo").splitlines())
    root = [row for row in rows if len(row) > 6 and row[4] == "/"]
    if root and not any(word.startswith("shared:") for word in root[-1][6:]):
        yield Finding(
            "MountPropagation",
            "/ is mounted privately: volumes that one container mounts stay invisible to the others",
            "mount --make-rshared /",
        )


def left_mounts(scene: Scene) -> Iterable[Finding]:
    points = sorted(m.point for m in scene.see.mounts() if m.point.startswith("/var/lib/kubelet/"))
    if points and not scene.touched:
        yield Finding(
            "Mounts-var-lib-kubelet",
            f"{len(points)} volumes of another cluster's pods are mounted, such as {points[0]}",
            "leave that cluster first (kubeadm reset), or unmount them: they hold data",
        )


def links(scene: Scene) -> Iterable[Finding]:
    for path in ("/var/lib/kubelet", "/var/lib/containerd"):
        stat = scene.see.stat(path)
        if stat is not None and stat.kind == "link":
            yield Finding(
                f"Symlink-{dashed(path)}",
                f"{path} is a link to {stat.target}: mounts below it are not found by that name",
                f"rm {path}; mkdir {path}; mount --bind {stat.target} {path} (and in /etc/fstab)",
                "warning",
            )


def folders(scene: Scene) -> Iterable[Finding]:
    etcd = (scene.spec.etcd.data_dir,) if scene.runs_etcd else ()
    for path, stat in scene.stats((*FOLDERS, *etcd)).items():
        target = (stat.target or "") if stat is not None and stat.kind == "link" else ""
        dangling = target and scene.see.stat(posixpath.join(posixpath.dirname(path), target)) is None
        if dangling or (stat is not None and stat.kind in ("file", "other")):
            yield Finding(
                f"NotADirectory-{dashed(path)}",
                f"{path} is {'a link to nothing' if dangling else 'no directory'}, and files belong below it",
                f"mv {path} {path}.old",
            )


def dashed(path: str) -> str:
    return path.strip("/").replace("/", "-")


CHECKS: tuple[Callable[[Scene], Iterable[Finding]], ...] = (
    mount_options, propagation, left_mounts, links, folders,
)  # fmt: skip
