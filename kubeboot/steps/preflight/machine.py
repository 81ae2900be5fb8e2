"""The machine itself: rights, size, commands, confinement, clock."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from kubeboot.steps.preflight.model import Finding, Scene

MIN_MEMORY = {
    "control_plane": 1700 << 20,
    "worker": 700 << 20,
    "etcd": 700 << 20,
    "load_balancer": 400 << 20,
}
MEMORY_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
PIDS_LIMITS = ("/sys/fs/cgroup/pids.max", "/sys/fs/cgroup/pids/pids.max")
CPU_QUOTA = (
    "/sys/fs/cgroup/cpu.max",
    "/sys/fs/cgroup/cpu/cpu.cfs_quota_us",
    "/sys/fs/cgroup/cpu/cpu.cfs_period_us",
)
MIN_PIDS = 2_000
MIN_CPUS = {"control_plane": 2, "worker": 1, "etcd": 1, "load_balancer": 1}
COMMANDS = {
    "sh": "dash",
    "systemctl": "systemd",
    "journalctl": "systemd",
    "modprobe": "kmod",
    "ip": "iproute2",
    "nft": "nftables",
    "mount": "mount",
    "umount": "mount",
    "flock": "util-linux",
    "sha256sum": "coreutils",
}
ARCHITECTURES = ("amd64", "arm64")
CONTAINER_POLICY = (
    "/var/lib/selinux/targeted/active/modules/200/container",
    "/var/lib/selinux/targeted/active/modules/100/container",
    "/usr/share/selinux/packages/container.pp.bz2",
    "/usr/share/selinux/packages/targeted/container.pp.bz2",
)
TIME_UNITS = frozenset(
    f"{name}.service"
    for name in (
        "systemd-timesyncd",
        "chronyd",
        "chrony",
        "ntpd",
        "ntp",
        "ntpsec",
        "openntpd",
        "ntpd-rs",
        "ptp4l",
        "vmtoolsd",
        "vboxadd-service",
        "virtualbox-guest-utils",
    )
)
EPOCH = 1_760_000_000
"""October 2025: no clock that is right shows less."""
FUTURE = EPOCH + 20 * 365 * 86_400


def privileged(scene: Scene) -> Iterable[Finding]:
    if scene.facts.uid != 0:
        yield Finding("IsPrivilegedUser", f"{scene.facts.user} is not root", "run the same command with sudo")


def init_system(scene: Scene) -> Iterable[Finding]:
    if scene.facts.init != "systemd":
        yield Finding(
            "Systemd", f"process 1 is {scene.facts.init}, not systemd", "boot this machine with systemd"
        )


def cpus(scene: Scene) -> Iterable[Finding]:
    """Those that this machine may use; a container's quota counts as well."""
    need, may = MIN_CPUS[scene.node.role], _quota(scene)
    have = scene.facts.cpus if may is None else min(scene.facts.cpus, may)
    if have < need:
        yield Finding(
            "NumCPU",
            f"{have:g} CPU; a {scene.node.role.replace('_', ' ')} needs {need}",
            "give the machine more CPUs",
        )


def _quota(scene: Scene) -> float | None:
    """CPUs by the control group that this machine may be; v2's `100000 50000`, or v1's two files."""
    row = " ".join(scene.texts(CPU_QUOTA).values()).split()
    told = len(row) == 2 and all(word.isdigit() for word in row) and row[1] != "0"
    return int(row[0]) / int(row[1]) if told else None


def memory(scene: Scene) -> Iterable[Finding]:
    """A container's limit counts as well."""
    need = MIN_MEMORY[scene.node.role]
    limits = scene.texts(MEMORY_LIMITS).values()
    have = min((scene.facts.memory, *(int(limit) for limit in limits if limit.strip().isdigit())))
    if have < need:
        yield Finding(
            "Mem",
            f"{have >> 20} MiB of memory; this role needs {need >> 20}",
            "give the machine more memory",
        )


def processes(scene: Scene) -> Iterable[Finding]:
    limit = next((text.strip() for text in scene.texts(PIDS_LIMITS).values() if text), "")
    if limit.isdigit() and int(limit) < MIN_PIDS:
        yield Finding(
            "PidsLimit",
            f"this container is limited to {limit} processes and threads; a node needs {MIN_PIDS}",
            "raise its limit from outside (docker: --pids-limit -1)",
            "warning",
        )


def architecture(scene: Scene) -> Iterable[Finding]:
    if scene.facts.arch not in ARCHITECTURES:
        yield Finding(
            "Architecture", f"{scene.facts.arch} is not supported", f"use one of {', '.join(ARCHITECTURES)}"
        )


def commands(scene: Scene) -> Iterable[Finding]:
    for command, package in COMMANDS.items():
        if command not in scene.facts.commands:
            yield Finding(
                f"FileExisting-{command}",
                f"{command} is not on the PATH",
                f"apt-get install {package} (or this distribution's package for it)",
            )


def selinux(scene: Scene) -> Iterable[Finding]:
    if scene.facts.selinux == "enforcing" and not any(scene.see.stat(path) for path in CONTAINER_POLICY):
        yield Finding(
            "SELinux",
            "SELinux is enforcing and has no policy for containers: etcd may not write its data",
            "dnf install container-selinux",
        )


def apparmor(scene: Scene) -> Iterable[Finding]:
    there = scene.see.stat("/sys/kernel/security/apparmor") is not None
    parser = any(scene.see.stat(f"{folder}/apparmor_parser") for folder in ("/sbin", "/usr/sbin"))
    if scene.facts.apparmor and there and not parser:
        yield Finding(
            "AppArmor",
            "AppArmor is on, and without apparmor_parser containers run unconfined",
            "apt-get install apparmor",
            "warning",
        )


def clock(scene: Scene) -> Iterable[Finding]:
    if scene.facts.clock and not EPOCH <= scene.facts.clock < FUTURE:
        said = time.strftime("%Y-%m-%d", time.gmtime(scene.facts.clock))
        yield Finding(
            "Clock",
            f"this machine's clock says {said}: no certificate would be valid",
            "timedatectl set-ntp true, or date -s",
        )


def time_sync(scene: Scene) -> Iterable[Finding]:
    """In a container the clock is someone else's."""
    if scene.see.stat("/run/systemd/container") is None and not scene.see.active_units() & TIME_UNITS:
        yield Finding(
            "TimeSync",
            "nothing keeps this machine's clock right, and certificates and etcd depend on it",
            "apt-get install systemd-timesyncd (or chrony), then timedatectl set-ntp true",
            "warning",
        )


CHECKS: tuple[Callable[[Scene], Iterable[Finding]], ...] = (
    privileged, init_system, architecture, cpus, memory, processes, commands, selinux, apparmor, clock,
    time_sync,
)  # fmt: skip
