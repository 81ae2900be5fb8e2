"""`kubeboot node remove` on a control plane that stays."""

from __future__ import annotations

from kubeboot import errors
from kubeboot.engine.events import Notice
from kubeboot.engine.plan import Plan
from kubeboot.engine.step import Blocked, View
from kubeboot.engine.values import Values
from kubeboot.fleet import access, leaving, shared, voters
from kubeboot.fleet.orders import NodeRemoveOptions, NodeRemoveResult
from kubeboot.fleet.run import Emit, Others, dry_run, on_this_machine
from kubeboot.host.local import LocalHost, LocalView
from kubeboot.kube import facts
from kubeboot.kube.api import Api, Object
from kubeboot.kube.etcd import Etcd, NoEtcd
from kubeboot.plan import remove as planning
from kubeboot.steps import conditions, external_etcd


def remove(wanted: NodeRemoveOptions, emit: Emit) -> NodeRemoveResult:
    """Take a machine out of etcd and the API; whatever runs on it is its own `kubeboot reset`'s affair."""
    see = LocalView()
    external = external_etcd.found(see)
    given = shared.on_disk(see, external)
    mine = leaving.addresses(see)
    if not shared.is_complete(given, external):
        raise errors.PreflightFailed(
            "a machine is removed from a control plane, and this is none", hint="run this on a control plane"
        )
    api: Api = access.administrator(wanted.kubeconfig)
    found = api.get("v1", "Node", wanted.node)
    addresses = _addresses(found)
    if set(addresses) & set(mine):
        raise errors.UsageProblem(
            f"{wanted.node} is this machine", hint="`kubeboot reset` takes it out of the cluster"
        )
    known = [host for host, _ in facts.control_planes(api)]
    stacked = external is None
    tell = lambda text: emit(Notice("info", text))  # noqa: E731
    etcd: Etcd = shared.members(given, [*mine, *known], api, see.name, tell=tell) if stacked else NoEtcd()
    if found is None and all(member.name != wanted.node for member in (etcd.members() if stacked else ())):
        emit(Notice("info", f"there is no Node and no member of etcd called {wanted.node}"))
    stays = next((host for host in known if host in mine), mine[0])
    within = None if wanted.force else wanted.drain_timeout.total_seconds()
    plan = planning.plan(see.name, wanted.node, addresses, stays, given["ca.crt"], within, stacked)
    if wanted.dry_run:
        dry_run(plan, see.name, see, api, emit, others=Others(api, etcd))
        return NodeRemoveResult(0, 0, 0.0, 0)
    _refuse(plan, View(see, api, etcd))
    outcome = on_this_machine(plan, see.name, LocalHost(see.name), api, emit, others=Others(api, etcd))
    left = voters.tell(etcd, emit) if stacked else 0
    if found is not None and conditions.is_ready(found):
        emit(Notice("info", f"`kubeboot reset` on {wanted.node} takes kubeboot off that machine"))
    return NodeRemoveResult(outcome.changed, outcome.ok, outcome.seconds, left)


def _refuse(plan: Plan, see: View) -> None:
    """What etcd cannot bear is said before anything is drained."""
    for step in plan.steps:
        found = step.check(see, Values()) if step.id == "remove/etcd" else None
        if isinstance(found, Blocked):
            raise errors.KubebootError(found.message, hint=found.hint, reason=found.reason)


def _addresses(node: Object | None) -> tuple[str, ...]:
    listed = (node or {}).get("status", {}).get("addresses") or ()
    return tuple(str(entry["address"]) for entry in listed if entry.get("type") == "InternalIP")
