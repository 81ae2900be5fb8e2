"""A machine that runs etcd and nothing else: what it has of the PKI, how its etcd is, and the wait for it."""

from __future__ import annotations

import dataclasses

from kubeboot import render
from kubeboot.config import etcd_access
from kubeboot.config.etcd_access import Invitation
from kubeboot.config.node import NodeSettings
from kubeboot.config.spec import ClusterSpec
from kubeboot.engine.step import Step, View
from kubeboot.engine.values import Values
from kubeboot.host.api import HostView
from kubeboot.kube import client
from kubeboot.kube.etcd import PEER_PORT
from kubeboot.kube.tls import Endpoint
from kubeboot.pki import build, endpoint, table
from kubeboot.steps import authorities, basic, certificates, pod_logs, shared_keys
from kubeboot.steps.etcd import METRICS_PORT, loopback
from kubeboot.steps.static_pod import MANIFESTS

DESCRIPTION = "/etc/kubernetes/etcd-machine.yaml"
"""What etcd's machines have alike; it also says that this is one."""
READY = "etcd/ready"
LEAVES = ("etcd-server", "etcd-peer", "etcd-healthcheck-client")


def pki(spec: ClusterSpec, node: NodeSettings, invited: Invitation | None) -> tuple[Step, ...]:
    """etcd's authority, made here or handed over, and what this machine's member is known by."""
    rows = tuple(row for row in table.CERTIFICATES if row.name in LEAVES)
    return (_authority(spec, node, invited), *certificates.issued(spec, node, rows))


def _authority(spec: ClusterSpec, node: NodeSettings, invited: Invitation | None) -> Step:
    if invited is None:
        return certificates.authority(authorities.ETCD, spec, node, build.now)
    file = authorities.ETCD.file
    given = {f"{file}.crt": invited.authority, f"{file}.key": invited.key}
    return shared_keys.authority(node.name, authorities.ETCD, given)


def description(spec: ClusterSpec, node: NodeSettings) -> Step:
    """The step that keeps it."""
    return basic.EnsureFile(
        id="etcd/description",
        title="Record what etcd's machines share",
        on=node.name,
        path=DESCRIPTION,
        data=render.dump(etcd_access.shared(spec)).encode(),
        mode=0o600,
    )


def described(see: HostView) -> ClusterSpec | None:
    """What is written down; None on a machine that is not one of etcd's own."""
    data = see.read(DESCRIPTION)
    return None if data is None else etcd_access.spec(render.load(data), DESCRIPTION)


def neighbours(see: HostView) -> tuple[str, ...]:
    """Where the others were when this machine's member was started for the first time."""
    data = see.read(f"{MANIFESTS}/etcd.yaml")
    command = render.load(data)["spec"]["containers"][0]["command"] if data else ()
    said = next((str(w).partition("=")[2] for w in command if str(w).startswith("--initial-cluster=")), "")
    urls = (pair.partition("=")[2] for pair in said.split(",") if pair)
    return tuple(endpoint.split(url.split("://")[-1], PEER_PORT)[0] for url in urls)


@dataclasses.dataclass(frozen=True)
class Answers:
    """This machine's member takes part: it reads what most members agree on."""

    node: str
    address: str
    deadline: float = 240.0
    sentence: str = "etcd to answer"

    def look(self, see: View, vals: Values) -> str | None:
        where = f"http://{endpoint.join(loopback(self.address), METRICS_PORT)}"
        return client.readiness(Endpoint(where), see.host.dial)

    def explain(self, see: View) -> str:
        return pod_logs.explain(see.host, self.node, ("etcd",))


def ready(node: NodeSettings) -> Step:
    """The wait for it, once the kubelet runs."""
    return basic.Await(
        id=READY,
        title="Wait for etcd to answer",
        on=node.name,
        after=frozenset({"etcd/manifest", "kubelet/service"}),
        condition=Answers(node.name, node.address),
        cost=2.0,
    )
