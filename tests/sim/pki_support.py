"""The PKI's steps on a fake machine: run as the engine runs them, checked, and what they left."""

from __future__ import annotations

import datetime

from kubeboot.config import spec as specs
from kubeboot.config.node import NodeSettings
from kubeboot.engine.step import Check, Drift, Ok, Step, Target
from kubeboot.engine.values import Secret, Values
from kubeboot.kube.api import Api, NoApi
from kubeboot.pki import build
from kubeboot.steps import authorities, certificates
from tests.fakes.entries import File
from tests.fakes.host import FakeHost
from tests.fakes.pki import AT

SPEC = specs.ClusterSpec(control_plane_endpoint="api.example.org:8443")
NODE = NodeSettings("cp-1", "10.0.0.11", "control_plane")
PKI = "/etc/kubernetes/pki"
DAY = datetime.timedelta(days=1)


def steps(
    spec: specs.ClusterSpec = SPEC, at: datetime.datetime = AT, node: NodeSettings = NODE
) -> dict[str, Step]:
    return {step.id: step for step in certificates.init_steps(spec, node, clock=lambda: at)}


def run(host: FakeHost, todo: dict[str, Step]) -> tuple[Values, dict[str, Check]]:
    """As the engine does, without the journal: what each step's check said, and the values."""
    vals, target, found = Values(), Target(host, NoApi()), {}
    for name, step in todo.items():
        found[name] = step.check(target.see, vals)
        if isinstance(found[name], Drift):
            step.apply(target, vals)
            assert step.check(target.see, vals) == Ok(), name
        if isinstance(step.check(target.see, vals), Ok):
            for key in step.gives:
                vals.put(key, step.read(target.see, key))
    return vals, found


def pki(host: FakeHost) -> dict[str, File]:
    """The files below the pki directory."""
    return {path.removeprefix(f"{PKI}/"): file for path, file in host.files.items() if path.startswith(PKI)}


def vals(signer: build.Pair) -> Values:
    """A run's values once the cluster's authority is there."""
    values = Values()
    values.put(authorities.CA, Secret(signer))
    return values


def check(host: FakeHost, step: Step, values: Values | None = None, api: Api | None = None) -> Check:
    """What the step finds on the machine."""
    return step.check(Target(host, api or NoApi()).see, values or Values())
