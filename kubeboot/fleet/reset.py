"""`kubeboot reset` on this machine."""

from __future__ import annotations

from kubeboot import errors
from kubeboot.engine import journal
from kubeboot.engine.events import Emit, Notice
from kubeboot.engine.tally import Outcome
from kubeboot.fleet import leaving
from kubeboot.fleet.orders import ResetOptions, ResetResult
from kubeboot.fleet.run import attempt, dry_run
from kubeboot.host.api import HostView
from kubeboot.host.local import LocalHost, LocalView
from kubeboot.kube.api import NoApi
from kubeboot.plan import reset as planning


def reset(wanted: ResetOptions, emit: Emit) -> ResetResult:
    """Take kubeboot off this machine; twice is as good as once.

    A control plane leaves etcd first, and stays as it is where etcd needs it, but by `force`.
    """
    see = LocalView(timeout_scale=wanted.timeout_scale)
    undo_list = journal.undo_list(see)
    left = _leaving(see, emit, wanted.force) if undo_list else leaving.Leaving()
    plan = planning.plan(see.name, undo_list, planning.touched(see), left.steps, wanted.force)
    if wanted.dry_run:
        dry_run(plan, see.name, see, NoApi(), emit, others=left.others)
        return ResetResult(0, 0, 0.0)
    if see.facts().uid != 0:
        raise errors.PreflightFailed("reset needs root", hint="run `sudo kubeboot reset`")
    _tell_of_node(see, emit)
    host = LocalHost(see.name, wanted.timeout_scale)
    outcome = attempt(plan, host, NoApi(), emit, timeout_scale=wanted.timeout_scale, others=left.others)
    for failure in outcome.failures:
        if failure.step == "leave/etcd" and not wanted.force:
            raise failure
    return ResetResult(outcome.changed, outcome.ok, outcome.seconds, _left(outcome))


def _leaving(see: HostView, emit: Emit, force: bool) -> leaving.Leaving:
    """What the cluster must be told first. By `force` a machine goes also where it cannot: damaged keys."""
    try:
        return leaving.find(see)
    except errors.KubebootError as error:
        if not force:
            raise
        later = f"on another control plane, `kubeboot node remove {see.name}` does that"
        emit(Notice("warning", f"{error.message}: the cluster is not told; {later}"))
        return leaving.Leaving()


def _tell_of_node(see: HostView, emit: Emit) -> None:
    """A worker's kubelet may not delete its own Node."""
    worker = see.stat("/etc/kubernetes/kubelet.conf") and not see.stat("/etc/kubernetes/pki/ca.key")
    if worker:
        told = f"the Node stays; `kubeboot node remove {see.name}` on a control plane deletes it"
        emit(Notice("info", told))


def _left(outcome: Outcome) -> tuple[str, ...]:
    if outcome.interrupted:
        outcome.raise_for_failure()
    return tuple(failure.message for failure in outcome.failures)
