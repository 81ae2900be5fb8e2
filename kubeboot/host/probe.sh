# Prints a machine's facts as key=value lines. Reads only, and forks little: it is run by `sh -s` on every machine.
LC_ALL=C
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin${PATH:+:$PATH}
export LC_ALL PATH

first_line() { # KEY FILE
    value=
    [ -r "$2" ] && IFS= read -r value <"$2"
    printf '%s=%s\n' "$1" "$value"
}

fields() { # PREFIX FILE PATTERN...: lines of FILE that begin with a word of PATTERN
    prefix=$1 file=$2
    shift 2
    [ -r "$file" ] || return 0
    while IFS= read -r line || [ -n "$line" ]; do
        for word; do
            case $line in "$word"*) printf '%s=%s\n' "$prefix" "$line" ;; esac
        done
    done <"$file"
}

first_line hostname /proc/sys/kernel/hostname
first_line machine_id /etc/machine-id
first_line kernel /proc/sys/kernel/osrelease
first_line init /proc/1/comm
[ -d /run/systemd/system ] && echo "init=systemd"
fields memory /proc/meminfo MemTotal:
fields swap /proc/swaps /
fields nameserver /etc/resolv.conf nameserver
fields resolved /run/systemd/resolve/resolv.conf nameserver
fields capabilities /proc/1/status CapBnd:
first_line selinux /sys/fs/selinux/enforce
first_line apparmor /sys/module/apparmor/parameters/enabled
[ -e /sys/fs/cgroup/cgroup.controllers ] && echo "cgroup_v2=1"
[ -e /etc/kubernetes/kubelet.conf ] && echo "joined=1"
for name in sh systemctl journalctl modprobe ip nft mount umount flock sha256sum conntrack ethtool iptables socat tc \
    swapoff tar ctr containerd runc crictl docker dockerd kubelet kubeadm kubectl firewall-cmd ufw apt-get dnf; do
    command -v "$name" >/dev/null 2>&1 && printf 'command=%s\n' "$name"
done
printf 'arch=%s\n' "$(uname -m)"
printf 'cpus=%s\n' "$(nproc)"
printf 'uid=%s\n' "$(id -u)"
printf 'user=%s\n' "$(id -un)"
printf 'clock=%s\n' "$(date +%s.%N)"
if command -v ip >/dev/null 2>&1; then
    ip -oneline address show scope global | while read -r line; do printf 'nic=%s\n' "$line"; done
    ip -4 route show default | while read -r line; do printf 'default=%s\n' "$line"; done
    ip -6 route show default | while read -r line; do printf 'default=%s\n' "$line"; done
fi
echo "end=1"
