"""The table of known causes: what a line of a log means, and what mends it."""

from __future__ import annotations

import dataclasses
import re


@dataclasses.dataclass(frozen=True)
class Cause:
    """A pattern of a log line, what it means, and what mends it."""

    id: str
    pattern: re.Pattern[str]
    means: str
    fix: str


def _cause(id: str, pattern: str, means: str, fix: str) -> Cause:
    return Cause(id, re.compile(pattern, re.IGNORECASE), means, fix)


CAUSES = (
    _cause(
        "swap",
        r"running with swap on is not supported|failSwapOn",
        "swap is on",
        "swapoff -a, take swap out of /etc/fstab, then systemctl restart kubelet",
    ),
    _cause(
        "cgroup-v1",
        r"cgroup v1.*(unsupported|not supported|failCgroupV1)|failCgroupV1",
        "the kubelet refuses cgroup v1",
        "boot with systemd.unified_cgroup_hierarchy=1",
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
        "cri",
        r"unknown service runtime\.v1\.RuntimeService|validate CRI v1 runtime API",
        "containerd runs without its CRI plugin",
        "take cri out of disabled_plugins in /etc/containerd/*.toml, then systemctl restart containerd",
    ),
    _cause(
        "containerd-down",
        r"containerd\.sock: connect: (no such file or directory|connection refused)",
        "containerd does not run",
        "journalctl -u containerd; systemctl restart containerd",
    ),
    _cause(
        "space",
        r"no space left on device|ENOSPC",
        "a disk is full",
        "make room: df -h; du -xh /var/lib | sort -h | tail",
    ),
    _cause(
        "inotify",
        r"too many open files|inotify_init|inotify watch(es)? limit",
        "a limit of open files or inotify instances is used up",
        "sysctl -w fs.inotify.max_user_instances=8192 fs.inotify.max_user_watches=1048576",
    ),
    _cause(
        "disk-pressure",
        r"disk-?pressure|evicting pod|eviction manager: must evict|EvictionThresholdMet",
        "the disk is so full that the kubelet evicts pods",
        "make room on /var/lib/kubelet and /var/lib/containerd: df -h",
    ),
    _cause(
        "memory",
        r"oom-?kill|out of memory|memory cgroup out of memory|memory-?pressure",
        "the machine has too little memory",
        "dmesg | grep -i oom; give the machine more memory",
    ),
    _cause(
        "image",
        r"ErrImagePull|ImagePullBackOff|ErrImageNeverPull|failed to (pull|resolve reference|do request)",
        "an image is neither on the machine nor to be had from its registry",
        "give --bundle, or mirrors in artifacts.mirrors and registries; ctr -n k8s.io images ls",
    ),
    _cause(
        "sandbox-image",
        r"failed to get sandbox image|sandbox image .* not found",
        "the pause image is missing",
        "run the same command again: it imports and pins it",
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
        "port",
        r"bind: address already in use|listen tcp.*address already in use|cannot bind socket",
        "another process holds a port that the cluster needs",
        "kubeboot preflight names it; ss -ltnp",
    ),
    _cause(
        "address",
        r"cannot assign requested address",
        "the address is on no interface of this machine any more",
        "ip address; give the right one with --apiserver-advertise-address",
    ),
    _cause(
        "family",
        r"address family not supported",
        "IPv6 is off in the kernel and something is to listen on it",
        "boot without ipv6.disable=1, or use IPv4 ranges only",
    ),
    _cause(
        "expired",
        r"certificate has expired or is not yet valid|x509: certificate has expired",
        "a certificate has expired, or a clock is wrong",
        "date on every machine; kubeboot status shows the days left",
    ),
    _cause(
        "authority",
        r"x509: certificate signed by unknown authority|certificate is not trusted",
        "a certificate is of another authority than the one that is asked",
        "sha256sum /etc/kubernetes/pki/ca.crt on every control plane: they have to be equal",
    ),
    _cause(
        "names",
        r"x509: certificate is valid for .*, not|doesn't contain any IP SANs",
        "a certificate does not hold the name or address that is used",
        "add it with --apiserver-cert-extra-sans, then run init again",
    ),
    _cause(
        "etcd-cluster",
        r"cluster ID mismatch|ignored \(cluster ID|member .* has already been bootstrapped",
        "/var/lib/etcd holds the data of another etcd cluster",
        "kubeboot reset; or move /var/lib/etcd/member away, if nobody needs it",
    ),
    _cause(
        "etcd-removed",
        r"the member has been permanently removed from the cluster|member has been removed",
        "this machine's etcd was removed from its cluster, and its data are still here",
        "kubeboot reset, then join again",
    ),
    _cause(
        "etcd-space",
        r"mvcc: database space exceeded|alarm:NOSPACE",
        "etcd's quota is used up",
        "etcdctl compact and defrag, then etcdctl alarm disarm",
    ),
    _cause(
        "etcd-slow",
        r"slow fdatasync|apply request took too long|overloaded network|leader failed to send out heartbeat",
        "the disk or the network is too slow for etcd",
        "kubeboot preflight measures the disk (EtcdDisk)",
    ),
    _cause(
        "etcd-corrupt",
        r"wal: (crc mismatch|max entry size limit)|snap: .*checksum|failed to recover v3 backend",
        "etcd's data are damaged",
        "restore the last snapshot, or remove the member and join again",
    ),
    _cause(
        "etcd-leader",
        r"etcdserver: (no leader|request timed out)",
        "etcd has no leader: most members do not answer",
        "kubeboot doctor on each control plane; TCP 2379 and 2380 open between them?",
    ),
    _cause(
        "forbidden",
        r"node \S+ is not allowed|cannot (get|list|create|patch) resource .* at the cluster scope",
        "the API server does not let this identity do its work",
        "run init again: it puts the rights back",
    ),
    _cause(
        "name-taken",
        r"node name .* is already taken|Node .* was previously registered",
        "another machine has this node's name",
        "give one of them another with --node-name",
    ),
    _cause(
        "unauthorized",
        r"register node.*Unauthorized|error.*Unauthorized|server has asked for the client to provide",
        "the API server does not know this machine's certificate or token",
        "kubeboot token create --print-join-command, and join again",
    ),
    _cause(
        "flags",
        r"unknown flag: |failed to parse kubelet flag|unknown field \"|strict decoding error",
        "a flag or field that this version does not know",
        "look for it in your extraArgs and patches",
    ),
    _cause(
        "cni-subnet",
        r"open /run/flannel/subnet\.env: no such file",
        "flannel has not got this node's subnet yet",
        "kubectl -n kube-flannel logs ds/kube-flannel-ds",
    ),
    _cause(
        "cni",
        r"cni plugin not initialized|no networks found in /etc/cni/net\.d|NetworkPluginNotReady",
        "there is no pod network on this machine yet",
        "kubectl -n kube-flannel get pods -o wide",
    ),
    _cause(
        "cni-bridge",
        r"\"?cni0\"? already has an IP address different from",
        "cni0 is left from another cluster",
        "ip link delete cni0",
    ),
    _cause(
        "cidr",
        r"node .* pod cidr not assigned|CIDRNotAvailable|no remaining CIDRs",
        "the range for pods has no room for another node",
        "remove nodes that are gone: kubectl delete node NAME",
    ),
    _cause(
        "vxlan",
        r"failed to (create|ensure) vxlan|operation not supported.*vxlan|network is down.*flannel",
        "the VXLAN link cannot be made",
        "modprobe vxlan; is UDP 8472 free?",
    ),
    _cause(
        "module",
        r"modprobe: FATAL: Module|could not load module|br_netfilter.*no such file",
        "a kernel module is missing",
        "install the running kernel's modules, or reboot into the installed kernel",
    ),
    _cause(
        "loop",
        r"Loop \(\S+ -> \S+\) detected",
        "CoreDNS asks itself: the name server is a loopback address",
        "put a name server that other machines can reach into /etc/resolv.conf",
    ),
    _cause(
        "no-route",
        r"no route to host|network is unreachable",
        "there is no way to a machine, or a firewall refuses it",
        "ip route get ADDRESS; kubeboot preflight names active firewalls",
    ),
    _cause(
        "timeout",
        r"i/o timeout|context deadline exceeded|TLS handshake timeout",
        "something answers too late or not at all: a firewall, or a machine under load",
        "uptime; kubeboot doctor; run the same command with --timeout-scale 3",
    ),
    _cause(
        "refused",
        r"connect: connection refused",
        "what should listen does not run",
        "crictl ps -a or ctr -n k8s.io tasks ls; the lines above tell which port",
    ),
)
"""The more telling ones first; of a line, the first that fits."""
