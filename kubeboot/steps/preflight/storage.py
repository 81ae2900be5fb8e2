"""Disks: room, speed, and what a file system cannot do."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from kubeboot.host.health import EVICTED_BELOW, INODES_BELOW
from kubeboot.host.model import Mount
from kubeboot.steps.preflight.model import Finding, Scene, each
from kubeboot.steps.preflight.mounts import dashed, holding

GIB = 1 << 30
DISK = {
    "/var/lib": 5 * GIB,
    "/var/lib/containerd": 3 * GIB,
    "/opt": GIB // 4,
    "/usr/local/bin": GIB // 2,
    "/var/log": GIB // 4,
    "/etc": GIB // 64,
    "/run": GIB // 64,
}
ETCD_DISK = GIB
SLOW, TOO_SLOW = 0.010, 0.100
_REMOTE = {"nfs", "nfs4", "cifs", "smb3", "9p", "glusterfs", "ceph"}
NO_OVERLAY = frozenset({*_REMOTE, "overlay", "vfat", "exfat", "ntfs3", "ecryptfs", "fuseblk", "aufs"})
NO_ETCD = frozenset({*_REMOTE, "tmpfs", "ramfs"})
FUSE = "fuse."
"""A program keeps these, such as fuse.glusterfs or fuse.sshfs."""


def space(scene: Scene) -> Iterable[Finding]:
    needs = DISK | ({scene.spec.etcd.data_dir: ETCD_DISK} if scene.runs_etcd else {})
    for path, room in each(scene.see.space, needs).items():
        need, free = needs[path], room.free
        if free < need and not scene.touched:
            yield Finding(
                f"DiskSpace-{dashed(path)}",
                f"{free >> 20} MiB free on {path}; {need >> 20} are needed",
                f"make room: du -xh {path} | sort -h | tail",
            )


def pressure(scene: Scene) -> Iterable[Finding]:
    for path, found in each(scene.see.space, EVICTED_BELOW).items():
        share = EVICTED_BELOW[path]
        if found.free < share * found.size:
            yield Finding(
                f"DiskPressure-{dashed(path)}",
                f"{found.free / found.size:.0%} of {path} is free; below {share:.0%} the kubelet evicts pods",
                f"make room: du -xh {path} | sort -h | tail",
            )


def inodes(scene: Scene) -> Iterable[Finding]:
    """Several of these are usually on one file system: the first that is short of them stands for it."""
    counted = ("/var/lib/kubelet", "/var/lib/containerd", scene.spec.etcd.data_dir, "/etc")
    for path, found in each(scene.see.space, counted).items():
        if found.inodes and found.free_inodes < INODES_BELOW * found.inodes:
            yield Finding(
                "Inodes",
                f"{found.free_inodes} of {found.inodes} inodes are free for {path}: the kubelet evicts pods",
                f"find the directory with the most files: du --inodes -xS {path} | sort -n | tail",
            )
            return


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


def snapshots(scene: Scene) -> Iterable[Finding]:
    mount = holding(scene.see.mounts(), "/var/lib/containerd")
    if mount is not None and _is(mount, NO_OVERLAY):
        yield Finding(
            "Filesystem-var-lib-containerd",
            f"/var/lib/containerd is on {mount.fstype}, which cannot hold containers' layers (overlayfs)",
            "mount ext4 or xfs (ftype=1) at /var/lib/containerd; in a container: a volume",
        )


def _is(mount: Mount, kinds: frozenset[str]) -> bool:
    return mount.fstype in kinds or mount.fstype.startswith(FUSE)


def etcd(scene: Scene) -> Iterable[Finding]:
    path = scene.spec.etcd.data_dir
    mount = holding(scene.see.mounts(), path)
    if scene.runs_etcd and mount is not None and _is(mount, NO_ETCD):
        yield Finding(
            f"Filesystem-{dashed(path)}",
            f"{path} is on {mount.fstype}: etcd needs a local disk that keeps what is written",
            f"mount a local ext4 or xfs at {path}",
        )


CHECKS: tuple[Callable[[Scene], Iterable[Finding]], ...] = (
    space, pressure, inodes, speed, snapshots, etcd,
)  # fmt: skip
