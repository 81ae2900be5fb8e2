"""What is to be done on one machine of a fleet: its plan, and what it reaches."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from types import MappingProxyType

from kubeboot.config.node import NodeSettings, Role
from kubeboot.config.spec import ClusterSpec
from kubeboot.engine.plan import Plan
from kubeboot.fleet import here, shared
from kubeboot.fleet.etcd import machine as etcd_machine
from kubeboot.fleet.etcd.fleet import EtcdMachines
from kubeboot.fleet.hooks import Hooks
from kubeboot.fleet.orders import ADMIN_CONF
from kubeboot.fleet.reach import Reached
from kubeboot.fleet.run import Others
from kubeboot.fleet.supply import Supply
from kubeboot.fleet.survey import SUPER_ADMIN, Cluster
from kubeboot.kube import facts as cluster_facts
from kubeboot.kube.api import Api, NoApi
from kubeboot.kube.etcd import CLIENT_PORT
from kubeboot.pki import endpoint
from kubeboot.plan import fleet as planning
from kubeboot.plan import node as nodes
from kubeboot.steps import balancer_access, preflight, sent

NONE_GIVEN: Mapping[str, bytes] = MappingProxyType({})
BEFORE, AFTER = ("before_host",), ("after_host",)
"""The user's playbooks on every machine."""


@dataclasses.dataclass(frozen=True)
class Task:
    """`on` is the machine's name in the plan. `api` is for the steps there, `others` for the cluster's.

    `node` is None where nothing is made of the machine. `member`: it is part of the cluster by now. `given`:
    what it gets of what control planes share. `early`: how it gets into an etcd elsewhere is seen to later.
    `others_at`: what one of etcd's own machines must reach; the others must reach the control planes.
    """

    who: Reached
    on: str
    plan: Plan
    api: Api
    others: Others = dataclasses.field(default_factory=Others)
    node: NodeSettings | None = None
    member: bool = False
    given: Mapping[str, bytes] = dataclasses.field(default_factory=dict, repr=False)
    early: bool = False
    others_at: tuple[tuple[str, int], ...] = ()

    @property
    def name(self) -> str:
        """The machine's name in the inventory."""
        return self.who.name

    @property
    def plane(self) -> bool:
        """It is, or becomes, a control plane."""
        return self.node is not None and self.node.role == "control_plane"


@dataclasses.dataclass(frozen=True)
class Shop:
    """Makes tasks for the machines of one description."""

    spec: ClusterSpec
    supply: Supply
    hooks: Hooks
    ignored: frozenset[str] = frozenset()
    skip: frozenset[str] = frozenset()

    def found(self, who: Reached, given: Mapping[str, bytes] = NONE_GIVEN) -> Task:
        """The first control plane of a new cluster, by its own API server.

        `given`: how it gets into an etcd on machines of its own; into the user's it gets by the user's files.
        """
        spec, node = self._settled(who, None)
        plan = planning.founder(spec, node, self.supply.near(who), given)
        whole = self._whole(who, node, plan, (*BEFORE, "before_init"), ("after_init", *AFTER))
        return Task(who, node.name, whole, self._own(who, node), node=node, given=given)

    def etcd(self, who: Reached, etcd: EtcdMachines) -> Task:
        """A member of etcd on its own machine: the first one, or by invitation."""
        towards = etcd_machine.hosts(etcd.invited)[0] if etcd.invited else None
        spec, node = self._settled(who, None, towards)
        plan = planning.etcd(spec, node, self.supply.near(who), etcd.invited)
        whole, member = self._whole(who, node, plan), who.name in etcd.members and etcd.invited is not None
        at = tuple((host, CLIENT_PORT) for host in etcd_machine.hosts(etcd.invited)) if etcd.invited else ()
        return Task(who, node.name, whole, NoApi(), etcd.others, node, member, others_at=at)

    def prepare(self, who: Reached) -> Task:
        """All that needs no cluster."""
        spec, node = self._settled(who, None)
        plan = planning.prepared(spec, node, self.supply.near(who))
        return Task(who, node.name, self._whole(who, node, plan, after=()), NoApi(), node=node, early=True)

    def join(self, who: Reached, cluster: Cluster) -> Task:
        """A node of a cluster that is there, or that it is one still."""
        spec, node = self._settled(who, cluster)
        source = self.supply.near(who)
        wanted = planning.wanted(spec, cluster.facts)
        others, member = cluster.others(node.name), cluster.node_of(who.facts) is not None
        if node.role == "load_balancer":
            member = who.host.stat(balancer_access.KUBECONFIG) is not None
        if node.role != "control_plane":
            plan = _PLANS[node.role](wanted.spec, node, source, wanted)
            return Task(who, node.name, self._whole(who, node, plan), cluster.api, others, node, member)
        lead = who.name == cluster.lead.name
        plan = planning.control_plane(wanted.spec, node, source, wanted, cluster.given, lead)
        whole = self._whole(who, node, plan, after=("after_init", *AFTER) if lead else AFTER)
        api = cluster.api if lead else self._own(who, node)
        return Task(who, node.name, whole, api, others, node, member, cluster.given)

    def _whole(
        self,
        who: Reached,
        node: NodeSettings,
        plan: Plan,
        before: tuple[str, ...] = BEFORE,
        after: tuple[str, ...] = AFTER,
    ) -> Plan:
        """With the bundle and the user's playbooks, and without what is to be skipped."""
        bundle = self.supply.sent(who.facts.arch)
        plan = plan if bundle is None else sent.first(plan, node.name, bundle)
        return self.hooks.around(plan, who, node.name, before, after).without(self.skip)

    def placed(
        self, etcd: EtcdMachines, there: ClusterSpec, joining: Iterable[str] = (), gone: Iterable[str] = ()
    ) -> Shop:
        """The same with the URLs of etcd's members; `joining` are addresses, `gone` are names."""
        return dataclasses.replace(self, spec=etcd.placed(self.spec, there, joining, gone))

    def examine(self, task: Task, cluster: Cluster | None) -> tuple[preflight.Finding, ...]:
        """What speaks against a machine that is to become a node."""
        if "preflight" in self.skip or task.node is None:
            return ()
        if cluster is not None and task.node.role in ("control_plane", "worker"):
            cluster_facts.require_free_name(cluster.api, task.node.name, task.who.facts.machine_id)
        around = _around(task.who, cluster)
        if task.node.role == "etcd":
            around = dataclasses.replace(around or preflight.Surroundings(), control_planes=task.others_at)
        spec, who = planning.spec_of(self.spec, task.who.machine), task.who
        places = shared.places(spec.etcd.external)
        files = {places[name]: data for name, data in task.given.items() if name in places}
        # the workstation's environment is not the machine's
        planned = self._nodes() if cluster is None else 1
        scene = preflight.Scene(
            spec, task.node, who.facts, who.view(), cluster=around, given=files, planned=planned
        )
        found = here.findings(scene, self.ignored)
        return tuple(one for one in found if not (task.early and one.name.startswith("ExternalEtcd")))

    def _nodes(self) -> int:
        inventory = self.hooks.inventory
        return len(inventory.of("control_plane")) + len(inventory.of("worker"))

    def _settled(
        self, who: Reached, cluster: Cluster | None, towards: str | None = None
    ) -> tuple[ClusterSpec, NodeSettings]:
        """A Node that is there keeps its name and address."""
        spec = planning.spec_of(self.spec, who.machine)
        known = cluster.node_of(who.facts) if cluster else None
        if known is not None:
            address = spec.node.advertise_address or next(iter(known.addresses), None)
            there = spec.node.model_copy(update={"name": known.name, "advertise_address": address})
            spec = spec.model_copy(update={"node": there})
        near = _source(who, towards or _towards(cluster))
        return spec, nodes.settings(spec, who.facts, _ROLES[who.machine.role], near)

    def _own(self, who: Reached, node: NodeSettings) -> Api:
        server = endpoint.url(node.address, self.spec.api_server.bind_port)
        return here.api(who.host, (SUPER_ADMIN, ADMIN_CONF), server, dialler=who.host.dial)


def _around(who: Reached, cluster: Cluster | None) -> preflight.Surroundings | None:
    """The cluster as this machine sees it: who asked is this computer, by its own clock."""
    around = cluster.around if cluster else None
    if around is None or around.ahead is None:
        return around
    return dataclasses.replace(around, ahead=around.ahead + who.ahead)


_PLANS = {"worker": planning.worker, "load_balancer": planning.balancer}
_ROLES: Mapping[str, Role] = {
    "control_plane": "control_plane",
    "etcd": "etcd",
    "worker": "worker",
    "lb": "load_balancer",
}
"""What a machine of the inventory is in a plan."""


def _towards(cluster: Cluster | None) -> str | None:
    return cluster.facts.control_planes[0][0] if cluster and cluster.facts.control_planes else None


def _source(who: Reached, towards: str | None) -> str | None:
    """By which of its addresses a machine reaches the others, where the inventory does not say."""
    return who.host.route_source(towards) if towards and not who.machine.address else None
