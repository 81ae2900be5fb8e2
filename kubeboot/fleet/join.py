"""`kubeboot join` on this machine."""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Mapping

from kubeboot import errors
from kubeboot.artifacts import sources
from kubeboot.config import balancing
from kubeboot.config.node import NodeSettings, Role
from kubeboot.config.spec import ClusterSpec
from kubeboot.engine.events import Emit, Notice
from kubeboot.engine.plan import Plan
from kubeboot.fleet import here, shared
from kubeboot.fleet import voters as voters_of
from kubeboot.fleet.orders import JoinOptions, JoinResult
from kubeboot.fleet.run import Others, dry_run, on_this_machine
from kubeboot.host.facts import Facts
from kubeboot.host.local import LocalHost, LocalView
from kubeboot.kube import client, discovery, facts, surroundings
from kubeboot.kube.api import Api
from kubeboot.pki import endpoint, table, tokens
from kubeboot.plan import join as planning
from kubeboot.plan import join_balancer as balancers
from kubeboot.plan import join_control_plane as control_planes
from kubeboot.plan import node as nodes
from kubeboot.steps import preflight


def join(wanted: JoinOptions, emit: Emit) -> JoinResult:
    """Make this machine a node; it is not touched before the cluster is known to be the right one."""
    sources.require(wanted.spec.artifacts)
    api, authority = discovery.discover(_search(wanted))
    scene = _scene(wanted, api, authority)
    spec, node, cluster = scene.spec, scene.node, scene.cluster
    given: Mapping[str, bytes] = {}
    if _leads(wanted):
        given = shared.obtain(api, scene.see, wanted.certificate_key, authority, spec.etcd.external)
    source = here.source(spec, scene.machine.arch, emit, dry=wanted.dry_run)
    if "preflight" not in wanted.skip:
        here.judge(_findings(scene, given), emit, dry=wanted.dry_run)
    if not _leads(wanted):
        made = _PLANS[wanted.role](spec, node, source, cluster)
        return _run(scene, made, api, Others(), emit)
    heard = surroundings.heard(cluster, scene.around.peers)
    plan = control_planes.plan(spec, node, source, heard, given)
    admin_conf = (table.KUBECONFIGS + "/admin.conf",)
    own = here.api(scene.see, admin_conf, _own_server(spec, node), wanted.timeout_scale)
    return _run(scene, plan, own, _others(scene, given, emit), emit)


@dataclasses.dataclass(frozen=True)
class _Scene:
    """What a join knows before its plan."""

    wanted: JoinOptions
    spec: ClusterSpec
    node: NodeSettings
    see: LocalView
    machine: Facts
    cluster: facts.ClusterFacts
    api: client.Client

    @functools.cached_property
    def around(self) -> preflight.Surroundings:
        """The cluster, asked once."""
        return here.around(self.api, self.cluster)


_PLANS = {"worker": planning.plan, "load_balancer": balancers.plan}


def _leads(wanted: JoinOptions) -> bool:
    return wanted.role == "control_plane"


def _require_use(spec: ClusterSpec, role: Role) -> None:
    """Only a cluster that is made for them knows balancers of their own."""
    if role == "load_balancer" and not balancing.runs_haproxy(spec, role):
        raise errors.UsageProblem(
            f"this cluster cannot use --role lb: its loadBalancer.mode is `{spec.load_balancer.mode}`",
            hint="it is chosen when the cluster is made: `kubeboot init --load-balancer machines`",
            reason="KB_ROLE",
        )


def _search(wanted: JoinOptions) -> discovery.Discovery:
    address, token = endpoint.join(wanted.host, wanted.port), tokens.parse(wanted.token.reveal())
    return discovery.Discovery(address, token, wanted.ca_pins, timeout_scale=wanted.timeout_scale)


def _scene(wanted: JoinOptions, api: client.Client, authority: bytes) -> _Scene:
    cluster = facts.read(api, authority)
    see = LocalView(timeout_scale=wanted.timeout_scale)
    machine = see.facts()
    spec = planning.cluster_spec(wanted.spec, cluster)
    _require_use(spec, wanted.role)
    source = see.route_source(wanted.host)
    node = nodes.settings(spec, machine, wanted.role, source, wanted.timeout_scale)
    if wanted.role != "load_balancer":
        facts.require_free_name(api, node.name, machine.machine_id)
    return _Scene(wanted, spec, node, see, machine, cluster, api)


def _findings(scene: _Scene, given: Mapping[str, bytes]) -> tuple[preflight.Finding, ...]:
    """Everything that preflight says of this machine, which is to get the files that are given."""
    places = shared.places(scene.spec.etcd.external)
    files = {path: given[name] for name, path in places.items() if name in given}
    spec, node, machine, see = scene.spec, scene.node, scene.machine, scene.see
    found = preflight.Scene(spec, node, machine, see, environ=os.environ, cluster=scene.around, given=files)
    return here.findings(found, scene.wanted.ignore_preflight)


def _own_server(spec: ClusterSpec, node: NodeSettings) -> str:
    return endpoint.url(node.address, spec.api_server.bind_port)


def _others(scene: _Scene, given: Mapping[str, bytes], emit: Emit) -> Others:
    """The API by the address that discovery went to, and etcd on the control planes that there are."""
    scale = scene.wanted.timeout_scale
    server = f"https://{endpoint.join(scene.wanted.host, scene.wanted.port)}"
    admin = shared.administrator(given, server, scale, known=True)
    if scene.spec.etcd.external is not None:
        return Others(admin)
    addresses = [address for address, _ in scene.cluster.control_planes]
    etcd = shared.members(
        given, addresses, admin, scene.node.name, scale, tell=lambda text: emit(Notice("info", text))
    )
    return Others(admin, etcd)


def _run(scene: _Scene, whole: Plan, api: Api, others: Others, emit: Emit) -> JoinResult:
    wanted, name, scale = scene.wanted, scene.node.name, scene.wanted.timeout_scale
    plan = whole.without(wanted.skip)
    if wanted.dry_run:
        dry_run(plan, name, scene.see, api, emit, others=others)
        return JoinResult(0, 0, 0.0, name, scene.spec.cluster_name, role=wanted.role)
    outcome = on_this_machine(plan, LocalHost(name, scale), api, emit, timeout_scale=scale, others=others)
    stacked = _leads(wanted) and scene.spec.etcd.external is None
    voters = voters_of.tell(others.etcd, emit, ": join one more") if stacked else 0
    cluster = scene.spec.cluster_name
    return JoinResult(outcome.changed, outcome.ok, outcome.seconds, name, cluster, voters, wanted.role)
