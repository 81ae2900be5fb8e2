"""`kubeboot node remove` on a control plane that stays."""

from __future__ import annotations

from kubeboot import errors
from kubeboot.engine.events import Notice
from kubeboot.fleet import access, leaving, shared
from kubeboot.fleet.orders import NodeRemoveOptions, NodeRemoveResult
from kubeboot.fleet.run import Emit, Others, dry_run, on_this_machine
from kubeboot.host.local import LocalHost, LocalView
from kubeboot.kube.api import Api, Object
from kubeboot.pki import sealed
from kubeboot.plan import remove as planning
from kubeboot.steps import conditions, load_balancer


def remove(wanted: NodeRemoveOptions, emit: Emit) -> NodeRemoveResult:
    """Take a machine out of etcd and the API; whatever runs on it is its own `kubeboot reset`'s affair."""
    see = LocalView()
    given = shared.on_disk(see)
    mine = leaving.addresses(see)
    if len(given) < len(sealed.FILES):
        raise errors.PreflightFailed(
            "a machine is removed from a control plane, and this is none", hint="run this on a control plane"
        )
    api: Api = access.administrator(wanted.kubeconfig)
    found = api.get("v1", "Node", wanted.node)
    addresses = _addresses(found)
    _refuse(wanted, found, set(addresses) & set(mine))
    known = [host for host, _ in load_balancer.known(see)]
    etcd = shared.members(given, [*mine, *known], api, see.name)
    if found is None and all(member.name != wanted.node for member in etcd.members()):
        emit(Notice("info", f"there is no Node and no member of etcd called {wanted.node}"))
    stays = next((host for host in known if host in mine), mine[0])
    plan = planning.plan(see.name, wanted.node, addresses, stays, given["ca.crt"])
    if wanted.dry_run:
        dry_run(plan, see.name, see, api, emit, others=Others(api, etcd))
        return NodeRemoveResult(0, 0, 0.0, 0)
    outcome = on_this_machine(plan, see.name, LocalHost(see.name), api, emit, others=Others(api, etcd))
    voters = sum(not member.learner for member in etcd.members())
    if voters % 2 == 0:
        emit(Notice("warning", f"etcd has {voters} members and bears the loss of {(voters - 1) // 2}"))
    return NodeRemoveResult(outcome.changed, outcome.ok, outcome.seconds, voters)


def _refuse(wanted: NodeRemoveOptions, found: Object | None, own: set[str]) -> None:
    if own:
        raise errors.UsageProblem(
            f"{wanted.node} is this machine", hint="`kubeboot reset` takes it out of the cluster"
        )
    if found is not None and conditions.is_ready(found) and not wanted.force:
        raise errors.Occupied(
            f"{wanted.node} is Ready: it is not gone",
            hint="`kubeboot reset` on it is the way; --force if it is gone and the cluster has not noticed",
            reason="KB_NODE_READY",
        )


def _addresses(node: Object | None) -> tuple[str, ...]:
    listed = (node or {}).get("status", {}).get("addresses") or ()
    return tuple(str(entry["address"]) for entry in listed if entry.get("type") == "InternalIP")
