"""This machine's learner: started, in sync, and only then a voter."""

from __future__ import annotations

import dataclasses

from kubeboot import errors
from kubeboot.engine.step import Check, Drift, Later, Ok, Step, Target, View
from kubeboot.engine.values import Values
from kubeboot.kube import etcd as members
from kubeboot.steps import pod_logs
from kubeboot.steps.etcd.learner import own


@dataclasses.dataclass(frozen=True)
class Started:
    """The learner runs: it has told the others its name, and answers."""

    node: str
    address: str
    deadline: float = 240.0
    sentence: str = "etcd to run here as a learner"

    def look(self, see: View, vals: Values) -> str | None:
        try:
            mine = own(see.etcd.members(), self.address)
        except errors.Unreachable as error:
            return error.message
        if mine is None:
            return "etcd does not have this machine any more"
        return see.etcd.healthy(mine)

    def explain(self, see: View) -> str:
        return pod_logs.explain(see.host, self.node, ("etcd",))


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
