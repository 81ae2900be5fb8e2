"""What restoring and recovering etcd are made of. Each step can be killed anywhere and done again.

The manifests are put away, not changed: what is started at the end is byte for byte what ran before.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from kubeboot import errors
from kubeboot.engine.step import Check, Drift, Impact, Later, Ok, Step, Target, View
from kubeboot.engine.undo import Undo
from kubeboot.engine.values import Values
from kubeboot.host.api import HostView
from kubeboot.kube import etcd as members
from kubeboot.kube.etcd import Member
from kubeboot.steps import leaving, paths, pod_logs
from kubeboot.steps.etcd import local as etcd_local
from kubeboot.steps.etcd.local import ETCD, PODS

_MODE = 0o600


@dataclasses.dataclass(frozen=True)
class NoneRuns:
    """The kubelet has ended the pods whose manifests are gone."""

    deadline: float = 120.0
    sentence: str = "the control plane's pods to end"

    def look(self, see: View, vals: Values) -> str | None:
        running = sorted({c.name for c in see.host.containers() if c.pid and c.name in PODS})
        return f"{', '.join(running)} still runs" if running else None

    def explain(self, see: View) -> str:
        return see.host.journal_tail("kubelet.service", 8)


@dataclasses.dataclass(frozen=True, kw_only=True)
class PutAway(Step):
    """etcd and what uses it do not run here; their manifests are kept."""

    impact: Impact = Impact.API_GAP

    def check(self, see: View, vals: Values) -> Check:
        there = [name for name in PODS if see.host.stat(etcd_local.path(name))]
        return Drift(f"stop {', '.join(there)} on this machine", "remove") if there else Ok()

    def undo(self, see: View) -> Sequence[Undo]:
        there = (etcd_local.path(name) for name in PODS if see.host.stat(etcd_local.path(name)))
        return tuple(undo for path in there for undo in paths.undo(see, path))

    def apply(self, do: Target, vals: Values) -> None:
        """What is put away already is the original; what lies in its place now may be a step of ours."""
        for name in PODS:
            data = do.host.read(etcd_local.path(name))
            if data is not None and do.host.stat(etcd_local.parked(name)) is None:
                do.host.write(etcd_local.parked(name), data, _MODE)
            do.host.remove(etcd_local.path(name))


@dataclasses.dataclass(frozen=True)
class Alone:
    """etcd runs here as its only member, and without the flag that made it so, unless `forced`."""

    node: str
    address: str
    forced: bool = False
    deadline: float = 240.0
    sentence: str = "etcd to run here as its only member"

    def look(self, see: View, vals: Values) -> str | None:
        try:
            found = see.etcd.members()
        except errors.KubebootError as error:
            return error.message
        others = [member.label for member in found if not member.has_peer(self.address)]
        if others:
            return f"it still counts on {', '.join(others)}"
        flagged = any(etcd_local.FORCED in process.cmdline for process in see.host.processes())
        return "it still runs with --force-new-cluster" if flagged and not self.forced else None

    def explain(self, see: View) -> str:
        return pod_logs.explain(see.host, self.node, (ETCD,))


@dataclasses.dataclass(frozen=True, kw_only=True)
class ForceAlone(Step):
    """etcd has run with --force-new-cluster, which makes this machine its only member."""

    condition: Alone
    impact: Impact = Impact.API_GAP

    def check(self, see: View, vals: Values) -> Check:
        waiting = self.condition.look(see, vals)
        return Ok() if waiting is None else Drift("run etcd once with --force-new-cluster", "change")

    def undo(self, see: View) -> Sequence[Undo]:
        return paths.undo(see, etcd_local.path(ETCD))

    def apply(self, do: Target, vals: Values) -> None:
        data = do.host.read(etcd_local.parked(ETCD))
        if data is None:
            raise errors.KubebootError(f"{etcd_local.parked(ETCD)} is gone", reason="KB_ETCD_REPAIR")
        do.host.write(etcd_local.path(ETCD), etcd_local.forced(data), _MODE)


@dataclasses.dataclass(frozen=True, kw_only=True)
class PutBack(Step):
    """Manifests are where they were before."""

    names: tuple[str, ...]

    def check(self, see: View, vals: Values) -> Check:
        if see.host.stat(etcd_local.PARKED) is None:
            return Later("what is stopped before")
        wrong = [
            name for name, data in self._originals(see.host) if see.host.read(etcd_local.path(name)) != data
        ]
        return Drift(f"start {', '.join(wrong)}") if wrong else Ok()

    def undo(self, see: View) -> Sequence[Undo]:
        return tuple(undo for name in self.names for undo in paths.undo(see, etcd_local.path(name)))

    def apply(self, do: Target, vals: Values) -> None:
        for name, data in self._originals(do.host):
            do.host.write(etcd_local.path(name), data, _MODE)

    def _originals(self, see: HostView) -> list[tuple[str, bytes]]:
        found = ((name, see.read(etcd_local.parked(name))) for name in self.names)
        return [(name, data) for name, data in found if data is not None]


@dataclasses.dataclass(frozen=True, kw_only=True)
class EndpointHere(leaving.EndpointElsewhere):
    """The cluster's records lead to this machine, once its API server can be asked."""

    def check(self, see: View, vals: Values) -> Check:
        return Later("the API server") if see.api.ready() is not None else super().check(see, vals)


@dataclasses.dataclass(frozen=True, kw_only=True)
class LetGo(Step):
    """etcd counts on no other machine before it is taken back to an older state: with the old data, those
    would go on without this one. An etcd that had no leader cannot be told; one that had one must be."""

    address: str
    led: bool

    def check(self, see: View, vals: Values) -> Check:
        try:
            names = [member.label for member in self._others(see.etcd.members())]
        except errors.KubebootError:
            if self.led:
                raise
            return Ok()
        return Drift(f"take {', '.join(names)} out of etcd", "remove") if names else Ok()

    def apply(self, do: Target, vals: Values) -> None:
        """Those that are down first: the others are needed to agree on it."""
        with do.etcd.exclusively():
            found = self._others(do.etcd.members())
            for other in sorted(found, key=lambda member: do.etcd.healthy(member) is None):
                _remove(do, other)

    def _others(self, found: Sequence[Member]) -> list[Member]:
        return [member for member in found if not member.has_peer(self.address)]


def _remove(do: Target, other: Member) -> None:
    members.insist(
        lambda: do.etcd.remove(other), lambda: other.id not in {member.id for member in do.etcd.members()}
    )
