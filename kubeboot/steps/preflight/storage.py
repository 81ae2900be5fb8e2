"""Disks and mounts: room, speed, what a file system forbids or cannot do."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from kubeboot.host.api import Mount
from kubeboot.steps.preflight.model import Finding, Level, Scene

GIB = 1 << 30
DISK = {"/var/lib": 5 * GIB, "/opt": GIB // 4, "/usr/local/bin": GIB // 2}
EVICTED_BELOW = {"/var/lib/kubelet": 0.10, "/var/lib/containerd": 0.15}
"""The kubelet's own thresholds for the share that is free (nodefs.available, imagefs.available)."""
INODES_BELOW = 0.05
SLOW, TOO_SLOW = 0.010, 0.100
EXEC_DIRS = ("/usr/local/bin", "/opt/cni/bin", "/var/lib/containerd")
WRITE_DIRS = ("/etc", "/opt", "/usr/local/bin", "/var/lib", "/usr/libexec")
NO_OVERLAY = frozenset(
    {"overlay", "nfs", "nfs4", "cifs", "vfat", "exfat", "ecryptfs", "9p", "fuseblk", "aufs"}
)
NO_ETCD = frozenset({"nfs", "nfs4", "cifs", "9p", "glusterfs", "ceph", "tmpfs", "ramfs"})


def space(scene: Scene) -> Iterable[Finding]:
    for path, need in DISK.items():
        free = scene.see.space(path).free
        if free < need and not scene.touched:
            yield Finding(
                f"DiskSpace-{_dashed(path)}",
                f"{free >> 20} MiB free on {path}; {need >> 20} are needed",
                f"make room: du -xh {path} | sort -h | tail",
            )


def pressure(scene: Scene) -> Iterable[Finding]:
    for path, share in EVICTED_BELOW.items():
        found = scene.see.space(path)
        if found.free < share * found.size:
            yield Finding(
                f"DiskPressure-{_dashed(path)}",
                f"{found.free / found.size:.0%} of {path} is free; below {share:.0%} the kubelet evicts pods",
                f"make room: du -xh {path} | sort -h | tail",
            )


def inodes(scene: Scene) -> Iterable[Finding]:
    found = scene.see.space("/var/lib/kubelet")
    if found.inodes and found.free_inodes < INODES_BELOW * found.inodes:
        yield Finding(
            "Inodes",
            f"{found.free_inodes} of {found.inodes} inodes are free below /var/lib: the kubelet evicts pods",
            "find the directory with the most files: du --inodes -xS /var | sort -n | tail",
        )


def speed(scene: Scene) -> Iterable[Finding]:
    """Before there is a cluster: later it would measure etcd's own work."""
    if scene.touched or not scene.runs_etcd:
        return
    seconds = _sync_seconds(scene)
    if seconds is not None and seconds > SLOW:
        yield Finding(
            "EtcdDisk",
            f"a synced write below {scene.spec.etcd.data_dir} takes {seconds * 1000:.0f} ms; etcd wants "
            f"{SLOW * 1000:.0f}, and loses its leader at {TOO_SLOW * 1000:.0f}",
            "give etcd an SSD of its own (etcd.dataDir)",
            "error" if seconds > TOO_SLOW else "warning",
        )


def _sync_seconds(scene: Scene) -> float | None:
    """What is too slow is measured twice more, and the best counts: a moment's load is not the disk."""
    best = scene.see.sync_seconds(scene.spec.etcd.data_dir)
    for _ in range(2):
        if best is None or best <= TOO_SLOW:
            break
        best = min(best, scene.see.sync_seconds(scene.spec.etcd.data_dir) or best)
    return best


def mount_options(scene: Scene) -> Iterable[Finding]:
    mounts = scene.see.mounts()
    yield from _mounted(mounts, EXEC_DIRS, "noexec", "NoExec", "mount -o remount,exec {point}")
    yield from _mounted(mounts, WRITE_DIRS, "ro", "ReadOnly", "mount -o remount,rw {point}")
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
    for path in paths:
        mount = holding(mounts, path)
        if mount is not None and option in mount.options:
            yield Finding(
                f"{name}-{_dashed(path)}",
                f"{path} is on {mount.point}, mounted {option}",
                fix.format(point=mount.point),
                level,
            )


def holding(mounts: tuple[Mount, ...], path: str) -> Mount | None:
    """The mount that a path is on; of several on one point the last one counts."""
    found = [m for m in mounts if f"{path}/".startswith(f"{m.point.rstrip('/')}/")]
    return max(enumerate(found), key=lambda pair: (len(pair[1].point), pair[0]))[1] if found else None


def snapshots(scene: Scene) -> Iterable[Finding]:
    mount = holding(scene.see.mounts(), "/var/lib/containerd")
    if mount is not None and mount.fstype in NO_OVERLAY:
        yield Finding(
            "Filesystem-var-lib-containerd",
            f"/var/lib/containerd is on {mount.fstype}, which cannot hold containers' layers (overlayfs)",
            "mount ext4 or xfs (ftype=1) at /var/lib/containerd; in a container: a volume",
        )


def etcd(scene: Scene) -> Iterable[Finding]:
    path = scene.spec.etcd.data_dir
    mount = holding(scene.see.mounts(), path)
    if scene.runs_etcd and mount is not None and mount.fstype in NO_ETCD:
        yield Finding(
            f"Filesystem-{_dashed(path)}",
            f"{path} is on {mount.fstype}: etcd needs a local disk that keeps what is written",
            f"mount a local ext4 or xfs at {path}",
        )


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
            "leave that cluster first (kubeadm reset), or umount them: they hold data",
        )


def links(scene: Scene) -> Iterable[Finding]:
    for path in ("/var/lib/kubelet", "/var/lib/containerd"):
        stat = scene.see.stat(path)
        if stat is not None and stat.kind == "link":
            yield Finding(
                f"Symlink-{_dashed(path)}",
                f"{path} is a link to {stat.target}: mounts below it are not found by that name",
                f"rm {path}; mkdir {path}; mount --bind {stat.target} {path} (and in /etc/fstab)",
                "warning",
            )


def _dashed(path: str) -> str:
    return path.strip("/").replace("/", "-")


CHECKS: tuple[Callable[[Scene], Iterable[Finding]], ...] = (
    space, pressure, inodes, speed, mount_options, snapshots, etcd, propagation, left_mounts, links,
)  # fmt: skip
