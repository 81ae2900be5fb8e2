"""Faults of the machine itself, its kernel, its swap and its disks."""

from __future__ import annotations

from kubeboot.steps.preflight.machine import COMMANDS
from tests.sim.preflight_seeds import (
    KERNEL,
    UNITS,
    Fault,
    all_of,
    facts,
    host,
    link_to,
    mount,
    put,
)

_NO_MODULES = host(lambda h: h.files.pop(f"/lib/modules/{KERNEL}/modules.dep"))


FAULTS = (
    # the machine
    Fault("94", "IsPrivilegedUser", "error", "uid", facts(uid=1000, user="vagrant")),
    Fault("-", "Systemd", "error", "process 1, /run/systemd/system", facts(init="openrc-init")),
    Fault("-", "Architecture", "error", "uname", facts(arch="s390x")),
    Fault("-", "NumCPU", "error", "CPUs that may be used", facts(cpus=1)),
    Fault("-", "Mem", "error", "/proc/meminfo", facts(memory=1 << 30)),
    Fault("-", "FileExisting-nft", "error", "PATH", facts(commands=frozenset(COMMANDS) - {"nft"})),
    Fault("29", "MachineID", "error", "/etc/machine-id", facts(machine_id="")),
    Fault("28", "Hostname", "error", "hostname, --node-name", facts(hostname="localhost")),
    Fault("30", "HostnameLength", "error", "hostname, --node-name", facts(hostname="a" * 64)),
    Fault("30", "Localhost", "warning", "/etc/hosts", put("/etc/hosts", "10.0.0.1 localhost\n")),
    Fault("42", "SELinux", "error", "enforce, and the policy's modules", facts(selinux="enforcing")),
    Fault(
        "42",
        "AppArmor",
        "warning",
        "securityfs, and apparmor_parser",
        all_of(facts(apparmor=True), put("/sys/kernel/security/apparmor/profiles")),
    ),
    Fault("20", "Clock", "error", "the clock", facts(clock=1_000_000.0)),
    Fault("20", "TimeSync", "warning", UNITS, host(lambda h: h.stop("systemd-timesyncd.service"))),
    # the kernel
    Fault(
        "59",
        "KernelVersion",
        "error",
        "uname",
        all_of(
            facts(kernel="4.19.0-27-amd64"),
            put(
                "/lib/modules/4.19.0-27-amd64/modules.dep",
                "a/overlay.ko: a/br_netfilter.ko: a/nf_conntrack.ko: a/vxlan.ko: a/nf_tables.ko:",
            ),
        ),
    ),
    Fault(
        "36",
        "CgroupV1",
        "warning",
        "/sys/fs/cgroup",
        all_of(
            facts(cgroup_v2=False),
            put("/proc/cgroups", "cpu\t1\t1\t1\nmemory\t1\t1\t1\npids\t1\t1\t1\ncpuset\t1\t1\t1\n"),
        ),
    ),
    Fault(
        "34",
        "CgroupController-memory",
        "error",
        "cgroup.controllers or /proc/cgroups",
        put("/sys/fs/cgroup/cgroup.controllers", "cpuset cpu io pids\n"),
    ),
    Fault(
        "32",
        "KernelModule-br_netfilter",
        "error",
        "/sys/module, modules.dep",
        put(
            f"/lib/modules/{KERNEL}/modules.dep",
            "a/overlay.ko: a/nf_conntrack.ko: a/vxlan.ko: a/nf_tables.ko:",
        ),
    ),
    Fault("32", "KernelModules", "error", "/lib/modules of the running kernel", _NO_MODULES),
    Fault(
        "32",
        "ModuleDisabled-br_netfilter",
        "error",
        "modprobe.d",
        put("/etc/modprobe.d/cis.conf", "install br_netfilter /bin/false\n"),
    ),
    Fault(
        "32",
        "ModulesDisabled",
        "error",
        "kernel.modules_disabled",
        host(lambda h: h.sysctls.update({"kernel.modules_disabled": "1"})),
    ),
    Fault(
        "33",
        "SysctlOverridden-net.ipv4.ip_forward",
        "warning",
        "every sysctl.d, in systemd's order",
        put("/etc/sysctl.d/99-zz-hardening.conf", "net.ipv4.ip_forward = 0\n"),
    ),
    Fault(
        "57",
        "SysctlOverridden-net.ipv4.conf.all.rp_filter",
        "warning",
        "the same",
        put("/etc/sysctl.d/99-zz-hardening.conf", "net/ipv4/conf/all/rp_filter = 1\n"),
    ),
    Fault(
        "44",
        "InotifyLimit",
        "warning",
        "the effective value, and whether it may be set",
        host(lambda h: h.write("/proc/sys/fs/inotify/max_user_instances", b"128", 0o444)),
    ),
    Fault("-", "Seccomp", "error", "/proc/1/status", put("/proc/1/status", "Name:\tsystemd\n")),
    Fault("-", "Kmsg", "error", "/dev/kmsg", host(lambda h: h.files.pop("/dev/kmsg"))),
    Fault("-", "RebootRequired", "warning", "/run/reboot-required", put("/run/reboot-required")),
    # swap
    Fault("31", "Swap", "error", "/proc/swaps", facts(swap=("/dev/vda2",))),
    Fault(
        "31",
        "SwapReturns-fstab",
        "error",
        "/etc/fstab",
        put("/etc/fstab", "/swapfile none swap sw 0 0\n/dev/sr0 /cd iso9660 noauto 0 0\n"),
    ),
    Fault(
        "31",
        "SwapReturns-zram",
        "error",
        "zram-generator.conf, zram units",
        put("/etc/systemd/zram-generator.conf", "[zram0]\nzram-size = ram / 2\n"),
    ),
    Fault(
        "31",
        "SwapReturns-data-swap.swap",
        "error",
        "swap units, enabled or active",
        all_of(
            put("/etc/systemd/system/data-swap.swap", "[Swap]\nWhat=/data/swap\n"),
            host(lambda h: h.enable("data-swap.swap")),
        ),
    ),
    # disks
    Fault(
        "45",
        "DiskSpace-var-lib",
        "error",
        "statfs",
        host(lambda h: vars(h).update(free=1 << 30, size=2 << 30)),
    ),
    Fault(
        "45",
        "DiskPressure-var-lib-kubelet",
        "error",
        "statfs, the kubelet's thresholds",
        host(lambda h: vars(h).update(free=9 << 30, size=100 << 30)),
    ),
    Fault("45", "Inodes", "error", "statfs", host(lambda h: vars(h).update(free_inodes=1000))),
    Fault(
        "47",
        "EtcdDisk",
        "error",
        "20 synced writes to a file without a name",
        host(lambda h: vars(h).update(sync=0.150)),
    ),
    Fault("47", "EtcdDisk", "warning", "the same", host(lambda h: vars(h).update(sync=0.030))),
    Fault("41", "NoExec-var-lib-containerd", "error", "mount table", mount("/var/lib/containerd", "noexec")),
    Fault("49", "ReadOnly-opt", "error", "mount table", mount("/opt", "ro")),
    Fault(
        "41", "NoSuid-var-lib-containerd", "warning", "mount table", mount("/var/lib/containerd", "nosuid")
    ),
    Fault(
        "40",
        "Filesystem-var-lib-containerd",
        "error",
        "mount table",
        mount("/var/lib/containerd", fstype="overlay"),
    ),
    Fault("47", "Filesystem-var-lib-etcd", "error", "mount table", mount("/var/lib/etcd", fstype="nfs4")),
    Fault(
        "4",
        "MountPropagation",
        "error",
        "/proc/self/mountinfo",
        put("/proc/self/mountinfo", "25 1 8:1 / / rw,relatime - ext4 /dev/vda1 rw\n"),
    ),
    Fault(
        "4",
        "Mounts-var-lib-kubelet",
        "error",
        "mount table",
        mount("/var/lib/kubelet/pods/1/volumes/nfs/data"),
    ),
    Fault(
        "5",
        "Symlink-var-lib-kubelet",
        "warning",
        "lstat",
        all_of(host(lambda h: h.mkdir("/data/kubelet")), link_to("/var/lib/kubelet", "/data/kubelet")),
    ),
)
