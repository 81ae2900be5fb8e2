"""Joining etcd without ever endangering it: a learner first, started and in sync, and only then a voter.

The order is certificates → learner → etcd.yaml → a copy of the data → kubelet → promotion → the rest of the
control plane, so that no voter is ever counted on that nobody can reach. A run that died anywhere goes on
from what the members say.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from kubeboot import render
from kubeboot.artifacts.api import Catalog
from kubeboot.config.node import NodeSettings
from kubeboot.config.spec import ClusterSpec
from kubeboot.engine.step import Check, Impact, Later, Ref, Step, Target, View
from kubeboot.engine.values import Values
from kubeboot.host.api import HostView
from kubeboot.kube.etcd import PEER_PORT, Member
from kubeboot.pki import endpoint
from kubeboot.steps import basic, etcd
from kubeboot.steps.etcd.copying import COPIED, COPY, Copied, Copy, TakesPart
from kubeboot.steps.etcd.learner import MEMBERS, AddLearner, AwaitTurn, LearnerFree
from kubeboot.steps.etcd.vote import Promote, Serves, Started
from kubeboot.steps.static_pod import StaticPod

LEARNER = "etcd/learner"
PROMOTED = "etcd/promoted"
_CLUSTER = "--initial-cluster="
_BOOT = ("--initial-cluster=", "--initial-cluster-state=")


@dataclasses.dataclass(frozen=True, kw_only=True)
class EnsureJoiningEtcd(etcd.EnsureEtcd):
    """etcd's manifest on a further machine.

    `initial-cluster` matters while the data directory is empty. Afterwards it stays what it was: members
    that come and go are no reason to restart etcd.
    """

    name: str
    peer: str

    def check(self, see: View, vals: Values) -> Check:
        pod = self._pod(see.host, vals)
        return Later("etcd's members") if pod is None else self._with(pod).check(see, vals)

    def apply(self, do: Target, vals: Values) -> None:
        pod = self._pod(do.host, vals)
        if pod is None:
            raise KeyError(MEMBERS.name)
        self._with(pod).apply(do, vals)

    def _with(self, pod: StaticPod) -> etcd.EnsureEtcd:
        return etcd.EnsureEtcd(
            id=self.id,
            title=self.title,
            on=self.on,
            pod=pod,
            data_dir=self.data_dir,
            timeout_scale=self.timeout_scale,
        )

    def _pod(self, host: HostView, vals: Values) -> StaticPod | None:
        boot = self._kept(host)
        if boot is None:
            found = vals.get(MEMBERS)
            if found is None:
                return None
            boot = (_CLUSTER + self._cluster(found), "--initial-cluster-state=existing")
        rest = [word for word in self.pod.command[1:] if not word.startswith(_BOOT)]
        return dataclasses.replace(self.pod, command=(self.pod.command[0], *sorted([*rest, *boot])))

    def _kept(self, host: HostView) -> tuple[str, ...] | None:
        """What etcd was started with, once it has data."""
        data = host.read(self.pod.path)
        if data is None or host.stat(f"{self.data_dir}/member") is None:
            return None
        command = render.load(data)["spec"]["containers"][0]["command"]
        return tuple(str(word) for word in command if str(word).startswith(_BOOT))

    def _cluster(self, found: Iterable[Member]) -> str:
        """A member that was never started, this one, has no name in the list yet."""
        named = ((m.name or (self.name if self.peer in m.peer_urls else ""), m.peer_urls) for m in found)
        return ",".join(f"{name}={url}" for name, urls in named for url in urls if name)


def before_kubelet(spec: ClusterSpec) -> frozenset[Ref]:
    """What comes before the kubelet that is to run etcd; nothing where etcd runs elsewhere."""
    return frozenset({etcd.MANIFEST, COPY, COPIED} if spec.etcd.external is None else ())


def steps(
    spec: ClusterSpec, node: NodeSettings, catalog: Catalog, before: Iterable[Ref] = ()
) -> tuple[Step, ...]:
    """`before`: what must be there before etcd is told, so that little can go wrong between that and etcd.

    There are none where etcd runs elsewhere.
    """
    if spec.etcd.external is not None:
        return ()
    made = etcd.pod(spec, node, catalog.image("etcd").name)
    return (
        etcd.directory(spec, node, made),
        _turn(node, frozenset({"pki/", "etcd/data-dir", *before})),
        _learner(spec, node),
        _manifest(spec, node, made),
        *_copy(spec, node, made.path),
        *_votes(node),
    )


def _turn(node: NodeSettings, after: frozenset[Ref]) -> Step:
    return AwaitTurn(
        id="etcd/turn",
        title="Wait until no other machine is joining etcd",
        on=node.name,
        after=after,
        address=node.address,
        settle=LearnerFree(node.address),
    )


def _learner(spec: ClusterSpec, node: NodeSettings) -> Step:
    return AddLearner(
        id=LEARNER,
        title="Join etcd as a learner",
        on=node.name,
        after=frozenset({"etcd/turn"}),
        gives=frozenset({MEMBERS}),
        address=node.address,
        data_dir=spec.etcd.data_dir,
    )


def _manifest(spec: ClusterSpec, node: NodeSettings, pod: StaticPod) -> Step:
    return EnsureJoiningEtcd(
        id="etcd/manifest",
        title="Write etcd's static pod",
        on=node.name,
        after=frozenset({LEARNER}),
        needs=frozenset({MEMBERS}),
        impact=Impact.API_GAP,
        pod=pod,
        timeout_scale=node.timeout_scale,
        data_dir=spec.etcd.data_dir,
        name=node.name,
        peer=endpoint.url(node.address, PEER_PORT),
    )


def _copy(spec: ClusterSpec, node: NodeSettings, manifest: str) -> tuple[Step, ...]:
    copy = Copy(
        id=COPY,
        title="Copy etcd's data from its leader",
        on=node.name,
        after=frozenset({etcd.MANIFEST}),
        settle=TakesPart(node.address),
        manifest=manifest,
        data_dir=spec.etcd.data_dir,
        cost=1.0,
    )
    copied = Copied(
        id=COPIED,
        title="End the etcd that has copied it",
        on=node.name,
        behind=frozenset({COPY}),
        follows=frozenset({COPY}),
        cost=0.5,
    )
    return (copy, copied)


def _votes(node: NodeSettings) -> tuple[Step, ...]:
    started = basic.Await(
        id="etcd/started",
        title="Wait for etcd's learner",
        on=node.name,
        after=frozenset({"etcd/manifest", "kubelet/service"}),
        condition=Started(node.name, node.address),
        cost=3.0,
    )
    promote = Promote(
        id=PROMOTED,
        title="Make etcd's learner a voter",
        on=node.name,
        after=frozenset({started.id}),
        address=node.address,
        cost=1.0,
    )
    serves = basic.Await(
        id="etcd/serves",
        title="Wait for etcd to answer its clients",
        on=node.name,
        after=frozenset({promote.id}),
        condition=Serves(node.name, node.address),
        cost=3.0,
    )
    return (started, promote, serves)
