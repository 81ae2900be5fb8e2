"""The kernel: what it can do, what is switched off in it, and what other files would set it to."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

from kubeboot.steps import kernel
from kubeboot.steps.preflight.model import Finding, Scene

CONTROLLERS = ("cpu", "memory", "pids", "cpuset")
MODPROBE_DIRS = ("/etc/modprobe.d", "/run/modprobe.d", "/usr/lib/modprobe.d", "/lib/modprobe.d")
SYSCTL_DIRS = (
    "/etc/sysctl.d",
    "/run/sysctl.d",
    "/usr/local/lib/sysctl.d",
    "/usr/lib/sysctl.d",
    "/lib/sysctl.d",
)
OURS = (kernel.SYSCTL_FILE, kernel.MINIMUMS_FILE)
MODULES = (*kernel.MODULES, "vxlan", "nf_tables")
_OFF = re.compile(r"^\s*install\s+(\S+)\s+\S*/(?:true|false)\b", re.MULTILINE)
_SETTING = re.compile(r"^\s*-?([\w./-]+)\s*=\s*(.*?)\s*$")


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
            "cgroup v1: it works, and Kubernetes is leaving it",
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
    for name in MODULES:
        pattern = re.compile(rf"/{name.replace('_', '[-_]')}\.ko")
        if not scene.see.module(name) and known and not pattern.search(known):
            yield Finding(
                f"KernelModule-{name}",
                f"{name} is neither in the kernel {scene.facts.kernel} nor in {folder}",
                "install the kernel's extra modules (linux-modules-extra, kernel-modules-extra) or reboot",
            )
    if not known and not all(scene.see.module(name) for name in MODULES):
        yield Finding(
            "KernelModules",
            f"{folder} is missing: the running kernel was updated or removed, and no module can be loaded",
            "reboot into the installed kernel",
        )


def _contained(scene: Scene) -> bool:
    """In a container the kernel and its modules are somebody else's."""
    return scene.see.stat("/run/systemd/container") is not None


def modules_off(scene: Scene) -> Iterable[Finding]:
    """`install NAME /bin/false`, as hardening guides have it, defeats modprobe."""
    off = {name: path for path, text in _texts(scene, MODPROBE_DIRS) for name in _OFF.findall(text)}
    for name in MODULES:
        if name in off and not scene.see.module(name):
            yield Finding(
                f"ModuleDisabled-{name}",
                f"{off[name]} forbids to load {name}, which pods' network needs",
                f"sed -i '/install {name} /d' {off[name]}",
            )


def modules_closed(scene: Scene) -> Iterable[Finding]:
    missing = [name for name in MODULES if not scene.see.module(name)]
    if scene.see.sysctl("kernel.modules_disabled") == "1" and missing:
        yield Finding(
            "ModulesDisabled",
            f"kernel.modules_disabled is 1, and {', '.join(missing)} cannot be loaded until a reboot",
            "take kernel.modules_disabled out of sysctl.d, load the modules at boot, and reboot",
        )


def overridden(scene: Scene) -> Iterable[Finding]:
    """The last file in the order of their names wins at boot; ours has to be that one."""
    wanted = {s.key: s for s in kernel.settings(scene.spec, scene.facts.cpus)}
    for key, (path, value) in _last_words(scene).items():
        setting = wanted.get(key)
        if setting is None or not value.isdigit() or not _after_ours(path, setting.minimum):
            continue
        if int(value) < setting.value if setting.minimum else int(value) != setting.value:
            yield Finding(
                f"SysctlOverridden-{key}",
                f"{path} sets {key} to {value} at every boot, after kubeboot's own file: {setting.why} "
                f"with {setting.value}",
                f"sed -i '/^\\s*{key}/d' {path}",
                "warning",
            )


def _after_ours(path: str, minimum: bool) -> bool:
    ours = (kernel.MINIMUMS_FILE if minimum else kernel.SYSCTL_FILE).rpartition("/")[2]
    return path.rpartition("/")[2] > ours


def _last_words(scene: Scene) -> dict[str, tuple[str, str]]:
    files = {
        path.rpartition("/")[2]: (path, text) for path, text in reversed(tuple(_texts(scene, SYSCTL_DIRS)))
    }
    said: dict[str, tuple[str, str]] = {}
    for name in sorted(files):
        path, text = files[name]
        if path not in OURS:
            rows = (_SETTING.match(line) for line in text.splitlines())
            said |= {_dotted(row[1]): (path, row[2]) for row in rows if row}
    return said


def _dotted(key: str) -> str:
    return key.replace("/", ".") if "/" in key.split(".")[0] else key


def _texts(scene: Scene, folders: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Every .conf file and its text; a name in an earlier directory hides the same in a later one."""
    seen: set[str] = set()
    for folder in folders:
        for name in scene.see.listdir(folder):
            if name.endswith(".conf") and name not in seen:
                seen.add(name)
                yield f"{folder}/{name}", scene.text(f"{folder}/{name}")


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


def seccomp(scene: Scene) -> Iterable[Finding]:
    status = scene.text("/proc/self/status")
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
            f"{path} says that updates wait for a reboot; it is cheaper before there is a cluster",
            "reboot",
            "warning",
        )


CHECKS: tuple[Callable[[Scene], Iterable[Finding]], ...] = (
    version, cgroups, controllers, modules, modules_off, modules_closed, overridden, limits, seccomp, kmsg,
    reboot,
)  # fmt: skip
