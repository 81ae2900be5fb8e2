"""`kubeboot etcd recover`: the quorum is lost for good, and this machine goes on alone."""

from __future__ import annotations

from kubeboot import errors
from kubeboot.engine.events import Emit
from kubeboot.fleet import shared
from kubeboot.fleet.etcd import here as etcd_here
from kubeboot.fleet.orders_etcd import EtcdRecoverOptions, EtcdRepairResult
from kubeboot.fleet.run import Others, dry_run, on_this_machine
from kubeboot.host.api import HostView
from kubeboot.host.local import LocalHost, LocalView
from kubeboot.kube.api import ApiView, NoApi
from kubeboot.kube.etcd_client import Client
from kubeboot.plan import etcd_repair as planning
from kubeboot.steps.etcd.local import Local

VERB = "recover"
_CONTROL_PLANE = "node-role.kubernetes.io/control-plane"


def recover(wanted: EtcdRecoverOptions, emit: Emit) -> EtcdRepairResult:
    """Refused where etcd has its quorum, or where another member is there to make one."""
    see = LocalView(timeout_scale=wanted.timeout_scale)
    mine = etcd_here.local(see)
    api = etcd_here.api(see, mine, wanted.timeout_scale)
    etcd = etcd_here.client(see, api, wanted.timeout_scale)
    unfinished = etcd_here.begun(see, VERB, "")
    others = etcd_here.others(see, mine, etcd_here.members(mine, etcd))
    if unfinished is None:
        _refuse(see, mine, etcd, others)
    note = unfinished or etcd_here.new_note(see, VERB, "", mine)
    authority = shared.on_disk(see).get("ca.crt", b"")
    plan = planning.recover(see.name, mine, note, tuple(others), authority)
    if wanted.dry_run:
        dry_run(plan, see.name, see, api or NoApi(), emit, others=Others(api, etcd))
        return EtcdRepairResult(0, 0, 0.0, "", tuple(others.values()))
    outcome = on_this_machine(
        plan, LocalHost(see.name, wanted.timeout_scale), api or NoApi(), emit,
        timeout_scale=wanted.timeout_scale, others=Others(api, etcd),
    )  # fmt: skip
    lost = _lost(api, mine.name) if api is not None else ()
    return EtcdRepairResult(outcome.changed, outcome.ok, outcome.seconds, note.kept, lost, mine.control_plane)


def _refuse(see: HostView, mine: Local, etcd: Client, others: dict[str, str]) -> None:
    if see.stat(f"{mine.data_dir}/member") is None:
        raise errors.PreflightFailed(
            f"there is no etcd data in {mine.data_dir}",
            hint="run this on another control plane, or restore: `kubeboot etcd snapshot restore FILE`",
            reason="KB_NO_ETCD",
        )
    forget = "node remove" if mine.control_plane else "etcd remove"
    if etcd_here.has_leader(etcd, mine):
        raise errors.Occupied(
            "etcd has its quorum: there is nothing to recover",
            hint=f"see `kubeboot etcd status`; `kubeboot {forget} NAME` forgets a machine that is lost",
            reason="KB_ETCD_HAS_QUORUM",
        )
    if names := etcd_here.answering(see, others):
        raise errors.Occupied(
            f"{names} answers on etcd's ports: the quorum may come back by itself",
            hint="repair that machine; if it is given up, `sudo kubeboot reset --force` there, or stop it",
            reason="KB_ETCD_ANSWERS",
        )
    if not others:
        raise errors.PreflightFailed(
            "etcd has no other member, so no quorum was lost: it is down for another reason",
            hint=f"see /var/log/pods/kube-system_etcd-{mine.name}_*, and `kubeboot doctor`",
            reason="KB_ETCD_ALONE",
        )


def _lost(api: ApiView, own: str) -> tuple[str, ...]:
    """The control planes that the cluster still believes in."""
    nodes = api.list("v1", "Node")
    return tuple(
        str(node["metadata"]["name"])
        for node in nodes
        if _CONTROL_PLANE in node["metadata"].get("labels", {}) and node["metadata"]["name"] != own
    )
