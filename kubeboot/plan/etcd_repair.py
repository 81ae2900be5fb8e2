"""`kubeboot etcd snapshot restore` and `kubeboot etcd recover`: this machine's etcd, alone, and running."""

from __future__ import annotations

from kubeboot.engine.plan import Plan
from kubeboot.engine.step import CLUSTER, Step
from kubeboot.host.api import EtcdTool
from kubeboot.steps import basic, control_plane, etcd_data, etcd_repair, sweep
from kubeboot.steps.etcd_local import ETCD, NOTE, PODS, WORK, Local, Note


def restore(host: str, mine: Local, note: Note, token: str) -> Plan:
    """The others let go; the control plane stopped; new data; the control plane started."""
    tool = EtcdTool(mine.image, mine.name, mine.peer_url, token)
    steps: tuple[Step, ...] = (
        etcd_repair.LetGo(
            id="restore/others", title="Take the other machines out of etcd", on=CLUSTER, address=mine.address
        ),
        _noted(host, note, f"{CLUSTER}:restore/others"),
        _stopped(host, note),
        etcd_data.RestoreData(
            id="restore/data", title="Make etcd's data from the snapshot", on=host,
            after=frozenset({"restore/stopped"}),
            data_dir=mine.data_dir, snapshot=note.source, note=note, tool=tool, cost=3.0,
        ),
        *_started(host, mine, note, "restore/data"),
        _finished(host, note, "restore/control-plane"),
    )  # fmt: skip
    title = f"{host}: take etcd back to {note.source}"
    return Plan("etcd-snapshot-restore", title, steps, {host: "control_plane"})


def recover(host: str, mine: Local, note: Note, gone: tuple[str, ...], authority: bytes) -> Plan:
    """The control plane stopped; a copy of the data; etcd alone; the control plane started."""
    forced = etcd_repair.Alone(host, mine.address, forced=True)
    steps: tuple[Step, ...] = (
        _noted(host, note),
        _stopped(host, note),
        etcd_data.KeepCopy(
            id="recover/copy", title="Copy etcd's data", on=host, after=frozenset({"recover/stopped"}),
            data_dir=mine.data_dir, kept=note.kept,
        ),
        etcd_repair.ForceAlone(
            id="recover/alone", title="Make this machine etcd's only member", on=host,
            after=frozenset({"recover/copy"}), condition=forced, settle=forced, cost=5.0,
        ),
        *_started(host, mine, note, "recover/alone"),
        etcd_repair.EndpointHere(
            id="recover/endpoint", title="Lead to this control plane", on=CLUSTER,
            after=frozenset({f"{host}:recover/control-plane"}),
            gone=gone, to=mine.address, authority=authority,
        ),
        _finished(host, note, f"{CLUSTER}:recover/endpoint"),
    )  # fmt: skip
    return Plan(
        "etcd-recover", f"{host}: etcd goes on with this machine alone", steps, {host: "control_plane"}
    )


def _noted(host: str, note: Note, *after: str) -> Step:
    return basic.EnsureFile(
        id=f"{note.verb}/note",
        title="Note what was begun",
        on=host,
        after=frozenset(after),
        path=NOTE,
        data=note.encode(),
        mode=0o600,
    )


def _stopped(host: str, note: Note) -> Step:
    return etcd_repair.PutAway(
        id=f"{note.verb}/stopped",
        title="Stop the control plane here",
        on=host,
        after=frozenset({f"{note.verb}/note"}),
        settle=etcd_repair.NoneRuns(),
        cost=10.0,
    )


def _started(host: str, mine: Local, note: Note, after: str) -> tuple[Step, ...]:
    etcd = etcd_repair.PutBack(
        id=f"{note.verb}/etcd",
        title="Start etcd",
        on=host,
        after=frozenset({after}),
        names=(ETCD,),
        settle=etcd_repair.Alone(host, mine.address),
        cost=5.0,
    )
    rest = etcd_repair.PutBack(
        id=f"{note.verb}/control-plane",
        title="Start the control plane",
        on=host,
        after=frozenset({etcd.id}),
        names=tuple(name for name in reversed(PODS) if name != ETCD),
        settle=control_plane.ApiServerReady(host),
        cost=10.0,
    )
    return (etcd, rest)


def _finished(host: str, note: Note, after: str) -> Step:
    return sweep.Gone(
        id=f"{note.verb}/finished",
        title="Forget that it was begun",
        on=host,
        after=frozenset({after}),
        path=WORK,
    )
