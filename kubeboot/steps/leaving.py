"""Taking a machine out of the cluster before it goes: etcd first, as long as the others can do without it."""

from __future__ import annotations

import dataclasses

from kubeboot import errors
from kubeboot.config import balancing
from kubeboot.engine.step import Blocked, Check, Drift, Ok, Step, Target, View
from kubeboot.engine.values import Values
from kubeboot.kube import configmaps, etcd, facts
from kubeboot.kube.etcd import EtcdView, Member
from kubeboot.pki import endpoint

_ORDER = (
    "one member at a time, the dead ones first: `kubeboot node remove NAME` on a healthy control plane for "
    "each machine that is gone, then the same command again"
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class LeaveEtcd(Step):
    """etcd goes on without the members of one machine, by its addresses or its name. The last one stays."""

    addresses: tuple[str, ...]
    member: str = ""

    def check(self, see: View, vals: Values) -> Check:
        try:
            mine = self._mine(see.etcd)
        except errors.Unreachable as error:
            hint = "fix etcd first; `kubeboot reset --force` leaves without telling it"
            return Blocked(f"etcd cannot be left: {error.message}", hint, error.reason)
        if mine is None:
            return Ok()
        problem = etcd.quorum_problem(see.etcd, mine)
        if problem:
            return Blocked(f"{mine.label} must not leave etcd now: {problem}", _ORDER, "KB_ETCD_QUORUM")
        return Drift(f"remove {mine.label} from etcd's members", "remove")

    def apply(self, do: Target, vals: Values) -> None:
        with do.etcd.exclusively():
            mine = self._mine(do.etcd)
            if mine is None:
                return
            problem = etcd.quorum_problem(do.etcd, mine)
            if problem:
                raise errors.KubebootError(
                    f"{mine.label} must not leave etcd now: {problem}", hint=_ORDER, reason="KB_ETCD_QUORUM"
                )
            etcd.insist(
                lambda: do.etcd.remove(mine), lambda: mine.id not in {m.id for m in do.etcd.members()}
            )

    def _mine(self, see: EtcdView) -> Member | None:
        found = see.members()
        mine = next((m for m in found if self._is_it(m)), None)
        return mine if len(found) > 1 else None

    def _is_it(self, member: Member) -> bool:
        named = bool(self.member) and member.name == self.member
        return named or any(member.has_peer(address) for address in self.addresses)


@dataclasses.dataclass(frozen=True)
class ApiAnswers:
    """The API is ready: it is not for the seconds in which etcd gets used to fewer members."""

    deadline: float = 60.0
    sentence: str = "the API to be ready again"

    def look(self, see: View, vals: Values) -> str | None:
        return see.api.ready()

    def explain(self, see: View) -> str:
        return ""


@dataclasses.dataclass(frozen=True, kw_only=True)
class NoNode(Step):
    """There is no Node of this name. Its pods, mirror pods among them, are collected with it."""

    node: str

    def check(self, see: View, vals: Values) -> Check:
        found = see.api.get("v1", "Node", self.node)
        return Ok() if found is None else Drift(f"delete Node {self.node}", "remove")

    def apply(self, do: Target, vals: Values) -> None:
        do.api.delete("v1", "Node", self.node)


@dataclasses.dataclass(frozen=True, kw_only=True)
class EndpointElsewhere(Step):
    """The cluster's own records lead to a control plane that stays. A name that the user gave stays too.

    So does the virtual address, which this machine may have at the moment.
    """

    gone: tuple[str, ...]
    to: str
    authority: bytes = dataclasses.field(repr=False)

    def check(self, see: View, vals: Values) -> Check:
        spec = facts.cluster_spec(see.api)
        now = spec.control_plane_endpoint or ""
        host = endpoint.host_of(now)
        if host not in self.gone or host == balancing.virtual_address(spec):
            return Ok()
        return Drift(f"controlPlaneEndpoint {now} → {self.to}", "change")

    def apply(self, do: Target, vals: Values) -> None:
        spec = facts.cluster_spec(do.api)
        _, port = endpoint.split(spec.control_plane_endpoint or "", balancing.default_port(spec))
        where = endpoint.join(self.to, port)
        for obj in (
            configmaps.kubeadm_config(spec, where),
            configmaps.cluster_info(self.authority, where),
            configmaps.kubeboot_config(spec, where),
        ):
            do.api.apply(obj)
