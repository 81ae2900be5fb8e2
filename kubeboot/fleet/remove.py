"""`kubeboot node remove` on a control plane that stays."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from kubeboot import errors
from kubeboot.engine.events import Emit, Notice
from kubeboot.engine.plan import Plan
from kubeboot.engine.step import Blocked, View
from kubeboot.engine.values import Values
from kubeboot.fleet import access, leaving, shared, voters
from kubeboot.fleet.etcd import here as etcd_here
from kubeboot.fleet.gone import Gone, who
from kubeboot.fleet.orders import ADMIN_CONF
from kubeboot.fleet.orders_cluster import NodeRemoveOptions, NodeRemoveResult
from kubeboot.fleet.run import Others, dry_run, on_this_machine
from kubeboot.host.api import HostView
from kubeboot.host.local import LocalHost, LocalView
from kubeboot.kube import facts
from kubeboot.kube.api import Api
from kubeboot.kube.etcd import Etcd, NoEtcd
from kubeboot.pki import endpoint
from kubeboot.plan import remove as planning
from kubeboot.steps import conditions
from kubeboot.steps.etcd import external as external_etcd
from kubeboot.steps.etcd import local as etcd_local


def remove(wanted: NodeRemoveOptions, emit: Emit) -> NodeRemoveResult:
    """Take a machine out of etcd and the API; whatever runs on it is its own `kubeboot reset`'s affair."""
    cluster = _cluster(wanted.kubeconfig, emit)
    see, api, etcd = cluster.see, cluster.api, cluster.etcd
    gone = who(wanted.node, api, etcd.members() if cluster.stacked else ())
    _require_another(gone, cluster.mine)
    if not gone.known:
        emit(Notice("info", f"there is no Node and no member of etcd called {wanted.node}"))
    plan, others = _plan(wanted, cluster, gone), Others(api, etcd)
    if wanted.dry_run:
        dry_run(plan, see.name, see, api, emit, others=others)
        return NodeRemoveResult(0, 0, 0.0, 0)
    _refuse(plan, View(see, api, etcd))
    outcome = on_this_machine(plan, LocalHost(see.name), api, emit, others=others)
    left = voters.tell(etcd, emit) if cluster.stacked else 0
    if gone.node is not None and conditions.is_ready(gone.node):
        emit(Notice("info", f"`kubeboot reset` on {gone.name} takes kubeboot off that machine"))
    return NodeRemoveResult(outcome.changed, outcome.ok, outcome.seconds, left)


@dataclasses.dataclass(frozen=True)
class _Cluster:
    """The cluster, as this control plane reaches it."""

    see: LocalView
    mine: tuple[str, ...]
    authority: bytes
    api: Api
    etcd: Etcd
    control_planes: tuple[str, ...]
    stacked: bool


def _cluster(kubeconfig: str, emit: Emit) -> _Cluster:
    see = LocalView()
    external = external_etcd.found(see)
    given, mine = shared.on_disk(see, external), leaving.addresses(see)
    if not shared.is_complete(given, external):
        raise errors.PreflightFailed(
            "a node is removed from a control plane, and this machine is not one",
            hint="run this on a control plane",
        )
    api, stacked = nearest(see, kubeconfig), external is None
    try:
        known = tuple(host for host, _ in facts.control_planes(api))
    except errors.KubebootError as error:
        raise (_told(see, given, error) if stacked else error) from error
    tell = lambda text: emit(Notice("info", text))  # noqa: E731
    etcd: Etcd = shared.members(given, [*mine, *known], api, see.name, tell=tell) if stacked else NoEtcd()
    return _Cluster(see, mine, given["ca.crt"], api, etcd, known, stacked)


def _require_another(gone: Gone, mine: tuple[str, ...]) -> None:
    if set(gone.addresses) & set(mine):
        raise errors.UsageProblem(
            f"{gone.name} is this machine", hint="`kubeboot reset` takes it out of the cluster"
        )


def _plan(wanted: NodeRemoveOptions, cluster: _Cluster, gone: Gone) -> Plan:
    mine = cluster.mine
    stays = next((host for host in cluster.control_planes if host in mine), mine[0])
    within = None if wanted.force else wanted.drain_timeout.total_seconds()
    here, authority = cluster.see.name, cluster.authority
    going = planning.Going(gone.name, gone.addresses, stays, authority, cluster.stacked)
    return planning.plan(here, going, within)


def nearest(see: HostView, kubeconfig: str) -> Api:
    """This machine's own API server while it is ready: the endpoint may be a name of one that is gone.

    What someone else's kubeconfig leads to is used as it is.
    """
    data = etcd_local.manifest(see, "kube-apiserver") if kubeconfig == ADMIN_CONF else None
    flags = etcd_local.arguments(data) if data is not None else {}
    if "advertise-address" in flags:
        server = endpoint.url(flags["advertise-address"], int(flags.get("secure-port", "6443")))
        own = access.administrator(kubeconfig, server)
        if own.ready() is None:
            return own
    return access.administrator(kubeconfig)


def _told(see: HostView, given: Mapping[str, bytes], error: errors.KubebootError) -> errors.KubebootError:
    """An API that does not answer, with the reason where etcd's quorum is lost."""
    mine = etcd_local.find(see)
    if mine is None or etcd_here.has_leader(shared.members(given, (mine.address,)), mine) is not False:
        return error
    return errors.Unreachable(
        "etcd has lost its quorum: the cluster accepts no changes",
        hint="start the other control planes again; if they are gone for good, `sudo kubeboot etcd recover`"
        " on one that is left, then the same command again",
        reason="KB_ETCD_UNAVAILABLE",
    )


def _refuse(plan: Plan, see: View) -> None:
    """What etcd cannot bear is said before anything is drained."""
    for step in plan.steps:
        found = step.check(see, Values()) if step.id == "remove/etcd" else None
        if isinstance(found, Blocked):
            raise errors.KubebootError(found.message, hint=found.hint, reason=found.reason)
