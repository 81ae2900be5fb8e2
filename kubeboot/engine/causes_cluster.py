"""What is wrong between machines: images, certificates, etcd."""

from __future__ import annotations

from kubeboot.engine import causes_now
from kubeboot.engine.cause import cause as _cause

CLUSTER = (
    _cause(
        "image-limit",
        r"toomanyrequests|429 Too Many Requests",
        "a registry refuses more downloads from this address: there were too many",
        "give --bundle or a mirror (artifacts.mirrors), or credentials in registries",
    ),
    _cause(
        "image-http",
        r"server gave HTTP response to HTTPS client",
        "a registry speaks plain HTTP",
        "give it as http://HOST in registries, or have it serve TLS",
    ),
    _cause(
        "sandbox-image",
        r"failed to get sandbox image|sandbox image .* not found",
        "the pause image is missing",
        "run the same command again: it imports and pins it",
    ),
    _cause(
        "proxy",
        r"proxyconnect tcp|Proxy Authentication Required",
        "a request went through a proxy that does not work",
        "set containerd.httpsProxy and noProxy in the configuration, or remove the proxy: "
        "systemctl show containerd -p Environment",
    ),
    _cause(
        "resolv-conf",
        r"could not open resolv conf|no nameservers found",
        "the file that pods' name servers come from is gone or names none: systemd-resolved was stopped, say",
        "run the same init or join again: it takes those that are known now",
    ),
    _cause(
        "lookup",
        r"lookup \S+?( on \S+)?: (no such host|i/o timeout|server misbehaving)|"
        r"Temporary failure in name resolution",
        "a name does not resolve",
        "getent hosts NAME; the name servers in /etc/resolv.conf must answer",
    ),
    _cause(
        "image",
        r"ErrImagePull|ImagePullBackOff|ErrImageNeverPull|failed to (pull|resolve reference|"
        r"do request)|manifest unknown|back-off pulling image",
        "an image is neither on the machine nor available from its registry",
        "give --bundle, or mirrors in artifacts.mirrors and registries; ctr -n k8s.io images ls",
    ),
    _cause(
        "clock",
        r"is not yet valid: current time \S+ is before|high clock drift|clock difference against peer",
        "a clock is wrong: this machine's or another's",
        "date on every machine; timedatectl set-ntp true, and wait until `timedatectl` says synchronized",
    ),
    _cause(
        "bootstrap",
        r"unable to load bootstrap kubeconfig|existing bootstrap client certificate .* is expired",
        "the kubelet's client certificate has expired or is gone",
        "run the same init or join again: it makes a new one",
    ),
    _cause(
        "expired",
        r"certificate has expired or is not yet valid: current time \S+ is after|"
        r"x509: certificate has expired|tls: expired certificate",
        "a certificate has expired, or a clock is ahead",
        "date on every machine; then run init or join again: it renews what has expired",
    ),
    _cause(
        "authority",
        r"x509: certificate signed by unknown authority|certificate is not trusted|"
        r"tls: (bad certificate|unknown certificate authority)",
        "a certificate was issued by an authority other than the one it is checked against",
        "sha256sum /etc/kubernetes/pki/ca.crt on every control plane: they must be equal",
    ),
    _cause(
        "names",
        r"x509: certificate is valid for .*, not|doesn't contain any IP SANs",
        "a certificate does not cover the name or address in use",
        "add it with --apiserver-cert-extra-sans, then run init again",
    ),
    _cause(
        "missing-file",
        r"(open|stat|read) /etc/kubernetes/\S+: no such file|failed to find plugin \S+ in path|"
        r"(failed|unable) to locate executable .*no such file",
        "a file of the cluster is gone",
        "run the same init or join again: it puts back what is missing",
        causes_now.missing,
    ),
    _cause(
        "permission",
        r"(open|mkdir|stat|unlinkat) /\S+: permission denied",
        "a process may not read or write a file: its mode, its owner, SELinux or AppArmor",
        "run the same init or join again: it puts modes back; journalctl -k | grep -iE 'denied|apparmor'",
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
        "this machine's etcd was removed from its cluster, and its data is still here",
        "kubeboot reset, then join again",
    ),
    _cause(
        "etcd-space",
        r"mvcc: database space exceeded|alarm\W{0,3}NOSPACE",
        "etcd's quota is used up, and it accepts no writes until that is fixed",
        "etcdctl compact REVISION, etcdctl defrag, etcdctl alarm disarm (docs/troubleshooting.md has "
        "the whole lines)",
    ),
    _cause(
        "etcd-members",
        r"etcdserver: unhealthy cluster|not enough started members",
        "etcd accepts no new member while another one does not run",
        "kubeboot etcd status; start the member that is down, or remove its node: kubeboot node remove NAME",
    ),
    _cause(
        "etcd-learner",
        r"too many learner members|can only promote a learner member",
        "a machine that is joining etcd has not caught up yet, or another one is joining",
        "wait and join again; kubeboot etcd status shows a learner that is left over",
    ),
    _cause(
        "etcd-slow",
        r"slow fdatasync|apply request took too long|overloaded network|leader failed to send out heartbeat",
        "the disk or the network is too slow for etcd",
        "kubeboot preflight measures the disk (EtcdDisk)",
    ),
    _cause(
        "etcd-corrupt",
        r"wal: (crc mismatch|max entry size limit)|snap: .*checksum|failed to recover v3 backend|"
        r"freepages: failed|invalid freelist page",
        "etcd's data is damaged",
        "restore the last snapshot, or remove the member and join again",
    ),
    _cause(
        "etcd-leader",
        r"etcdserver: (no leader|request timed out)",
        "etcd has no leader: most members do not answer",
        "kubeboot doctor on each control plane; TCP 2379 and 2380 open between them?",
    ),
)
