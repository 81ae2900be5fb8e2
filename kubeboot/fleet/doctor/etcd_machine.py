"""`kubeboot doctor` on a machine that runs etcd and nothing else."""

from __future__ import annotations

import dataclasses
import datetime
import os
from collections.abc import Callable, Iterable

from kubeboot.config.etcd_access import Invitation
from kubeboot.config.node import NodeSettings
from kubeboot.config.spec import ClusterSpec
from kubeboot.engine import journal
from kubeboot.engine.plan import Plan
from kubeboot.fleet import here, status
from kubeboot.fleet.doctor import checkup, drift
from kubeboot.fleet.doctor import etcd as checkup_etcd
from kubeboot.fleet.doctor.patient import Patient
from kubeboot.fleet.etcd import machine as etcd_machine
from kubeboot.fleet.run import Others
from kubeboot.host.api import HostView
from kubeboot.host.facts import Facts
from kubeboot.kube import etcd
from kubeboot.kube.api import NoApi
from kubeboot.pki import endpoint
from kubeboot.plan import etcd_machine as planning
from kubeboot.plan import node as nodes
from kubeboot.steps import preflight
from kubeboot.steps.etcd import machine as steps
from kubeboot.steps.preflight import Finding

_RENEW = "kubeboot etcd init (or join) again renews what is about to expire"


@dataclasses.dataclass(frozen=True)
class _Home:
    """The machine, before the checks. `invited`: as if it joined once more, by its own member."""

    see: HostView
    facts: Facts
    spec: ClusterSpec
    node: NodeSettings
    invited: Invitation | None


def is_one(see: HostView) -> bool:
    """Whether `kubeboot etcd init` or `etcd join` has made this machine."""
    return see.stat(steps.DESCRIPTION) is not None


def examine(given: ClusterSpec, see: HostView) -> tuple[Finding, ...]:
    """Everything that is wrong with it. `given` says where artifacts are."""
    home = _home(given, see)
    return tuple(finding for check in CHECKS for finding in check(home))


def _home(given: ClusterSpec, see: HostView) -> _Home:
    facts, signer = see.facts(), etcd_machine.authority(see)
    spec = (steps.described(see) or given).model_copy(
        update={"artifacts": given.artifacts, "node": given.node, "containerd": given.containerd}
    )
    near = next((address for host in steps.neighbours(see) if (address := see.route_source(host))), None)
    node = nodes.settings(spec, facts, "etcd", near)
    joined = _command(see) == "etcd-join"
    url = endpoint.url(node.address, etcd.CLIENT_PORT)
    invited = Invitation((url,), signer.certificate, signer.key, spec) if joined else None
    return _Home(see, facts, spec, node, invited)


def _command(see: HostView) -> str:
    runs = [str(entry["run"]) for entry in journal.entries(see) if "run" in entry]
    return next((run for run in reversed(runs) if run in ("etcd-init", "etcd-join")), "")


def _machine(home: _Home) -> Iterable[Finding]:
    """Preflight, as of a machine of ours."""
    scene = preflight.Scene(home.spec, home.node, home.facts, home.see, True, os.environ)
    return preflight.examine(scene, preflight.CHECKS)


def _member(home: _Home) -> Iterable[Finding]:
    """Units, certificates, and the member itself, as on a control plane that has one."""
    now = datetime.datetime.now(datetime.UTC)
    state = status.look(home.see, NoApi(), now)
    patient = Patient(home.node.name, home.node.address, home.spec, home.see, NoApi(), state)
    yield from checkup.units(patient)
    yield from (dataclasses.replace(found, hint=_RENEW) for found in checkup.certificates(patient))
    yield from checkup_etcd.etcd(patient)


def _drift(home: _Home) -> Iterable[Finding]:
    def planned() -> tuple[Plan, Others]:
        source = here.source(home.spec, home.facts.arch, lambda event: None, dry=True)
        plan = planning.plan(home.spec, home.node, source, home.invited)
        members = etcd_machine.members(home.see, etcd_machine.authority(home.see))
        return plan, Others(etcd=members)

    command = (_command(home.see) or "etcd-init").replace("-", " ")
    return drift.findings(planned, home.node.name, home.see, NoApi(), command)


CHECKS: tuple[Callable[[_Home], Iterable[Finding]], ...] = (_machine, _member, _drift)
COUNT = len(preflight.CHECKS) + 4
