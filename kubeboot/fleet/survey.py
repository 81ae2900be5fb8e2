"""What there is already: whether the machines make up a cluster, how it is reached, who is a node of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, wait

from kubeboot import errors
from kubeboot.config.spec import ClusterSpec
from kubeboot.fleet import here, leaving, shared
from kubeboot.fleet.reach import Approach, Crew, Reached, each
from kubeboot.fleet.run import Others
from kubeboot.fleet.ways import Ways
from kubeboot.host import looks
from kubeboot.host.api import HostView
from kubeboot.host.facts import Facts
from kubeboot.inventory.model import Inventory, Machine
from kubeboot.kube import facts, surroundings
from kubeboot.kube.client import Client
from kubeboot.kube.facts import ClusterFacts
from kubeboot.pki import endpoint
from kubeboot.steps.etcd import external as external_etcd
from kubeboot.steps.preflight import Surroundings

SUPER_ADMIN = "/etc/kubernetes/super-admin.conf"
API_SERVER = "/etc/kubernetes/manifests/kube-apiserver.yaml"
GRACE = 1.0
"""Seconds after the first control plane in which the others are waited for, if the cluster is known then."""


@dataclasses.dataclass(frozen=True)
class Cluster:
    """A cluster that answers. `given` is what its control planes share; nobody but `api` prints it."""

    lead: Reached
    api: Client
    given: Mapping[str, bytes] = dataclasses.field(repr=False)
    ways: Ways
    facts: ClusterFacts
    around: Surroundings

    def others(self, holder: str) -> Others:
        """The API by the lead, and etcd by whichever member answers; changes of members in one's own name."""
        if self.facts.spec.etcd.external is not None:
            return Others(self.api)
        addresses = [address for address, _ in self.facts.control_planes]
        etcd = shared.members(self.given, addresses, self.api, holder, dialler=self.ways.dial)
        return Others(self.api, etcd)

    def node_of(self, machine: Facts) -> surroundings.Machine | None:
        """The Node that a machine is already."""
        same = (node for node in self.around.peers if node.machine_id == machine.machine_id)
        return next((node for node in same if machine.machine_id), None)


@dataclasses.dataclass(frozen=True)
class _Seen:
    """A control plane's part of a cluster, as far as it has one."""

    who: Reached
    given: Mapping[str, bytes] = dataclasses.field(repr=False)
    serves: bool
    first: bool


@dataclasses.dataclass(frozen=True)
class Found:
    """The cluster that answers, or the machine that is (to be) its first. `cluster` wins."""

    cluster: Cluster | None
    first: Reached | None


def meet(inventory: Inventory, way: Approach, spec: ClusterSpec) -> tuple[Crew, Found]:
    """Who tells what there is, and what that is; errors.Unreachable as of `look`.

    A control plane that does not answer holds up nobody who needs only the others: it is not in the crew.
    """
    planes, port = inventory.of("control_plane"), spec.api_server.bind_port
    coming = {machine.name: way.meet(machine, _see) for machine in planes}
    voters = inventory.of("etcd")
    members = way.crew(voters)
    wait(coming.values(), return_when=FIRST_COMPLETED)
    wait(coming.values(), GRACE)
    while missing := [machine for machine in planes if not coming[machine.name].done()]:
        found = _answering(_seen_by(coming), port)
        if found is not None and not _may_lead(missing, planes, found):
            come = [machine for machine in planes if machine not in missing]
            return _joined(members, way.crew(come)), Found(found, None)
        wait((coming[machine.name] for machine in missing), return_when=FIRST_COMPLETED)
    crew = _joined(members, way.crew(planes))
    return crew, _found(inventory, crew, _seen_by(coming), port)


def _joined(members: Crew, planes: Crew) -> Crew:
    return Crew((*planes.reached, *members.reached), {**planes.lost, **members.lost})


def _seen_by(coming: Mapping[str, Future[_Seen]]) -> list[_Seen]:
    """Of those who have come, in the inventory's order."""
    done = (future for future in coming.values() if future.done())
    return [future.result() for future in done if not isinstance(future.exception(), errors.KubebootError)]


def _may_lead(missing: Iterable[Machine], planes: tuple[Machine, ...], found: Cluster) -> bool:
    """Two workstations must have the same lead, or each would hold a part of the fleet.

    It is the first that serves. A Node's address that is not among the cluster's API servers does not.
    """
    known = {address for peer in found.around.peers for address in peer.addresses}
    silent = known - {address for address, _ in found.facts.control_planes}
    lead = planes.index(found.lead.machine)
    return any(machine.address not in silent for machine in missing if planes.index(machine) < lead)


def look(inventory: Inventory, crew: Crew, spec: ClusterSpec) -> Found:
    """Look at every control plane; errors.Unreachable when a cluster must be there and none answers."""
    names = {machine.name for machine in inventory.of("control_plane")}
    planes = [reached for reached in crew.reached if reached.name in names]
    seen, _ = each({reached.name: reached for reached in planes}, _see)
    return _found(inventory, crew, list(seen.values()), spec.api_server.bind_port)


def _found(inventory: Inventory, crew: Crew, seen: list[_Seen], port: int) -> Found:
    found = _answering(seen, port)
    if found is not None:
        return Found(found, None)
    begun = [one.who for one in seen if one.first]
    if begun:
        return Found(None, begun[0])
    return Found(None, _new(inventory, crew, seen))


def _see(reached: Reached) -> _Seen:
    see = reached.view()
    return looks.settled(see, lambda: _seen(reached, see))


def _seen(reached: Reached, see: HostView) -> _Seen:
    first, runs = looks.together(
        (lambda: see.stat(SUPER_ADMIN) is not None, lambda: see.read(API_SERVER) is not None)
    )
    external = external_etcd.found(see)
    given = shared.on_disk(see, external)
    return _Seen(reached, given, runs and shared.is_complete(given, external), first)


def _new(inventory: Inventory, crew: Crew, seen: Iterable[_Seen]) -> Reached:
    """Who is to be the first. Never a second cluster beside one that only does not answer now."""
    traces = [one.who.name for one in seen if one.given]
    traces += [reached.name for reached in crew.reached if reached.facts.joined]
    first = inventory.of("control_plane")[0].name
    if traces:
        raise orphaned(dict.fromkeys(traces))
    if first in crew.lost:
        raise crew.lost[first]
    return next(reached for reached in crew.reached if reached.name == first)


def orphaned(names: Iterable[str]) -> errors.Unreachable:
    """The error for machines beside which no second cluster may be made."""
    return errors.Unreachable(
        f"{', '.join(names)} belong to a cluster, and no API server of it answers",
        hint="bring a control plane back first; `kubeboot doctor` on it says what is wrong",
        reason="KB_NO_CONTROL_PLANE",
    )


def _answering(seen: list[_Seen], port: int) -> Cluster | None:
    """By the first API server that is ready."""
    serving = [one for one in seen if one.serves]
    ways = Ways({address: one.who.host for one in serving for address in _addresses(one.who)})
    for one in serving:
        api = shared.administrator(one.given, endpoint.url(_own(one.who), port), dialler=ways.dial)
        if api.ready() is None and (cluster := _known(one.who, api, one.given, ways)):
            return cluster
    return None


def again(cluster: Cluster) -> Cluster:
    """What it is by now, some of it having left."""
    return _known(cluster.lead, cluster.api, cluster.given, cluster.ways) or cluster


def _known(lead: Reached, api: Client, given: Mapping[str, bytes], ways: Ways) -> Cluster | None:
    found = _read(api, given["ca.crt"])
    if found is None:
        return None
    around = here.around(api, found)
    return Cluster(lead, api, given, ways, surroundings.heard(found, around.peers), around)


def _read(api: Client, authority: bytes) -> ClusterFacts | None:
    """None while a first init has not got so far as to say what the cluster is."""
    try:
        return facts.read(api, authority)
    except errors.Unreachable as error:
        if error.reason == "KB_NOT_KUBEBOOT":
            return None
        raise


def _addresses(reached: Reached) -> tuple[str, ...]:
    return leaving.of_nics(reached.facts)


def _own(reached: Reached) -> str:
    return reached.machine.address or _addresses(reached)[0]
