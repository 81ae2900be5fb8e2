# What a machine is, as sections of sorted text: `=== NAME` lines, then one fact a line.
set -u
section() { printf '=== %s\n' "$1"; }

section files
find /etc /opt /usr/local /usr/libexec /var/lib /var/log/pods /var/log/containers /run /root \
  \( -path /run/systemd -o -path /run/udev -o -path /run/log -o -path /run/user -o -path /run/dbus -o -path /run/lock \
     -o -path /run/sshd -o -path /run/sudo -o -path /run/utmp -o -path /run/initctl -o -path '/run/sshd.pid' \
     -o -path /var/lib/systemd -o -path /var/lib/sudo -o -path /var/lib/private -o -path /etc/mtab \
     -o -path /run/motd.dynamic -o -path /root/.kube \) -prune \
  -o -printf '%p %y %m %U:%G %l\n' 2>/dev/null | sort

section contents
find /etc /usr/local -type f -exec sha256sum {} + 2>/dev/null | sort -k2

section mounts
awk '{print $2, $3}' /proc/mounts | grep -v '^/run/user' | sort

section links
ip -o link 2>/dev/null | awk -F': ' '{print $2}' | sed 's/@.*//' | sort

section routes
ip -4 route | sort

section nftables
nft list tables | sort

section units
systemctl list-unit-files --no-legend --type=service | awk '{print $1, $2}' | sort
systemctl list-units --no-legend --plain --type=service,slice --state=active | awk '{print $1}' |
  grep -v -e '^user' -e '^session' -e '^systemd-tmpfiles-clean' -e 'user-runtime-dir' \
    -e '^systemd-timedated' -e '^systemd-hostnamed' | sort

section sysctls
for key in net/ipv4/ip_forward net/ipv4/conf/all/rp_filter net/ipv4/conf/all/route_localnet net/ipv6/conf/all/forwarding; do
  printf '%s %s\n' "$key" "$(cat /proc/sys/$key 2>/dev/null)"
done

section processes
# the kernel's own threads have no memory
ps -eo vsz=,comm= | awk '$1 > 0 { $1 = ""; print substr($0, 2) }' |
  grep -v -x -E 'systemd-timedat|systemd-hostnam|sshd(-session|-auth)?|sudo|bash|sh|ps|sort|grep|uniq|systemd|\(sd-pam\)|systemd-tmpfile|kubectl|awk|mawk|sed|cat|find|mktemp|cmp|flock|backends|kubeboot-backen' | sort -u

section cgroups
find /sys/fs/cgroup -maxdepth 3 -type d -name 'kubepods*' | sort
