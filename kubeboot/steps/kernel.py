"""The kernel: modules and settings that pods, their network and the kubelet need, now and after a reboot."""

from __future__ import annotations

import dataclasses

from kubeboot.config.node import NodeSettings
from kubeboot.config.spec import ClusterSpec
from kubeboot.engine.step import Step
from kubeboot.steps import basic

MODULES_FILE = "/etc/modules-load.d/kubeboot.conf"
SYSCTL_FILE = "/etc/sysctl.d/99-kubeboot.conf"
MINIMUMS_FILE = "/etc/sysctl.d/10-kubeboot-minimums.conf"
"""Early in the order, so that a larger value of the administrator's survives a reboot."""

MODULES = ("overlay", "br_netfilter", "nf_conntrack")


@dataclasses.dataclass(frozen=True)
class Setting:
    """One sysctl. `minimum`: larger is fine; `optional`: some machines may not set it, and do without."""

    key: str
    value: int
    why: str
    module: str = ""
    minimum: bool = False
    optional: bool = False


_KUBELET = "the kubelet sets it when it starts; set here, reset can restore it"
_PROXY = "kube-proxy's default, which an unprivileged kube-proxy cannot set"
_INOTIFY = "one for every container's log and every mounted ConfigMap"
_BRIDGE = "br_netfilter"

SETTINGS = (
    Setting("net.ipv4.ip_forward", 1, "pods are routed"),
    Setting("net.bridge.bridge-nf-call-iptables", 1, "services between pods of one bridge", _BRIDGE),
    Setting("net.bridge.bridge-nf-call-ip6tables", 1, "the same for IPv6", _BRIDGE, optional=True),
    # strict filtering (RHEL's default) drops what comes in by one interface and is answered by another;
    # the kernel takes the larger of `all` and the interface's own
    Setting("net.ipv4.conf.all.rp_filter", 2, "machines with several interfaces"),
    Setting("vm.overcommit_memory", 1, _KUBELET),
    Setting("vm.panic_on_oom", 0, _KUBELET),
    Setting("kernel.panic", 10, _KUBELET),
    Setting("kernel.panic_on_oops", 1, _KUBELET),
    Setting("kernel.keys.root_maxkeys", 1_000_000, _KUBELET),
    Setting("kernel.keys.root_maxbytes", 25_000_000, _KUBELET),
    Setting(
        "net.netfilter.nf_conntrack_tcp_timeout_established", 86_400, _PROXY, "nf_conntrack", optional=True
    ),
    Setting(
        "net.netfilter.nf_conntrack_tcp_timeout_close_wait", 3_600, _PROXY, "nf_conntrack", optional=True
    ),
    Setting("fs.inotify.max_user_instances", 8_192, _INOTIFY, minimum=True),
    Setting("fs.inotify.max_user_watches", 1_048_576, _INOTIFY, minimum=True),
)
IPV6 = Setting("net.ipv6.conf.all.forwarding", 1, "pods are routed")


def settings(spec: ClusterSpec, cpus: int) -> tuple[Setting, ...]:
    """The settings of a machine with so many CPUs."""
    # 32768 for each CPU is kube-proxy's, 262144 the kernel's own for 4 GB and more
    conntrack = Setting(
        "net.netfilter.nf_conntrack_max",
        max(262_144, 32_768 * cpus),
        _PROXY,
        "nf_conntrack",
        minimum=True,
        optional=True,
    )
    ranges = spec.networking.pod_subnet + spec.networking.service_subnet
    return (*SETTINGS, conntrack, *((IPV6,) if ":" in ranges else ()))


def steps(spec: ClusterSpec, node: NodeSettings) -> tuple[Step, ...]:
    """Persistent files first, then the effective values, each read back."""
    wanted = settings(spec, node.cpus)
    names = "".join(f"{name}\n" for name in MODULES)
    musts = sysctl_file(tuple(s for s in wanted if not s.minimum))
    minimums = sysctl_file(tuple(s for s in wanted if s.minimum))
    return (
        _file(node, "kernel/modules-file", "Load kernel modules at boot", MODULES_FILE, names),
        _file(node, "kernel/sysctl-file", "Set kernel settings at boot", SYSCTL_FILE, musts),
        _file(node, "kernel/sysctl-minimums-file", "Set kernel limits at boot", MINIMUMS_FILE, minimums),
        *(_module(node, name) for name in MODULES),
        *(_sysctl(node, setting) for setting in wanted),
    )


def sysctl_file(wanted: tuple[Setting, ...]) -> str:
    """As sysctl.d has it: reasons as comments, and `-` where a failure to set it is nobody's concern."""
    lines: list[str] = []
    reason = ""
    for setting in wanted:
        if setting.why != reason:
            lines.append(f"# {setting.why}")
        reason = setting.why
        lines.append(f"{'-' if setting.optional else ''}{setting.key} = {setting.value}")
    return "\n".join(lines) + "\n"


def _file(node: NodeSettings, step_id: str, title: str, path: str, text: str) -> Step:
    return basic.EnsureFile(id=step_id, title=title, on=node.name, path=path, data=text.encode())


def _module(node: NodeSettings, name: str) -> Step:
    return basic.EnsureModule(
        id=f"kernel/module-{name}",
        title=f"Load the kernel module {name}",
        on=node.name,
        name=name,
    )


def _sysctl(node: NodeSettings, setting: Setting) -> Step:
    return basic.EnsureSysctl(
        id=f"kernel/sysctl-{setting.key}",
        title=f"Set {setting.key}",
        on=node.name,
        after=frozenset({f"kernel/module-{setting.module}"} if setting.module else ()),
        key=setting.key,
        value=str(setting.value),
        at_least=setting.minimum,
        optional=setting.optional,
        module=setting.module,
    )
