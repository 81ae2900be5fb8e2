"""The kernel: what it can do, and what is switched off in it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from kubeboot.steps import kernel
from kubeboot.steps.preflight import configured
from kubeboot.steps.preflight.model import Finding, Scene, each

CONTROLLERS = ("cpu", "memory", "pids", "cpuset")
MODPROBE_DIRS = ("/etc/modprobe.d", "/run/modprobe.d", "/usr/lib/modprobe.d", "/lib/modprobe.d")
MODULES = (*kernel.MODULES, "vxlan", "nf_tables")
_OFF = re.compile(
    r"^\s*(?:install\s+(\S+)[ \t]+(?!.*\b(?:modprobe|insmod)\b)\S|blacklist\s+(\S+))", re.MULTILINE
)
"""What is installed by another command than one that loads modules is not loaded."""
CMDLINE = "/proc/cmdline"
_BOOTED_OFF = re.compile(r"\b(?:module_blacklist|modprobe\.blacklist)=(\S+)")


def version(scene: Scene) -> Iterable[Finding]:
    found = tuple(int(part) for part in scene.facts.kernel.split("-")[0].split(".")[:2] if part.isdigit())
    if found and found < (5, 13):
        yield Finding(
            "KernelVersion",
            f"kernel {scene.facts.kernel}; kube-proxy in nftables mode needs 5.13",
            "install a newer kernel",
        )


def cgroups(scene: Scene) -> Iterable[Finding]:
    if not scene.facts.cgroup_v2:
        yield Finding(
            "CgroupV1",
            "this machine uses cgroup v1: it still works, but Kubernetes is dropping it",
            "boot with systemd.unified_cgroup_hierarchy=1",
            "warning",
        )


def controllers(scene: Scene) -> Iterable[Finding]:
    there = _controllers(scene)
    for name in CONTROLLERS:
        if there and name not in there:
            yield Finding(
                f"CgroupController-{name}",
                f"the cgroup controller {name} is off, and the kubelet does not start without it",
                f"boot with cgroup_enable={name} (and without cgroup_disable={name})",
            )


def _controllers(scene: Scene) -> frozenset[str]:
    """Of v2, else of v1; none where neither can be read."""
    unified = scene.text("/sys/fs/cgroup/cgroup.controllers")
    if scene.facts.cgroup_v2:
        return frozenset(unified.split())
    rows = (line.split() for line in scene.text("/proc/cgroups").splitlines() if not line.startswith("#"))
    return frozenset(row[0] for row in rows if len(row) > 3 and row[3] == "1")


def modules(scene: Scene) -> Iterable[Finding]:
    """A module that is neither loaded nor on the disk for this kernel: often a kernel that was updated."""
    folder = f"/lib/modules/{scene.facts.kernel}"
    known = scene.text(f"{folder}/modules.dep")
    if not known and _contained(scene):
        return
    there = each(scene.see.module, MODULES)
    for name in MODULES:
        pattern = re.compile(rf"/{name.replace('_', '[-_]')}\.ko")
        if not there[name] and known and not pattern.search(known):
            yield Finding(
                f"KernelModule-{name}",
                f"{name} is neither in the kernel {scene.facts.kernel} nor in {folder}",
                "install the kernel's extra modules (linux-modules-extra, kernel-modules-extra) or reboot",
            )
    if not known and not all(there.values()):
        yield Finding(
            "KernelModules",
            f"{folder} is missing: the running kernel was updated or removed, and no module can be loaded",
            "reboot into the installed kernel",
        )


def _contained(scene: Scene) -> bool:
    """In a container the kernel and its modules are someone else's."""
    return scene.see.stat("/run/systemd/container") is not None


def modules_off(scene: Scene) -> Iterable[Finding]:
    """`install NAME /bin/false` defeats modprobe, `blacklist NAME` systemd's loading at boot."""
    for name, path in _forbidden(scene).items():
        loaded = scene.see.module(name)
        yield Finding(
            f"ModuleDisabled-{name}",
            f"{path} forbids loading {name}, which pods' network needs"
            f"{'; it is loaded, and will not be after a reboot' if loaded else ''}",
            "take it from the kernel's command line (/etc/default/grub, update-grub), and reboot"
            if path == CMDLINE
            else f"sed -i -E '/(install|blacklist)\\s+{name.replace('_', '[-_]')}/d' {path}",
            "warning" if loaded else "error",
        )


def _forbidden(scene: Scene) -> dict[str, str]:
    """Modules that we need, and the file that keeps each of them out."""
    off = {
        (installed or listed).replace("-", "_"): path
        for path, text in configured.confs(scene, MODPROBE_DIRS)
        for installed, listed in _OFF.findall(text)
    }
    for listed in _BOOTED_OFF.findall(scene.text(CMDLINE)):
        off |= {name.replace("-", "_"): CMDLINE for name in listed.split(",")}
    return {name: off[name] for name in MODULES if name in off}


def modules_closed(scene: Scene) -> Iterable[Finding]:
    missing = [name for name, there in each(scene.see.module, MODULES).items() if not there]
    if scene.see.sysctl("kernel.modules_disabled") == "1" and missing:
        yield Finding(
            "ModulesDisabled",
            f"kernel.modules_disabled is 1, and {', '.join(missing)} cannot be loaded until a reboot",
            "take kernel.modules_disabled out of sysctl.d, load the modules at boot, and reboot",
        )


def seccomp(scene: Scene) -> Iterable[Finding]:
    status = scene.text("/proc/1/status")  # one's own is another with each process that reads it
    if status and "\nSeccomp:" not in status:
        yield Finding(
            "Seccomp",
            "this kernel has no seccomp, and the control plane's containers run with it",
            "boot a kernel that a distribution supports (CONFIG_SECCOMP_FILTER=y)",
        )


def kmsg(scene: Scene) -> Iterable[Finding]:
    if scene.see.stat("/dev") is not None and scene.see.stat("/dev/kmsg") is None:
        yield Finding(
            "Kmsg",
            "there is no /dev/kmsg, and the kubelet does not start without it",
            "give this container /dev/kmsg (LXC: lxc.mount.entry = /dev/kmsg dev/kmsg none bind,create=file)",
        )


def reboot(scene: Scene) -> Iterable[Finding]:
    path = next((p for p in ("/run/reboot-required", "/var/run/reboot-required") if scene.see.stat(p)), "")
    if path and not scene.touched:
        yield Finding(
            "RebootRequired",
            f"{path} says that updates need a reboot, which is cheaper before there is a cluster",
            "reboot",
            "warning",
        )


CHECKS: tuple[Callable[[Scene], Iterable[Finding]], ...] = (
    version, cgroups, controllers, modules, modules_off, modules_closed, seccomp, kmsg, reboot,
)  # fmt: skip
