"""What is wrong with a machine: its kernel, its disks, its runtime."""

from __future__ import annotations

from kubeboot.engine import causes_now
from kubeboot.engine.cause import cause as _cause

MACHINE = (
    _cause(
        "swap",
        r"running with swap on is not supported|failSwapOn",
        "swap is on",
        "swapoff -a, take swap out of /etc/fstab, then systemctl restart kubelet",
        causes_now.swap_on,
    ),
    _cause(
        "cgroup-v1",
        r"configured to not run on a host using cgroup v1|cgroup v1.*(not supported|failCgroupV1)",
        "the kubelet refuses cgroup v1",
        "boot with systemd.unified_cgroup_hierarchy=1, or run the same command again: it sets "
        "failCgroupV1: false",
    ),
    _cause(
        "cgroup-driver",
        r"expected cgroupsPath to be of format|cgroup driver.*(different|mismatch|misconfig)",
        "containerd and the kubelet make cgroups in different ways",
        "run the same command again: it writes SystemdCgroup = true and restarts containerd",
    ),
    _cause(
        "cgroup-controller",
        r"failed to find (subsystem|cgroup controller)|missing (required )?cgroups?[: ]",
        "the kernel was booted without a cgroup controller",
        "boot with cgroup_enable=memory, then see /sys/fs/cgroup/cgroup.controllers",
    ),
    _cause(
        "containerd-down",
        r"containerd\.sock: connect: (no such file or directory|connection refused)|"
        r"from runtime service failed.*code = Unavailable",
        "containerd is not running",
        "journalctl -u containerd; systemctl restart containerd",
        causes_now.containerd_off,
    ),
    _cause(
        "cri",
        r"unknown service runtime\.v1\.RuntimeService|validate CRI v1 runtime API|"
        r"failed to load plugin.*\b(cri\.v1|grpc\.v1\.cri)\b",
        "containerd runs without its CRI plugin: it is disabled, or its configuration is wrong",
        "take cri out of disabled_plugins in /etc/containerd/*.toml, then systemctl restart containerd",
    ),
    _cause(
        "manifest",
        r"Could not process manifest file|couldn't parse as pod",
        "a file in /etc/kubernetes/manifests is not a pod: it was edited or put there by hand",
        "run the same command again with --dry-run -v: this shows the difference; without them it puts the "
        "file back",
    ),
    _cause(
        "inotify",
        r"too many open files|inotify_init|inotify watch(es)? limit|inotify\S*add_watch\b.*no space left",
        "a limit on open files or inotify instances is used up",
        "sysctl -w fs.inotify.max_user_instances=8192 fs.inotify.max_user_watches=1048576",
    ),
    _cause(
        "haproxy",
        r"\[ALERT\].*(parsing \[|error\(s\) found in configuration)",
        "haproxy's configuration is no such thing: it was edited by hand",
        "run the same command again with --dry-run -v: this shows the difference; without them it puts the "
        "file back",
    ),
    _cause(
        "etcd-disk",
        r"(/var/lib/etcd|\.wal|\bwal:).*no space left on device|"
        r"no space left on device.*(/var/lib/etcd|\.wal)",
        "the disk under etcd's data is full, and etcd has stopped",
        "make room on it: df -h /var/lib/etcd; then etcd starts by itself",
    ),
    _cause(
        "space",
        r"no space left on device|ENOSPC",
        "a disk is full",
        "make room: df -h; du -xh /var/lib | sort -h | tail",
    ),
    _cause(
        "read-only",
        r"read-only file system",
        "something must be written to a file system that is mounted read-only",
        "findmnt -O ro; after a disk error dmesg says so; mount -o remount,rw POINT",
    ),
    _cause(
        "files",
        r"cannot raise FD limit|setrlimit.*nofile",
        "a process may open fewer files than it needs, or was told to use more than it may",
        "systemctl show containerd -p LimitNOFILE; in a container: --ulimit nofile=1048576",
    ),
    _cause(
        "kmsg",
        r"open /dev/kmsg: ",
        "there is no /dev/kmsg here, or it may not be read, and the kubelet does not start without it",
        "give this container /dev/kmsg (LXC: lxc.mount.entry = /dev/kmsg dev/kmsg none bind,create=file)",
    ),
    _cause(
        "pids",
        r"failed to create new OS thread|pthread_create failed|"
        r"fork/exec .*: resource temporarily unavailable",
        "a limit on processes and threads is used up",
        "sysctl kernel.pid_max kernel.threads-max; in a container, its own limit on processes",
    ),
    _cause(
        "disk-pressure",
        r"(?<!No)disk-?pressure|evicting pod|eviction manager: must evict|EvictionThresholdMet",
        "the disk is so full that the kubelet evicts pods",
        "make room on /var/lib/kubelet and /var/lib/containerd: df -h",
        causes_now.disk_short,
    ),
    _cause(
        "memory",
        r"oom[- ]?kill|System OOM encountered|out of memory|(?<!No)memory-?pressure|cannot allocate memory",
        "the machine has too little memory, and the kernel killed a process",
        "dmesg | grep -i oom; give the machine more memory",
    ),
    _cause(
        "exec",
        r"fork/exec .*: permission denied|exec .*: permission denied",
        "a binary is on a file system mounted noexec",
        "findmnt -O noexec; mount -o remount,exec POINT",
    ),
    _cause(
        "exec-format",
        r"exec format error",
        "a binary is for another architecture",
        "take the bundle for this machine's architecture: uname -m",
    ),
    _cause(
        "overlay",
        r"failed to (mount|create snapshot).*(overlay|invalid argument)|overlayfs: .*(not supported|"
        r"upper fs)",
        "the file system below /var/lib/containerd cannot hold containers' layers",
        "mount ext4 or xfs (ftype=1) at /var/lib/containerd: findmnt -T /var/lib/containerd",
    ),
    _cause(
        "apparmor",
        r"apparmor failed to apply profile|AppArmor enabled on system but .*cannot",
        "AppArmor is on in the kernel, and its tools are missing or its profile is not loaded",
        "apt-get install apparmor; systemctl restart apparmor containerd",
    ),
    _cause(
        "runc",
        r"runc did not terminate successfully|OCI runtime create failed",
        "runc could not start a container",
        "journalctl -u containerd; runc --version (1.1 or newer)",
    ),
    _cause(
        "selinux",
        r"avc:\s+denied|SELinux.*denied",
        "SELinux forbids it",
        "dnf install container-selinux; restorecon -R /var/lib/etcd /etc/kubernetes",
    ),
    _cause(
        "address",
        r"cannot assign requested address|not found in the host's network interfaces|"
        r"could not find valid interface|failed to find interface to use",
        "the address is on no interface of this machine any more",
        "ip address; give the right one with --apiserver-advertise-address",
    ),
    _cause(
        "family",
        r"address family not supported",
        "IPv6 is off in the kernel, and something should listen on it",
        "boot without ipv6.disable=1, or use IPv4 ranges only",
    ),
    _cause(
        "port",
        r"bind: address already in use|listen tcp.*address already in use|cannot bind socket",
        "another process holds a port that the cluster needs",
        "kubeboot preflight names it; ss -ltnp",
    ),
    _cause(
        "module",
        r"modprobe: FATAL: Module|could not load module|br_netfilter.*no such file",
        "a kernel module is missing",
        "install the running kernel's modules, or reboot into the installed kernel",
    ),
    _cause(
        "flags",
        r"unknown flag: |failed to parse kubelet flag|unknown field \"|strict decoding error|"
        r"unrecognized feature gate|invalid argument .* for .*--",
        "this version does not know a flag or field",
        "look for it in your extraArgs and patches",
    ),
    _cause(
        "runtime-hangs",
        r"PLEG is not healthy|pleg was last seen active|"
        r"from runtime service failed.*(DeadlineExceeded|context deadline exceeded)",
        "containerd does not answer in time",
        "uptime; iostat; journalctl -u containerd; systemctl restart containerd (containers keep running)",
    ),
)
