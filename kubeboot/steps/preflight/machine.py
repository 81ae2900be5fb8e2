"""The machine itself: rights, size, commands, kernel, memory, storage, clock."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from kubeboot.host.api import Mount
from kubeboot.steps.preflight.model import Finding, Scene

GIB = 1 << 30
MIN_MEMORY = {"control_plane": 1700 << 20, "worker": 700 << 20}
MIN_CPUS = {"control_plane": 2, "worker": 1}
COMMANDS = {
    "sh": "dash",
    "systemctl": "systemd",
    "modprobe": "kmod",
    "ip": "iproute2",
    "nft": "nftables",
    "mount": "mount",
    "umount": "mount",
}
ARCHITECTURES = ("amd64", "arm64")
DISK = {"/var/lib": 5 * GIB, "/opt": GIB // 4, "/usr/local/bin": GIB // 2}
EXEC_DIRS = ("/usr/local/bin", "/opt/cni/bin", "/var/lib/containerd")
WRITE_DIRS = ("/etc", "/opt", "/usr/local/bin", "/var/lib", "/usr/libexec")


def privileged(scene: Scene) -> Iterable[Finding]:
    if scene.facts.uid != 0:
        yield Finding("IsPrivilegedUser", f"{scene.facts.user} is not root", "run the same command with sudo")


def init_system(scene: Scene) -> Iterable[Finding]:
    if scene.facts.init != "systemd":
        yield Finding(
            "Systemd", f"process 1 is {scene.facts.init}, not systemd", "boot this machine with systemd"
        )


def cpus(scene: Scene) -> Iterable[Finding]:
    need = MIN_CPUS[scene.node.role]
    if scene.facts.cpus < need:
        yield Finding(
            "NumCPU",
            f"{scene.facts.cpus} CPU; a {scene.node.role.replace('_', ' ')} needs {need}",
            "give the machine more CPUs",
        )


def memory(scene: Scene) -> Iterable[Finding]:
    need = MIN_MEMORY[scene.node.role]
    if scene.facts.memory < need:
        yield Finding(
            "Mem",
            f"{scene.facts.memory >> 20} MiB of memory; this role needs {need >> 20}",
            "give the machine more memory",
        )


def architecture(scene: Scene) -> Iterable[Finding]:
    if scene.facts.arch not in ARCHITECTURES:
        yield Finding(
            "Architecture", f"{scene.facts.arch} is not supported", f"use one of {', '.join(ARCHITECTURES)}"
        )


def kernel(scene: Scene) -> Iterable[Finding]:
    version = tuple(int(part) for part in scene.facts.kernel.split("-")[0].split(".")[:2] if part.isdigit())
    if version and version < (5, 13):
        yield Finding(
            "KernelVersion",
            f"kernel {scene.facts.kernel}; kube-proxy in nftables mode needs 5.13",
            "install a newer kernel",
        )


def commands(scene: Scene) -> Iterable[Finding]:
    for command, package in COMMANDS.items():
        if command not in scene.facts.commands:
            yield Finding(
                f"FileExisting-{command}",
                f"{command} is not on the PATH",
                f"apt-get install {package} (or the package of that name here)",
            )


def swap(scene: Scene) -> Iterable[Finding]:
    if scene.facts.swap:
        yield Finding(
            "Swap",
            f"swap is on: {', '.join(scene.facts.swap)}; the kubelet refuses to start with it",
            "swapoff -a, and take swap out of /etc/fstab (zram: systemctl mask systemd-zram-setup@zram0)",
        )


def cgroups(scene: Scene) -> Iterable[Finding]:
    if not scene.facts.cgroup_v2:
        yield Finding(
            "CgroupV1",
            "cgroup v1: it works, and Kubernetes is leaving it",
            "boot with systemd.unified_cgroup_hierarchy=1",
            "warning",
        )


def space(scene: Scene) -> Iterable[Finding]:
    for path, need in DISK.items():
        free = scene.see.free_bytes(path)
        if free < need:
            yield Finding(
                f"DiskSpace-{path.strip('/').replace('/', '-')}",
                f"{free >> 20} MiB free on {path}; {need >> 20} are needed",
                f"make room: du -xh {path} | sort -h | tail",
            )


def mount_options(scene: Scene) -> Iterable[Finding]:
    mounts = scene.see.mounts()
    yield from _mounted(mounts, EXEC_DIRS, "noexec", "NoExec", "mount -o remount,exec {point}")
    yield from _mounted(mounts, WRITE_DIRS, "ro", "ReadOnly", "mount -o remount,rw {point}")


def _mounted(
    mounts: tuple[Mount, ...], paths: tuple[str, ...], option: str, name: str, fix: str
) -> Iterable[Finding]:
    for path in paths:
        mount = _holding(mounts, path)
        if mount is not None and option in mount.options:
            yield Finding(
                f"{name}-{path.strip('/').replace('/', '-')}",
                f"{path} is on {mount.point}, mounted {option}",
                fix.format(point=mount.point),
            )


def _holding(mounts: tuple[Mount, ...], path: str) -> Mount | None:
    """The mount that a path is on; of several on one point the last one counts."""
    found = [m for m in mounts if f"{path}/".startswith(f"{m.point.rstrip('/')}/")]
    return max(enumerate(found), key=lambda pair: (len(pair[1].point), pair[0]))[1] if found else None


def machine_id(scene: Scene) -> Iterable[Finding]:
    if len(scene.facts.machine_id) != 32:
        yield Finding(
            "MachineID",
            f"/etc/machine-id is {scene.facts.machine_id or 'empty'!r}",
            "rm -f /etc/machine-id; systemd-machine-id-setup",
        )


CHECKS: tuple[Callable[[Scene], Iterable[Finding]], ...] = (
    privileged, init_system, architecture, kernel, cpus, memory, commands, swap, cgroups, space,
    mount_options, machine_id,
)  # fmt: skip
