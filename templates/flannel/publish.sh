# Makes the node ready for pods once flannel is: a sandbox that is tried before has to wait 15 s for its turn.
# The config lies in /run, so that after a reboot there is none until flannel runs again.
set -eu
until [ -s /run/flannel/subnet.env ]; do sleep 0.1; done
cp /etc/kube-flannel/cni-conf.json /run/flannel/.conflist
mv -f /run/flannel/.conflist /run/flannel/10-flannel.conflist
# containerd looks again when something is renamed, not when a link is made.
ln -sf /run/flannel/10-flannel.conflist /etc/cni/net.d/.10-flannel
mv -f /etc/cni/net.d/.10-flannel /etc/cni/net.d/10-flannel.conflist
