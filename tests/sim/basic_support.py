"""How a step sees a machine in memory."""

from __future__ import annotations

from kubeboot.engine.step import Check, Step, Target, View
from kubeboot.engine.values import Values
from kubeboot.kube.api import NoApi
from tests.fakes.host import FakeHost


def target(host: FakeHost) -> Target:
    """The machine as a step changes it, without a cluster."""
    return Target(host, NoApi())


def check(step: Step, host: FakeHost) -> Check:
    """What a step says of the machine."""
    return step.check(View(host, NoApi()), Values())
