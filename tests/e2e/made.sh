# What a finished machine is, without what differs from run to run: `=== NAME` lines, then one fact a line.
# The journal is aside: a killed run, and what flannel wrote meanwhile, add to it. The reset shows what it is worth.
set -u
section() { printf '=== %s\n' "$1"; }
born='s/(kubeboot\.io\/inputs: |KUBEBOOT_INPUTS=).*/\1/'

section files
find /etc /opt /usr/local /usr/libexec /var/lib /run /root \
  \( -path '/var/lib/containerd/*' -o -path '/var/lib/kubelet/pods/*' -o -path '/var/lib/etcd/*' -o -path '/var/lib/systemd' \
     -o -path /var/lib/kubeboot-lab -o -path /var/lib/private -o -path /var/lib/sudo -o -path '/var/lib/cni/*' \
     -o -path /run/containerd -o -path /run/nri -o -path /var/lib/kubeboot/before -o -path '/run/kubeboot-backends/*' -o -path '/run/netns/*' -o -path /run/systemd -o -path /run/udev -o -path /run/user \
     -o -path /run/log -o -path /run/dbus -o -path /run/lock -o -path /run/sudo -o -path '/run/sshd*' \
     -o -path /root/.kube -o -path /run/motd.dynamic -o -path /run/utmp \) -prune \
  -o -printf '%p %y %m %U:%G %l\n' 2>/dev/null | sort

section texts # keys, certificates and kubeconfigs are looked at by the steps that understand them
find /etc /usr/local /var/lib/kubelet /var/lib/kubeboot \
  \( -path /etc/kubernetes/pki -o -path /var/lib/kubelet/pki -o -path /var/lib/kubelet/pods -o -path '/etc/kubernetes/*.conf' \
     -o -name journal.jsonl -o -path /var/lib/kubeboot/before -o -path /var/lib/kubeboot/sums -o -path '/var/lib/kubelet/*_state' \) -prune \
  -o -type f -size -256k -print 2>/dev/null | sort | while read -r file; do
  printf '%s %s\n' "$file" "$(sed -E "$born" "$file" | sha256sum | cut -c -16)"
done
find /usr/local /opt -type f -size +255k -printf '%p %s\n' | sort

section mounts
awk '$2 !~ "^/run/user|^/run/netns|/pods/|^/run/containerd/" {print $2, $3}' /proc/mounts | sort -u

section links
ip -o link | awk -F': ' '{print $2}' | sed 's/@.*//; /^veth/d; /^cni0$/d' | sort # where a pod is, which others decide

section nftables
nft list tables | sort

section units
systemctl list-unit-files --no-legend --type=service,timer,mount,path | awk '{print $1, $2}' | sort
systemctl list-units --all --no-legend --plain --type=service,timer,slice | awk '{print $1, $3}' |
  grep -v -e '^user' -e '^session' -e '^systemd-' -e '^kubepods-' -e '^kubelet-kubepods-' -e 'user-runtime-dir' \
    -e '^kubeboot-backends.service' -e '^dpkg' -e '^apt-' -e '^e2scrub' -e '^fstrim' -e '^logrotate' | sort

section sysctls # the others are the lab's computer's, and every machine's on it
sysctl -a 2>/dev/null | grep -E '^net\.(bridge|netfilter|ipv[46]\.(ip_forward|conf\.(all|default)))' |
  grep -v -E 'nf_conntrack_(count|buckets|max)|stable_secret' | sort

section processes
ps -eo comm= | grep -x -E 'kubelet|containerd|kube-.*|etcd|haproxy|flanneld|keepalived' | sort -u

section images
[ ! -S /run/containerd/containerd.sock ] || ctr -n k8s.io images ls -q | sort
