"""The machine itself: rights, size, commands, identity, confinement, clock."""

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
MIN_CPUS = {"control_plane": 2, "worker": 1, "etcd": 1, "load_balancer": 1}
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
        "ptp4l",
        "vmtoolsd",
    )
)
EPOCH = 1_760_000_000
"""October 2025: no clock that is right shows less."""
NAMES_OF_EVERY_MACHINE = frozenset({"localhost", "localhost.localdomain", "localhost4", "debian", "ubuntu"})


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


def commands(scene: Scene) -> Iterable[Finding]:
    for command, package in COMMANDS.items():
        if command not in scene.facts.commands:
            yield Finding(
                f"FileExisting-{command}",
                f"{command} is not on the PATH",
                f"apt-get install {package} (or the package of that name here)",
            )


def machine_id(scene: Scene) -> Iterable[Finding]:
    if len(scene.facts.machine_id) != 32:
        yield Finding(
            "MachineID",
            f"/etc/machine-id is {scene.facts.machine_id or 'empty'!r}",
            "rm -f /etc/machine-id; systemd-machine-id-setup",
        )


def hostname(scene: Scene) -> Iterable[Finding]:
    name = scene.node.name
    if name in NAMES_OF_EVERY_MACHINE or name.isdigit():
        yield Finding(
            "Hostname",
            f"this machine's name in the cluster would be {name}, which is no name of its own",
            "hostnamectl set-hostname NAME, or --node-name NAME",
        )
    if len(name) > 63:
        yield Finding(
            "HostnameLength",
            f"the node's name has {len(name)} characters, and the label kubernetes.io/hostname takes 63",
            f"--node-name {name[:63].split('.')[0]}",
        )


def localhost(scene: Scene) -> Iterable[Finding]:
    rows = (line.split("#")[0].split() for line in scene.text("/etc/hosts").splitlines())
    names = {name: row[0] for row in rows for name in row[1:]}
    if scene.see.stat("/etc/hosts") is not None and names.get("localhost", "") not in ("127.0.0.1", "::1"):
        yield Finding(
            "Localhost",
            f"/etc/hosts gives localhost as {names.get('localhost') or 'nothing'}",
            "echo '127.0.0.1 localhost' >> /etc/hosts",
            "warning",
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
    if 0 < scene.facts.clock < EPOCH:
        said = time.strftime("%Y-%m-%d", time.gmtime(scene.facts.clock))
        yield Finding(
            "Clock",
            f"this machine's clock says {said}: its certificates would be from the past",
            "timedatectl set-ntp true, or date -s",
        )


def time_sync(scene: Scene) -> Iterable[Finding]:
    """In a container the clock is somebody else's."""
    if scene.see.stat("/run/systemd/container") is None and not scene.see.active_units() & TIME_UNITS:
        yield Finding(
            "TimeSync",
            "nothing keeps this machine's clock right, and certificates and etcd depend on it",
            "apt-get install systemd-timesyncd (or chrony), then timedatectl set-ntp true",
            "warning",
        )


CHECKS: tuple[Callable[[Scene], Iterable[Finding]], ...] = (
    privileged, init_system, architecture, cpus, memory, commands, machine_id, hostname, localhost, selinux,
    apparmor, clock, time_sync,
)  # fmt: skip
