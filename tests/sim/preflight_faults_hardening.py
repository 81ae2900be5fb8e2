"""Faults seeded in another way, or of an administrator's hardening and another installer."""

from __future__ import annotations

from kubeboot.host.model import Mount, Rule
from tests.sim.preflight_seeds import (
    Fault,
    all_of,
    facts,
    host,
    link_to,
    listen,
    mount,
    put,
    spec,
)

FAULTS = (
    Fault("-", "Mem", "error", "the control group's limit", put("/sys/fs/cgroup/memory.max", "536870912\n")),
    Fault(
        "-", "NumCPU", "error", "the control group's quota", put("/sys/fs/cgroup/cpu.max", "100000 100000\n")
    ),
    Fault("44", "PidsLimit", "warning", "the control group's limit", put("/sys/fs/cgroup/pids.max", "512\n")),
    Fault(
        "19",
        "HostsEntry",
        "warning",
        "/etc/hosts",
        put("/etc/hosts", "127.0.0.1 localhost\n198.51.100.9 cp-1\n"),
    ),
    Fault(
        "32",
        "ModuleDisabled-br_netfilter",
        "warning",
        "modprobe.d, where it is loaded",
        all_of(
            put("/etc/modprobe.d/cis.conf", "blacklist br-netfilter\n"),
            host(lambda h: h.modules.add("br_netfilter")),
        ),
    ),
    Fault(
        "33",
        "SysctlReadOnly",
        "error",
        "mount table, effective values",
        host(lambda h: h.mount_table.append(Mount("proc", "/proc/sys", "proc", ("ro",)))),
    ),
    Fault(
        "44",
        "KernelLimit-user.max_net_namespaces",
        "warning",
        "effective values",
        host(lambda h: h.sysctls.update({"user.max_net_namespaces": "0"})),
    ),
    Fault(
        "44",
        "KernelLimit-kernel.pid_max",
        "warning",
        "effective values",
        host(lambda h: h.sysctls.update({"kernel.pid_max": "4096"})),
    ),
    Fault(
        "1",
        "LocalPortRange",
        "warning",
        "effective values",
        host(lambda h: h.sysctls.update({"net.ipv4.ip_local_port_range": "1024\t65535"})),
    ),
    Fault(
        "31",
        "SwapReturns-mkswap.service",
        "error",
        "enabled services that call swapon",
        all_of(
            put("/etc/systemd/system/mkswap.service", "[Service]\nExecStart=/sbin/swapon /swapfile\n"),
            link_to(
                "/etc/systemd/system/multi-user.target.wants/mkswap.service",
                "/etc/systemd/system/mkswap.service",
            ),
        ),
    ),
    Fault("49", "NotADirectory-etc-kubernetes", "error", "lstat", put("/etc/kubernetes", "")),
    Fault("49", "ReadOnly-etc-kubernetes", "error", "mount table", mount("/etc/kubernetes", "ro")),
    Fault("1", "Port-10256", "error", "/proc/net/tcp, /proc/PID/fd", listen(10256)),
    Fault(
        "54",
        "Firewall-rules",
        "warning",
        "nftables' rules that drop or reject",
        host(lambda h: h.refusals.append(Rule("inet", "f", "in", "tcp dport { 22, 6443 } counter drop"))),
    ),
    Fault(
        "63",
        "ResolverInvalid",
        "warning",
        "/etc/resolv.conf",
        facts(nameservers=("192.0.2.53", "dns.example.org")),
    ),
    Fault(
        "63",
        "SearchDomains",
        "warning",
        "/etc/resolv.conf",
        put(
            "/etc/resolv.conf", f"nameserver 192.0.2.53\nsearch {' '.join(f'd{n}.test' for n in range(30))}\n"
        ),
    ),
    Fault(
        "66",
        "ProxyEnvironment",
        "warning",
        "/etc/environment",
        put("/etc/environment", 'https_proxy="http://p:1"\n'),
    ),
    Fault(
        "66",
        "ProxyDefault",
        "error",
        "systemd's own settings",
        put(
            "/etc/systemd/system.conf.d/proxy.conf",
            '[Manager]\nDefaultEnvironment="HTTPS_PROXY=http://p:1"\n',
        ),
    ),
    Fault(
        "69",
        "OpenFiles",
        "warning",
        "systemd's own settings",
        put("/etc/systemd/system.conf", "[Manager]\n#DefaultLimitNOFILE=1\nDefaultLimitNOFILE=1024:4096\n"),
    ),
    Fault(
        "2",
        "KubeletExtraArgs",
        "warning",
        "/etc/default/kubelet, /etc/sysconfig/kubelet",
        put("/etc/default/kubelet", "KUBELET_EXTRA_ARGS=--container-runtime=remote\n"),
    ),
    Fault(
        "37",
        "ContainerdConfig",
        "warning",
        "/etc/containerd/config.toml",
        put("/etc/containerd/config.toml", "version = = 3\n"),
    ),
    Fault(
        "2",
        "Masked-kubelet",
        "warning",
        "systemd's directories",
        link_to("/etc/systemd/system/kubelet.service", "/dev/null"),
    ),
    Fault(
        "2", "Leftover-var-lib-rancher", "warning", "a directory", put("/var/lib/rancher/k3s/server/token")
    ),
    Fault("25", "ServingCertificates", "warning", "spec", spec(kubelet={"serverTLSBootstrap": True})),
)
