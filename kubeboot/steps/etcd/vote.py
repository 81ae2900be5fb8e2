"""This machine's learner: started, in sync, and only then a voter."""

from __future__ import annotations

import dataclasses

from kubeboot import errors
from kubeboot.engine.step import Check, Drift, Later, Ok, Step, Target, View
from kubeboot.engine.values import Values
from kubeboot.kube import client
from kubeboot.kube import etcd as members
from kubeboot.kube.etcd import Member
from kubeboot.kube.tls import Endpoint
from kubeboot.pki import endpoint
from kubeboot.steps import pod_logs
from kubeboot.steps.etcd import METRICS_PORT, loopback
from kubeboot.steps.etcd.learner import own

_TAKES_PART = "/readyz?exclude=non_learner"
"""At its metrics port, which answers before clients may come to the other; 7 s before, where etcd had no data
when it started (see `copying`)."""


def takes_part(see: View, address: str) -> str | None:
    """None when this machine's etcd reads what most members agree on, else what was seen."""
    metrics = f"http://{endpoint.join(loopback(address), METRICS_PORT)}"
    return client.readiness(Endpoint(metrics), see.host.dial, _TAKES_PART)


@dataclasses.dataclass(frozen=True)
class Started:
    """The learner runs and takes part: the others know its name, and it reads what most members agree on.

    etcd itself sees to it that it is in sync when it is made a voter, but not that it is still alive.
    """

    node: str
    address: str
    deadline: float = 240.0
    sentence: str = "etcd to run here as a learner"

    def look(self, see: View, vals: Values) -> str | None:
        mine = _mine(see, self.address)
        if isinstance(mine, str):
            return mine
        if not mine.name:
            return f"{mine.label} has not been started"
        return takes_part(see, self.address)

    def explain(self, see: View) -> str:
        return pod_logs.explain(see.host, self.node, ("etcd",))


@dataclasses.dataclass(frozen=True)
class Serves(Started):
    """The member answers its clients."""

    sentence: str = "etcd to answer"

    def look(self, see: View, vals: Values) -> str | None:
        mine = _mine(see, self.address)
        return mine if isinstance(mine, str) else see.etcd.healthy(mine)


def _mine(see: View, address: str) -> Member | str:
    try:
        mine = own(see.etcd.members(), address)
    except errors.Unreachable as error:
        return error.message
    return mine or "etcd does not have this machine any more"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Promote(Step):
    """This machine's member votes."""

    address: str

    def check(self, see: View, vals: Values) -> Check:
        mine = own(see.etcd.members(), self.address)
        if mine is None:
            return Later("this machine's member of etcd")
        return Drift("make the learner a voter") if mine.learner else Ok()

    def apply(self, do: Target, vals: Values) -> None:
        with do.etcd.exclusively():
            mine = own(do.etcd.members(), self.address)
            if mine is not None and mine.learner:
                members.insist(lambda: do.etcd.promote(mine), lambda: self._votes(do))

    def _votes(self, do: Target) -> bool:
        mine = own(do.etcd.members(), self.address)
        return mine is not None and not mine.learner
