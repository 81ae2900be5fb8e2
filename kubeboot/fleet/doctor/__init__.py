"""`kubeboot doctor`: what is wrong with a cluster that lives, and what fixes it. Changes nothing."""

from __future__ import annotations

import dataclasses
import datetime
import functools
import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

from kubeboot import errors
from kubeboot.config.node import NodeSettings
from kubeboot.config.spec import ClusterSpec
from kubeboot.engine import journal
from kubeboot.engine.plan import Plan
from kubeboot.fleet import here, shared, status
from kubeboot.fleet.doctor import balancer_machine as doctor_balancer
from kubeboot.fleet.doctor import checkup, drift
from kubeboot.fleet.doctor import etcd_machine as doctor_etcd
from kubeboot.fleet.doctor.patient import Patient
from kubeboot.fleet.run import Others
from kubeboot.host.api import HostView
from kubeboot.host.facts import Facts
from kubeboot.host.local import LocalView
from kubeboot.kube import client, identity, surroundings
from kubeboot.kube import facts as clusters
from kubeboot.kube.client import Client
from kubeboot.kube.facts import ClusterFacts
from kubeboot.pki import table
from kubeboot.plan import init as init_plan
from kubeboot.plan import join as join_plan
from kubeboot.plan import join_control_plane as control_plane_plan
from kubeboot.plan import node as nodes
from kubeboot.steps import preflight
from kubeboot.steps.preflight import Finding, Surroundings

_ELSE = (
    "kubectl get nodes,pods -A -o wide shows what the cluster says itself; kubeboot support packs the logs"
)


@dataclasses.dataclass(frozen=True)
class Diagnosis:
    """Every finding, and of how many checks."""

    findings: tuple[Finding, ...]
    checks: int

    @property
    def healthy(self) -> bool:
        """Nothing that has to be fixed."""
        return all(finding.level != "error" for finding in self.findings)


@dataclasses.dataclass(frozen=True)
class _Home:
    """What is known of the machine and its cluster before the checks."""

    see: HostView
    facts: Facts
    api: Client
    spec: ClusterSpec
    node: NodeSettings
    cluster: ClusterFacts | None
    command: str

    @functools.cached_property
    def around(self) -> Surroundings | None:
        """The cluster, where it is known, as a machine sees it that joins; asked once."""
        return here.around(self.api, self.cluster) if self.cluster else None


def examine(spec: ClusterSpec, kubeconfig: str) -> Diagnosis:
    """Look at this machine and, through its API, at its cluster. `spec` says where artifacts are."""
    see = LocalView()
    if doctor_balancer.is_one(see):
        count = len(preflight.CHECKS) + len(doctor_balancer.CHECKS) - 1
        return Diagnosis(_placed(doctor_balancer.examine(see), see.name), count)
    if doctor_etcd.is_one(see):
        return Diagnosis(_placed(doctor_etcd.examine(spec, see), see.name), doctor_etcd.COUNT)
    home = _home(spec, see, kubeconfig)
    checks: list[Callable[[], Iterable[Finding]]] = [
        lambda: _machine(home),
        lambda: _cluster(home),
        lambda: _drift(home),
    ]
    with ThreadPoolExecutor(3, thread_name_prefix="doctor") as pool:
        found = [f for findings in pool.map(lambda check: tuple(check()), checks) for f in findings]
    return Diagnosis(_placed(found, home.node.name), len(preflight.CHECKS) + len(checkup.CHECKS) + 1)


def _placed(found: Iterable[Finding], host: str) -> tuple[Finding, ...]:
    return tuple(dataclasses.replace(finding, host=finding.host or host) for finding in found)


def _home(given: ClusterSpec, see: HostView, kubeconfig: str) -> _Home:
    machine, api = see.facts(), _api(see, kubeconfig)
    authority = see.read(f"{table.DIRECTORY}/ca.crt") or b""
    try:
        cluster = clusters.read(api, authority)
    except errors.KubebootError:
        cluster = None
    spec = join_plan.cluster_spec(given, cluster) if cluster else given
    role = "control_plane" if see.stat(f"{table.DIRECTORY}/apiserver.crt") else "worker"
    near = next((host for host, _ in cluster.control_planes), None) if cluster else None
    address = see.route_source(near) if role == "worker" and near else None
    node = nodes.settings(spec, machine, "control_plane" if role == "control_plane" else "worker", address)
    runs = [entry["run"] for entry in journal.entries(see) if entry.get("run") in ("init", "join")]
    return _Home(see, machine, api, spec, node, cluster, runs[-1] if runs else "")


def _api(see: HostView, kubeconfig: str) -> Client:
    for path in (kubeconfig, status.KUBELET_CONF):
        data = see.read(path)
        if data is not None:
            with identity.naming(path):
                return client.from_kubeconfig(data, read=see.read)
    raise errors.ConfigInvalid(
        f"there is neither {kubeconfig} nor {status.KUBELET_CONF} on this machine",
        hint="kubeboot doctor is for a cluster's machines; before there is one, use kubeboot preflight",
        reason="KB_KUBECONFIG",
    )


def _machine(home: _Home) -> Iterable[Finding]:
    """Preflight, as of a machine of ours: swap that came back, a full disk, a clock that is off."""
    scene = preflight.Scene(home.spec, home.node, home.facts, home.see, True, os.environ, home.around)
    return preflight.examine(scene, preflight.CHECKS)


def _cluster(home: _Home) -> Iterable[Finding]:
    state = status.look(home.see, home.api, datetime.datetime.now(datetime.UTC))
    patient = Patient(
        home.node.name,
        home.node.address,
        home.spec,
        home.see,
        home.api,
        state,
        home.node.role == "control_plane",
    )
    with ThreadPoolExecutor(8, thread_name_prefix="checkup") as pool:
        found = pool.map(lambda check: _safely(check, patient), checkup.CHECKS)
        return [finding for findings in found for finding in findings]


def _safely(check: Callable[[Patient], Iterable[Finding]], patient: Patient) -> tuple[Finding, ...]:
    """A check that cannot be made is a finding, unless the API's silence is one already."""
    try:
        return tuple(check(patient))
    except errors.KubebootError as error:
        if not patient.at_home:
            return ()
        name = check.__name__
        return (Finding(f"Check-{name}", f"{name} cannot be checked: {error.message}", error.hint or _ELSE),)


def _drift(home: _Home) -> Iterable[Finding]:
    """What a rerun of the command that made this machine would change."""
    if home.cluster is None or not home.command:
        return
    cluster = home.cluster
    yield from drift.findings(
        lambda: (_plan(home, cluster), _others(home, cluster)),
        home.node.name,
        home.see,
        home.api,
        home.command,
    )


def _others(home: _Home, cluster: ClusterFacts) -> Others:
    """etcd's members as a further control plane sees them."""
    external = home.spec.etcd.external
    if home.command == "init" or home.node.role == "worker" or external is not None:
        return Others()
    addresses = [address for address, _ in cluster.control_planes]
    return Others(home.api, shared.members(shared.on_disk(home.see, external), addresses))


def _plan(home: _Home, cluster: ClusterFacts) -> Plan:
    spec, node, facts = home.spec, home.node, home.facts
    source = here.source(spec, facts.arch, lambda event: None, dry=True)
    if home.command == "init":
        return init_plan.plan(spec, node, source, ())
    if node.role == "control_plane":
        given = shared.on_disk(home.see, spec.etcd.external)
        heard = surroundings.heard(cluster, home.around.peers if home.around else ())
        return control_plane_plan.plan(spec, node, source, heard, given)
    return join_plan.plan(spec, node, source, cluster)
