"""A machine in memory that becomes a further control plane, and the cluster of cp-1 that it joins.

Its etcd runs, under the kubelet or by itself to copy the data, once it is a member, has a manifest that names
every member, and data of no other member; its API server serves the cluster's objects once that etcd votes.
"""

from __future__ import annotations

import dataclasses
from typing import cast

from kubeboot.engine.step import CLUSTER, Target
from kubeboot.kube.api import Api, NoApi
from kubeboot.kube.etcd import Member
from kubeboot.pki import build
from kubeboot.steps.etcd import METRICS_PORT, copying
from kubeboot.steps.etcd import learner as etcd_learner
from kubeboot.steps.static_pod import MANIFESTS, PKI
from tests.fakes.entries import File
from tests.fakes.etcd import FakeEtcd, member
from tests.fakes.world import State, World, said_ready

NAME, ADDRESS = "cp-2", "192.0.2.12"
DATA = "/var/lib/etcd/member/snap/db"
MANIFEST = f"{MANIFESTS}/etcd.yaml"


class LivingEtcd(FakeEtcd):
    """Members whose world goes on after every change. cp-1 always answers."""

    def __init__(self, world: FurtherWorld) -> None:
        super().__init__(member(1))
        self.world = world

    def healthy(self, member: Member) -> str | None:
        mine = member.has_peer(ADDRESS)
        return "connection refused" if mine and not self.world.etcd_runs() else super().healthy(member)

    def _answer(self) -> None:
        self.world.turn()
        super()._answer()


class OwnServer:
    """The machine's own API server: the cluster's objects while it serves, else nobody."""

    def __init__(self, world: FurtherWorld) -> None:
        self._world = world
        self._none = NoApi()

    def __getattr__(self, name: str) -> object:
        return getattr(self._world.api if self._world.serves() else self._none, name)


class FurtherWorld(World):
    """One machine beside a cluster that `first` has become."""

    def __init__(self, first: World) -> None:
        self.etcd = LivingEtcd(self)
        self.own_server = OwnServer(self)
        self.given = {
            path.removeprefix(f"{PKI}/"): file.data
            for path, file in first.host.files.items()
            if path.startswith(PKI)
        }
        super().__init__(NAME, build.Pair(self.given["ca.crt"], self.given["ca.key"]), ADDRESS)
        self.api.objects = dict(first.api.objects)

    def target(self, on: str) -> Target:
        """@cluster is reached by cp-1's API server, the machine by its own."""
        return Target(self.host, self.api if on == CLUSTER else cast(Api, self.own_server), self.etcd)

    def sound(self) -> None:
        """etcd counts on nobody who does not answer, and two of it would want one port."""
        assert not (self.has("etcd") and self.copies())
        voters = [one for one in self.etcd.found if not one.learner]
        assert [one.label for one in voters if self.etcd.healthy(one)] == []

    def cluster(self) -> dict[str, object]:
        """The members and the Nodes."""
        members = [(one.name, one.peer_urls, one.learner) for one in self.etcd.found]
        return {"members": members, "nodes": [n["metadata"]["name"] for n in self.api.list("v1", "Node")]}

    def save(self) -> State:
        """With the members."""
        return dataclasses.replace(super().save(), members=self.etcd.members())

    def restore(self, state: State) -> None:
        """With the members."""
        super().restore(state)
        self.etcd.found = list(state.members)

    def copies(self) -> bool:
        """etcd runs in a container of no pod."""
        return copying.ID in self.host.container_table

    def etcd_runs(self) -> bool:
        mine = etcd_learner.own(self.etcd.found, ADDRESS)
        data = self.host.files.get(DATA)
        started = self.has("etcd") or self.copies()
        return started and mine is not None and data is not None and data.data == mine.id.encode()

    def serves(self) -> bool:
        mine = etcd_learner.own(self.etcd.found, ADDRESS)
        votes = mine is not None and not mine.learner and self.etcd_runs()
        return votes and self.has("kube-apiserver")

    def _kubelet(self) -> None:
        super()._kubelet()
        mine = etcd_learner.own(self.etcd.found, ADDRESS)
        if mine is not None and (self.has("etcd") or self.copies()):
            self._start(mine)
        if self.etcd_runs():
            self.host.dialers["127.0.0.1", METRICS_PORT] = said_ready
        else:
            self.host.dialers.pop(("127.0.0.1", METRICS_PORT), None)

    def _start(self, mine: Member) -> None:
        """As etcd does: with no data it must know every member by its manifest."""
        manifest = self.host.files[MANIFEST].data
        known = all(url.encode() in manifest for one in self.etcd.found for url in one.peer_urls)
        if known and DATA not in self.host.files:
            self._leave(DATA)
            self.host.files[DATA] = File(mine.id.encode(), 0o600)
        if self.etcd_runs() and not mine.name:
            started = dataclasses.replace(mine, name=NAME, client_urls=(f"https://{ADDRESS}:2379",))
            self.etcd.found = [started if one.id == mine.id else one for one in self.etcd.found]

    def _register(self) -> None:
        """The kubelet goes to the API server beside it."""
        if self.serves():
            self._mirror()
            super()._register()
