"""How kube-proxy and flannel reach the API on a machine that has no haproxy of its own.

Each machine has a kubeconfig for them: a control plane's leads to its own API server, so that the first one's
network comes up before there is a balancer, and a worker's leads to the endpoint.
"""

from __future__ import annotations

from kubeboot import render
from kubeboot.config import balancing
from kubeboot.config.node import NodeSettings
from kubeboot.config.spec import ClusterSpec
from kubeboot.engine.step import Step
from kubeboot.pki import endpoint
from kubeboot.steps import basic

PATH = "/etc/kubernetes/network.conf"


def path(spec: ClusterSpec) -> str:
    """The kubeconfig that pods take from their machine; empty where each machine has haproxy."""
    return "" if balancing.runs_haproxy(spec, "worker") else PATH


def steps(spec: ClusterSpec, node: NodeSettings) -> tuple[Step, ...]:
    """The file, where it is needed; it holds no credentials."""
    if not path(spec):
        return ()
    own = endpoint.url(node.address, spec.api_server.bind_port)
    server = own if node.role == "control_plane" else balancing.worker_server(spec)
    step = basic.EnsureFile(
        id="kubeconfig/network",
        title="Write how the machine's network reaches the API",
        on=node.name,
        after=frozenset({"trees/"}),
        path=PATH,
        data=render.template("kube-proxy/kubeconfig.conf.j2", server=server).encode(),
    )
    return (step,)
