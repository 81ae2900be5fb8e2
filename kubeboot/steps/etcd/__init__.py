"""Stacked etcd: its data directory and its static pod, as kubeadm writes it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from kubeboot.artifacts.api import Catalog
from kubeboot.config import effective
from kubeboot.config.node import NodeSettings
from kubeboot.config.spec import ClusterSpec
from kubeboot.engine.step import Blocked, Check, Impact, Ref, Step, View
from kubeboot.engine.undo import Undo
from kubeboot.engine.values import Values
from kubeboot.kube.etcd import CLIENT_PORT, PEER_PORT
from kubeboot.pki import endpoint
from kubeboot.steps import basic, static_pod, trees
from kubeboot.steps.pod_manifest import EnsureStaticPod
from kubeboot.steps.static_pod import PKI, StaticPod, Volume

METRICS_PORT = 2381
MANIFEST = "etcd/manifest"
CERTIFICATES = f"{PKI}/etcd"
ADVERTISED = "kubeadm.kubernetes.io/etcd.advertise-client-urls"
"""kubeadm reads this annotation back to find the members."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class EnsureDataDir(basic.EnsureDir):
    """etcd's directory, for root alone. Data in it that no etcd here uses belongs to someone else."""

    manifest: str
    mode: int = 0o700
    tree: bool = True

    def check(self, see: View, vals: Values) -> Check:
        if see.host.stat(f"{self.path}/member") and see.host.stat(self.manifest) is None:
            return Blocked(
                f"{self.path} holds the data of another etcd",
                hint=f"if nobody needs it, run `kubeboot reset`; else move {self.path}/member away",
                reason="KB_ETCD_DATA",
            )
        return super().check(see, vals)


@dataclasses.dataclass(frozen=True, kw_only=True)
class EnsureEtcd(EnsureStaticPod):
    """etcd's manifest; what etcd then writes goes with it."""

    data_dir: str

    def undo(self, see: View) -> Sequence[Undo]:
        return (*super().undo(see), *trees.tree_undo(see, self.data_dir))


def manifest(spec: ClusterSpec) -> frozenset[Ref]:
    """What comes before whatever needs etcd on this machine; nothing where etcd runs elsewhere."""
    return frozenset({MANIFEST} if spec.etcd.external is None else ())


def steps(spec: ClusterSpec, node: NodeSettings, catalog: Catalog) -> tuple[Step, ...]:
    """The data directory and the manifest; the kubelet, which starts it, comes after.

    There are none where etcd runs elsewhere.
    """
    if spec.etcd.external is not None:
        return ()
    made = pod(spec, node, catalog.image("etcd").name)
    return (
        directory(spec, node, made),
        EnsureEtcd(
            id=MANIFEST,
            title="Write etcd's static pod",
            on=node.name,
            after=frozenset({"pki/", "etcd/data-dir"}),
            impact=Impact.API_GAP,
            pod=made,
            timeout_scale=node.timeout_scale,
            data_dir=spec.etcd.data_dir,
        ),
    )


def directory(spec: ClusterSpec, node: NodeSettings, made: StaticPod) -> Step:
    """The data directory, before the manifest of `made` is written."""
    return EnsureDataDir(
        id="etcd/data-dir",
        title="Make etcd's data directory",
        on=node.name,
        after=frozenset({"trees/"}),
        path=spec.etcd.data_dir,
        manifest=made.path,
    )


def pod(spec: ClusterSpec, node: NodeSettings, image: str) -> StaticPod:
    """etcd on this machine, the first member of its cluster."""
    given = effective.etcd(spec)
    found = StaticPod(
        name="etcd",
        image=image,
        command=static_pod.command("etcd", _flags(spec, node), given.extra_args),
        port=METRICS_PORT,
        probes=static_pod.probes("/livez", "/readyz", "/readyz"),
        volumes=_volumes(spec),
        requests=(("cpu", "100m"), ("memory", "100Mi")),
        inputs=(f"{CERTIFICATES}/ca.crt",),
        probe_host=loopback(node.address),
        probe_scheme="HTTP",
        annotations=((ADVERTISED, endpoint.url(node.address, CLIENT_PORT)),),
    )
    return static_pod.patched(static_pod.extended(found, given), spec)


def loopback(address: str) -> str:
    """The loopback address of an address's family."""
    return "::1" if ":" in address else "127.0.0.1"


def _flags(spec: ClusterSpec, node: NodeSettings) -> tuple[tuple[str, str], ...]:
    local = loopback(node.address)
    client, peer = (endpoint.url(node.address, port) for port in (CLIENT_PORT, PEER_PORT))
    return (
        ("name", node.name),
        ("data-dir", spec.etcd.data_dir),
        ("listen-client-urls", f"{endpoint.url(local, CLIENT_PORT)},{client}"),
        ("advertise-client-urls", client),
        ("listen-peer-urls", peer),
        ("initial-advertise-peer-urls", peer),
        ("initial-cluster", f"{node.name}={peer}"),
        ("listen-metrics-urls", f"http://{endpoint.join(local, METRICS_PORT)}"),
        ("cert-file", f"{CERTIFICATES}/server.crt"),
        ("key-file", f"{CERTIFICATES}/server.key"),
        ("trusted-ca-file", f"{CERTIFICATES}/ca.crt"),
        ("client-cert-auth", "true"),
        ("peer-cert-file", f"{CERTIFICATES}/peer.crt"),
        ("peer-key-file", f"{CERTIFICATES}/peer.key"),
        ("peer-trusted-ca-file", f"{CERTIFICATES}/ca.crt"),
        ("peer-client-cert-auth", "true"),
        ("snapshot-count", "10000"),
        ("feature-gates", effective.gates(effective.ETCD_GATES)),
        ("watch-progress-notify-interval", "5s"),
    )


def _volumes(spec: ClusterSpec) -> tuple[Volume, ...]:
    return (
        Volume("etcd-certs", CERTIFICATES, CERTIFICATES, read_only=False),
        Volume("etcd-data", spec.etcd.data_dir, spec.etcd.data_dir, read_only=False),
    )
