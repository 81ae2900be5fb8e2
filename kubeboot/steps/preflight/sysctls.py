"""Kernel settings: what other files make of them at boot, and which of them leave no room for pods."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from kubeboot.steps import kernel
from kubeboot.steps.preflight import configured
from kubeboot.steps.preflight.model import Finding, Scene, each
from kubeboot.steps.preflight.mounts import holding

SYSCTL_DIRS = (
    "/etc/sysctl.d",
    "/run/sysctl.d",
    "/usr/local/lib/sysctl.d",
    "/usr/lib/sysctl.d",
    "/lib/sysctl.d",
)
OLD_FILE = "/etc/sysctl.conf"
"""`sysctl --system` reads it last; Debian 12 has a link to it in sysctl.d."""
OURS = (kernel.SYSCTL_FILE, kernel.MINIMUMS_FILE)
ALIASES = {"net.ipv4.conf.all.forwarding": "net.ipv4.ip_forward"}
"""One setting by two names."""
LEAST = {
    "kernel.pid_max": (32_768, "every thread of every pod needs a PID"),
    "kernel.threads-max": (4_096, "every thread of every pod counts"),
    "fs.file-max": (65_536, "etcd, the API server and haproxy hold thousands of files open"),
    "user.max_mnt_namespaces": (256, "every container has a mount namespace"),
    "user.max_net_namespaces": (256, "every pod has a network namespace"),
    "user.max_pid_namespaces": (256, "every container has a PID namespace"),
}
NODE_PORTS = (30_000, 32_767)
_SETTING = re.compile(r"^\s*-?([\w./-]+)\s*=\s*(\S*)")
"""Of a value the kernel takes the first word."""


def overridden(scene: Scene) -> Iterable[Finding]:
    """The last file in the order of their names wins at boot; ours has to be that one."""
    wanted = {s.key: s for s in kernel.settings(scene.spec, scene.facts.cpus)}
    wanted |= {alias: wanted[key] for alias, key in ALIASES.items()}
    for key, (path, value) in _last_words(scene).items():
        setting = wanted.get(key)
        if setting is None or not value.isdigit() or not _after_ours(path, setting.minimum):
            continue
        if int(value) < setting.value if setting.minimum else int(value) != setting.value:
            yield Finding(
                f"SysctlOverridden-{key}",
                f"{path} sets {key} to {value} at every boot, after kubeboot's own file: {setting.why} "
                f"with {setting.value}",
                f"sed -i -E '/^\\s*-?{key}\\s*=/d' {path}",
                "warning",
            )


def _after_ours(path: str, minimum: bool) -> bool:
    ours = (kernel.MINIMUMS_FILE if minimum else kernel.SYSCTL_FILE).rpartition("/")[2]
    return path == OLD_FILE or path.rpartition("/")[2] > ours


def _last_words(scene: Scene) -> dict[str, tuple[str, str]]:
    files = sorted(configured.confs(scene, SYSCTL_DIRS), key=lambda pair: pair[0].rpartition("/")[2])
    said: dict[str, tuple[str, str]] = {}
    for path, text in (*files, (OLD_FILE, scene.text(OLD_FILE))):
        if path not in OURS:
            rows = (_SETTING.match(line) for line in text.splitlines())
            said |= {_dotted(row[1]): (path, row[2]) for row in rows if row}
    return said


def _dotted(key: str) -> str:
    return key.replace("/", ".") if "/" in key.split(".")[0] else key


def read_only(scene: Scene) -> Iterable[Finding]:
    """In a container without rights to it, /proc/sys is mounted so."""
    mounts = scene.see.mounts()
    fixed = []
    for setting in kernel.settings(scene.spec, scene.facts.cpus):
        mount = holding(mounts, f"/proc/sys/{setting.key.replace('.', '/')}")
        closed = mount is not None and mount.point.startswith("/proc") and "ro" in mount.options
        value = scene.see.sysctl(setting.key) if closed and not setting.minimum else None
        if value is not None and value != str(setting.value) and not setting.optional:
            fixed.append(setting.key)
    if fixed:
        yield Finding(
            "SysctlReadOnly",
            f"{', '.join(fixed)} cannot be set here: /proc/sys is mounted read-only",
            "mount -o remount,rw /proc/sys (in a container: grant it from outside)",
        )


def limits(scene: Scene) -> Iterable[Finding]:
    """kubeboot raises them, unless the kernel shows them read-only."""
    value = scene.see.sysctl("fs.inotify.max_user_instances") or "512"
    stat = scene.see.stat("/proc/sys/fs/inotify/max_user_instances")
    if int(value) < 512 and stat is not None and not stat.mode & 0o200:
        yield Finding(
            "InotifyLimit",
            f"fs.inotify.max_user_instances is {value} and read-only here: pods will see too many open files",
            "sysctl -w fs.inotify.max_user_instances=8192 (on the machine that holds this container)",
            "warning",
        )


def least(scene: Scene) -> Iterable[Finding]:
    """What a hardening guide has lowered, and kubeboot does not set."""
    for key, said in each(scene.see.sysctl, LEAST).items():
        value, (floor, why) = said or "", LEAST[key]
        if value.isdigit() and int(value) < floor:
            yield Finding(
                f"KernelLimit-{key}",
                f"{key} is {value}, and {why}",
                f"sysctl -w {key}={floor} (and where it is configured: grep -r {key} /etc/sysctl*)",
                "warning",
            )


def ephemeral_ports(scene: Scene) -> Iterable[Finding]:
    """A connection that goes out may have the port that a component of the cluster needs a moment later."""
    row = (scene.see.sysctl("net.ipv4.ip_local_port_range") or "").split()
    if len(row) == 2 and int(row[0]) <= NODE_PORTS[1] and not _reserved(scene):
        yield Finding(
            "LocalPortRange",
            f"outgoing connections use ports from {row[0]}, which include the cluster's own and node ports "
            f"(to {NODE_PORTS[1]})",
            f"sysctl -w net.ipv4.ip_local_port_range='{NODE_PORTS[1] + 1} 60999'",
            "warning",
        )


def _reserved(scene: Scene) -> bool:
    return bool((scene.see.sysctl("net.ipv4.ip_local_reserved_ports") or "").strip())


CHECKS: tuple[Callable[[Scene], Iterable[Finding]], ...] = (
    overridden, read_only, limits, least, ephemeral_ports,
)  # fmt: skip
