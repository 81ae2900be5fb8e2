"""`kubeboot etcd snapshot restore` and `kubeboot etcd recover`: this machine's etcd, alone, and running.

On a machine of etcd's own nothing else is stopped, and there is no API that could be told.
"""

from __future__ import annotations

from kubeboot.engine.plan import Plan
from kubeboot.engine.step import CLUSTER, Step
from kubeboot.host.model import EtcdTool
from kubeboot.steps import api_server_ready, basic, sweep
from kubeboot.steps.etcd import data as etcd_data
from kubeboot.steps.etcd import repair as etcd_repair
from kubeboot.steps.etcd.local import ETCD, NOTE, PODS, WORK, Local, Note


def restore(host: str, mine: Local, note: Note, token: str, *, led: bool) -> Plan:
    """The others let go; etcd and the control plane stopped; new data; all of it started.

    `led`: etcd has a leader, so the others can be told.
    """
    tool = EtcdTool(mine.image, mine.name, mine.peer_url, token)
    steps: tuple[Step, ...] = (
        etcd_repair.LetGo(
            id="restore/others", title="Take the other machines out of etcd", on=CLUSTER,
            address=mine.address, led=led,
        ),
        _noted(host, note, f"{CLUSTER}:restore/others"),
        _stopped(host, mine, note),
        etcd_data.RestoreData(
            id="restore/data", title="Make etcd's data from the snapshot", on=host,
            after=frozenset({"restore/stopped"}),
            data_dir=mine.data_dir, snapshot=note.source, note=note, tool=tool, cost=3.0,
        ),
        *_started(host, mine, note, "restore/data"),
    )  # fmt: skip
    title = f"{host}: take etcd back to {note.source}"
    return Plan("etcd-snapshot-restore", title, _finished(host, note, steps), {host: _role(mine)})


def recover(host: str, mine: Local, note: Note, gone: tuple[str, ...], authority: bytes = b"") -> Plan:
    """etcd and the control plane stopped; a copy of the data; etcd alone; all of it started.

    `gone`, `authority`: the machines that the cluster may be led to, and the cluster's own authority.
    """
    forced = etcd_repair.Alone(host, mine.address, forced=True)
    steps: tuple[Step, ...] = (
        _noted(host, note),
        _stopped(host, mine, note),
        etcd_data.KeepCopy(
            id="recover/copy", title="Copy etcd's data", on=host, after=frozenset({"recover/stopped"}),
            data_dir=mine.data_dir, kept=note.kept,
        ),
        etcd_repair.ForceAlone(
            id="recover/alone", title="Make this machine etcd's only member", on=host,
            after=frozenset({"recover/copy"}), condition=forced, settle=forced, cost=5.0,
        ),
        *_started(host, mine, note, "recover/alone"),
        *(_led(host, mine, gone, authority) if mine.control_plane else ()),
    )  # fmt: skip
    title = f"{host}: etcd continues on this machine alone"
    return Plan("etcd-recover", title, _finished(host, note, steps), {host: _role(mine)})


def _role(mine: Local) -> str:
    return "control_plane" if mine.control_plane else "etcd"


def _led(host: str, mine: Local, gone: tuple[str, ...], authority: bytes) -> tuple[Step, ...]:
    endpoint = etcd_repair.EndpointHere(
        id="recover/endpoint",
        title="Point the endpoint to this control plane",
        on=CLUSTER,
        after=frozenset({f"{host}:recover/control-plane"}),
        gone=gone,
        to=mine.address,
        authority=authority,
    )
    return (endpoint,)


def _noted(host: str, note: Note, *after: str) -> Step:
    return basic.EnsureFile(
        id=f"{note.verb}/note",
        title="Record what was begun",
        on=host,
        after=frozenset(after),
        path=NOTE,
        data=note.encode(),
        mode=0o600,
    )


def _stopped(host: str, mine: Local, note: Note) -> Step:
    return etcd_repair.PutAway(
        id=f"{note.verb}/stopped",
        title="Stop the control plane here" if mine.control_plane else "Stop etcd here",
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
    if not mine.control_plane:
        return (etcd,)
    rest = etcd_repair.PutBack(
        id=f"{note.verb}/control-plane",
        title="Start the control plane",
        on=host,
        after=frozenset({etcd.id}),
        names=tuple(name for name in reversed(PODS) if name != ETCD),
        settle=api_server_ready.ApiServerReady(host),
        cost=10.0,
    )
    return (etcd, rest)


def _finished(host: str, note: Note, steps: tuple[Step, ...]) -> tuple[Step, ...]:
    """Last of all."""
    last = steps[-1]
    finished = sweep.Gone(
        id=f"{note.verb}/finished",
        title="Remove that record",
        on=host,
        after=frozenset({f"{last.on}:{last.id}"}),
        path=WORK,
    )
    return (*steps, finished)
