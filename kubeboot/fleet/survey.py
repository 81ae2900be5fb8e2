"""What there is already: whether the machines make up a cluster, how it is reached, who is a node of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping

from kubeboot import errors
from kubeboot.config.spec import ClusterSpec
from kubeboot.fleet import here, leaving, shared
from kubeboot.fleet.reach import Crew, Reached, each
from kubeboot.fleet.run import Others
from kubeboot.fleet.ways import Ways
from kubeboot.host import looks
from kubeboot.host.api import HostView
from kubeboot.host.facts import Facts
from kubeboot.inventory.model import Inventory
from kubeboot.kube import facts, surroundings
from kubeboot.kube.client import Client
from kubeboot.kube.facts import ClusterFacts
from kubeboot.pki import endpoint
from kubeboot.steps.etcd import external as external_etcd
from kubeboot.steps.preflight import Surroundings

SUPER_ADMIN = "/etc/kubernetes/super-admin.conf"
API_SERVER = "/etc/kubernetes/manifests/kube-apiserver.yaml"


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
        """The Node that a machine is already. Another one of its machine-id is where that was cloned from."""
        own = frozenset(leaving.of_nics(machine))
        same = (node for node in self.around.peers if node.machine_id == machine.machine_id)
        known = (node for node in same if machine.joined or own & frozenset(node.addresses))
        return next((node for node in known if machine.machine_id), None)


@dataclasses.dataclass(frozen=True)
class Seen:
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


def look(inventory: Inventory, crew: Crew, spec: ClusterSpec) -> Found:
    """Look at every control plane; errors.Unreachable when a cluster must be there and none answers."""
    names = {machine.name for machine in inventory.of("control_plane")}
    planes = [reached for reached in crew.reached if reached.name in names]
    seen, _ = each({reached.name: reached for reached in planes}, see_part)
    return found_by(inventory, crew, list(seen.values()), spec.api_server.bind_port)


def found_by(inventory: Inventory, crew: Crew, seen: list[Seen], port: int) -> Found:
    """What these control planes tell of together; errors as of `look`."""
    found = answering(seen, port)
    if found is not None:
        return Found(found, None)
    begun = [one.who for one in seen if one.first]
    if begun:
        return Found(None, begun[0])
    return Found(None, _new(inventory, crew, seen))


def see_part(reached: Reached) -> Seen:
    """What this machine has of a cluster."""
    see = reached.view()
    return looks.settled(see, lambda: _seen(reached, see))


def _seen(reached: Reached, see: HostView) -> Seen:
    first, runs = looks.together(
        (lambda: see.stat(SUPER_ADMIN) is not None, lambda: see.read(API_SERVER) is not None)
    )
    external = external_etcd.found(see)
    given = shared.on_disk(see, external)
    return Seen(reached, given, runs and shared.is_complete(given, external), first)


def _new(inventory: Inventory, crew: Crew, seen: Iterable[Seen]) -> Reached:
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


def answering(seen: list[Seen], port: int) -> Cluster | None:
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
