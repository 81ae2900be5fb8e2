"""What is wrong with a node's part in the cluster: its rights, its pods' network, whom it reaches."""

from __future__ import annotations

from kubeboot.engine import causes_now
from kubeboot.engine.cause import cause as _cause

NODES = (
    _cause(
        "forbidden",
        r"node \S+ is not allowed|cannot (get|list|create|patch) resource .* at the cluster scope",
        "the API server does not allow this identity to do its work",
        "run the same init again on a control plane: it puts the rights back",
    ),
    _cause(
        "name-taken",
        r"node name .* is already taken|Node .* was previously registered",
        "another machine has this node's name",
        "rename one of them with --node-name",
    ),
    _cause(
        "signing",
        r"invalid bearer token",
        "a ServiceAccount's token is signed with a key that this API server does not know",
        "kubeboot doctor on a control plane; sha256sum /etc/kubernetes/pki/sa.* on all of them must be equal",
    ),
    _cause(
        "webhook",
        r"failed calling webhook|failed to call webhook",
        "the API server asks a webhook before it writes, and nobody answers it",
        "kubectl get validatingwebhookconfigurations,mutatingwebhookconfigurations; delete the one it names, "
        "or start what it leads to",
    ),
    _cause(
        "unauthorized",
        r"register node.*Unauthorized|error.*Unauthorized|server has asked for the client to provide",
        "the API server does not know this machine's certificate or token",
        "kubeboot token create --print-join-command on a control plane, and join again with what it prints",
    ),
    _cause(
        "cni-subnet",
        r"open /run/flannel/subnet\.env: no such file",
        "flannel has not got this node's subnet yet",
        "kubectl -n kube-flannel logs ds/kube-flannel-ds",
        causes_now.no_subnet,
    ),
    _cause(
        "cni",
        r"cni plugin not initialized|no networks found in /etc/cni/net\.d|NetworkPluginNotReady",
        "there is no pod network on this machine yet",
        "kubectl -n kube-flannel get pods -o wide",
        causes_now.no_network,
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
        "loop",
        r"Loop \(\S+ -> \S+\) detected",
        "CoreDNS asks itself: the name server is a loopback address",
        "put a name server that pods can reach into /etc/resolv.conf",
    ),
    _cause(
        "kubelet-silent",
        r"Kubelet stopped posting node status|NodeStatusUnknown",
        "the kubelet of that machine has stopped, or cannot reach the API server",
        "systemctl status kubelet, on that machine; journalctl -u kubelet -n 50",
    ),
    _cause(
        "no-route",
        r"no route to host|network is unreachable",
        "a machine cannot be reached, or a firewall refuses the connection",
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
        "the process that should listen is not running",
        "crictl ps -a or ctr -n k8s.io tasks ls; the lines above tell which port",
    ),
)
"""The last ones follow from others more often than not."""
