"""What is to be done on one machine of a fleet: its plan, and what it reaches."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from kubeboot import errors
from kubeboot.config.node import NodeSettings, Role
from kubeboot.config.spec import ClusterSpec
from kubeboot.engine.plan import Plan
from kubeboot.fleet import here
from kubeboot.fleet.orders import ADMIN_CONF
from kubeboot.fleet.reach import Reached
from kubeboot.fleet.run import Others
from kubeboot.fleet.supply import Supply
from kubeboot.fleet.survey import SUPER_ADMIN, Cluster
from kubeboot.kube import facts as cluster_facts
from kubeboot.kube.api import Api, NoApi
from kubeboot.pki import endpoint
from kubeboot.plan import fleet as planning
from kubeboot.plan import node as nodes
from kubeboot.steps import preflight

NOTHING: Mapping[str, str] = {}
"""The workstation's environment is not the machine's."""


@dataclasses.dataclass(frozen=True)
class Task:
    """`on` is the machine's name in the plan. `api` is for the steps there, `others` for the cluster's.

    `node` is None where nothing is made of the machine. `member`: it is a node by now.
    """

    who: Reached
    on: str
    plan: Plan
    api: Api
    others: Others = dataclasses.field(default_factory=Others)
    node: NodeSettings | None = None
    member: bool = False

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
    ignored: frozenset[str] = frozenset()
    skip: frozenset[str] = frozenset()

    def found(self, who: Reached) -> Task:
        """The first control plane of a new cluster, by its own API server."""
        if self.spec.etcd.external is not None:
            raise errors.ConfigInvalid(
                "the first control plane with an etcd elsewhere is not made by `up` yet",
                hint=f"run `kubeboot init` on {who.name}; `up` goes on from there",
                reason="KB_FLEET_ROLE",
            )
        spec, node = self._settled(who, None)
        plan = planning.founder(spec, node, self.supply.near(who), who.facts.cpus)
        return Task(who, node.name, plan.without(self.skip), self._own(who, node), node=node)

    def prepare(self, who: Reached) -> Task:
        """All that needs no cluster."""
        spec, node = self._settled(who, None)
        plan = planning.prepared(spec, node, self.supply.near(who), who.facts.cpus)
        return Task(who, node.name, plan.without(self.skip), NoApi(), node=node)

    def join(self, who: Reached, cluster: Cluster) -> Task:
        """A node of a cluster that is there, or that it is one still."""
        spec, node = self._settled(who, cluster)
        source, cpus = self.supply.near(who), who.facts.cpus
        wanted = planning.wanted(spec, cluster.facts)
        others, member = cluster.others(node.name), cluster.node_of(who.facts) is not None
        if node.role == "worker":
            plan = planning.worker(wanted.spec, node, source, cpus, wanted)
            return Task(who, node.name, plan.without(self.skip), cluster.api, others, node, member)
        lead = who.name == cluster.lead.name
        plan = planning.control_plane(wanted.spec, node, source, cpus, wanted, cluster.given, lead)
        return Task(who, node.name, plan.without(self.skip), self._own(who, node), others, node, member)

    def examine(self, task: Task, cluster: Cluster | None) -> tuple[preflight.Finding, ...]:
        """What speaks against a machine that is to become a node."""
        if "preflight" in self.skip or task.node is None:
            return ()
        if cluster is not None:
            cluster_facts.require_free_name(cluster.api, task.node.name, task.who.facts.machine_id)
        around = cluster.around if cluster else None
        spec, who = planning.spec_of(self.spec, task.who.machine), task.who
        return here.findings(spec, task.node, who.facts, who.host, self.ignored, around, environ=NOTHING)

    def _settled(self, who: Reached, cluster: Cluster | None) -> tuple[ClusterSpec, NodeSettings]:
        """A Node that is there keeps its name and address."""
        spec = planning.spec_of(self.spec, who.machine)
        known = cluster.node_of(who.facts) if cluster else None
        if known is not None:
            address = spec.node.advertise_address or next(iter(known.addresses), None)
            there = spec.node.model_copy(update={"name": known.name, "advertise_address": address})
            spec = spec.model_copy(update={"node": there})
        role: Role = "control_plane" if who.machine.role == "control_plane" else "worker"
        return spec, nodes.settings(spec, who.facts, role, _towards(who, cluster))

    def _own(self, who: Reached, node: NodeSettings) -> Api:
        server = endpoint.url(node.address, self.spec.api_server.bind_port)
        return here.api(who.host, (SUPER_ADMIN, ADMIN_CONF), server, dialler=who.host.dial)


def _towards(who: Reached, cluster: Cluster | None) -> str | None:
    """By which of its addresses a machine reaches the cluster, where the inventory does not say."""
    if cluster is None or who.machine.address or not cluster.facts.control_planes:
        return None
    return who.host.route_source(cluster.facts.control_planes[0][0])
