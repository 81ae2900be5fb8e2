"""`kubeboot etcd snapshot restore`: the cluster as it was then, and etcd on this machine alone."""

from __future__ import annotations

import base64
from pathlib import Path

from kubeboot import errors
from kubeboot.engine.events import Emit, Notice
from kubeboot.fleet.etcd import here as etcd_here
from kubeboot.fleet.etcd import snapshot as etcd_snapshot
from kubeboot.fleet.orders_etcd import EtcdRepairResult, EtcdRestoreOptions
from kubeboot.fleet.run import Others, dry_run, on_this_machine
from kubeboot.host.api import HostView
from kubeboot.host.local import LocalHost, LocalView
from kubeboot.kube.api import NoApi
from kubeboot.pki import pem, table
from kubeboot.plan import etcd_repair as planning
from kubeboot.steps.etcd.local import Local

VERB = "restore"


def restore(wanted: EtcdRestoreOptions, emit: Emit) -> EtcdRepairResult:
    """Nothing is stopped before the snapshot is known to be whole and nobody else would go on without us."""
    path = str(Path(wanted.path).absolute())
    snapshot = etcd_snapshot.status(path)
    see = LocalView(timeout_scale=wanted.timeout_scale)
    mine = etcd_here.local(see)
    require_own(see.read(f"{table.DIRECTORY}/ca.crt"), etcd_snapshot.authority(path))
    api = etcd_here.api(see, mine, wanted.timeout_scale)
    etcd = etcd_here.client(see, api, wanted.timeout_scale)
    unfinished = etcd_here.begun(see, VERB, path)
    others = etcd_here.others(see, mine, etcd_here.members(mine, etcd))
    _require_image(see, mine)
    led = bool(etcd_here.has_leader(etcd, mine))
    if unfinished is None and not led:
        _refuse(see, others)
    note = unfinished or etcd_here.new_note(see, VERB, path, mine)
    plan = planning.restore(see.name, mine, note, f"kubeboot-{snapshot.sha256[:16]}", led=led)
    if wanted.dry_run:
        dry_run(plan, see.name, see, api or NoApi(), emit, others=Others(api, etcd))
        return EtcdRepairResult(0, 0, 0.0, "")
    outcome = on_this_machine(
        plan, LocalHost(see.name, wanted.timeout_scale), api or NoApi(), emit,
        timeout_scale=wanted.timeout_scale, others=Others(api, etcd),
    )  # fmt: skip
    for host, name in others.items():
        emit(Notice("warning", f"{name} ({host}) still has the old data: reset it before it is used"))
    kept = note.kept if note.had_data else ""
    return EtcdRepairResult(
        outcome.changed, outcome.ok, outcome.seconds, kept, tuple(others.values()), mine.control_plane
    )


def require_own(authority: bytes | None, theirs: bytes) -> None:
    """The snapshot (`theirs` in base64) is not another cluster's, whose tokens hold nowhere here."""
    try:
        ours, found = (set(pem.certificates(data)) for data in (authority or b"", base64.b64decode(theirs)))
    except ValueError:
        return
    if ours.isdisjoint(found):
        raise errors.KubebootError(
            "the snapshot is of another cluster: its certificate authority is not this machine's",
            hint="to bring that cluster back here, put its own /etc/kubernetes/pki here first",
            reason="KB_OTHER_CLUSTER",
        )


def _require_image(see: HostView, mine: Local) -> None:
    if mine.image not in {image.name for image in see.images()}:
        raise errors.PreflightFailed(
            f"the image {mine.image}, which holds etcdutl, is not on this machine",
            hint=f"pull it: `ctr -n k8s.io images pull {mine.image}`",
        )


def _refuse(see: HostView, others: dict[str, str]) -> None:
    """With a quorum the others are taken out of etcd first; without one they cannot be told."""
    if names := etcd_here.answering(see, others):
        raise errors.Occupied(
            f"etcd here has no leader, and {names} answers: it would continue with the old data",
            hint="run `sudo kubeboot reset --force` there first, then the same command again",
            reason="KB_ETCD_ANSWERS",
        )
