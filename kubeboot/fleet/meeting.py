"""Who is waited for before it is known what there is: a dead control plane costs nobody its ten seconds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, wait

from kubeboot import errors
from kubeboot.config.spec import ClusterSpec
from kubeboot.fleet import survey
from kubeboot.fleet.reach import Approach, Crew
from kubeboot.fleet.survey import Cluster, Found, Seen
from kubeboot.inventory.model import Inventory, Machine

GRACE = 1.0
"""Seconds after the first control plane in which the others are waited for, if the cluster is known then."""


def meet(inventory: Inventory, way: Approach, spec: ClusterSpec) -> tuple[Crew, Found]:
    """Who tells what there is, and what that is; errors.Unreachable as of `survey.look`.

    A control plane that does not answer holds up nobody who needs only the others: it is not in the crew.
    """
    planes, port = inventory.of("control_plane"), spec.api_server.bind_port
    coming = {machine.name: way.meet(machine, survey.see_part) for machine in planes}
    voters = inventory.of("etcd")
    members = way.crew(voters)
    wait(coming.values(), return_when=FIRST_COMPLETED)
    wait(coming.values(), GRACE)
    while missing := [machine for machine in planes if not coming[machine.name].done()]:
        found = survey.answering(_seen_by(coming), port)
        if found is not None and not _may_lead(missing, planes, found):
            come = [machine for machine in planes if machine not in missing]
            return _joined(members, way.crew(come)), Found(found, None)
        wait((coming[machine.name] for machine in missing), return_when=FIRST_COMPLETED)
    crew = _joined(members, way.crew(planes))
    return crew, survey.found_by(inventory, crew, _seen_by(coming), port)


def _joined(members: Crew, planes: Crew) -> Crew:
    return Crew((*planes.reached, *members.reached), {**planes.lost, **members.lost})


def _seen_by(coming: Mapping[str, Future[Seen]]) -> list[Seen]:
    """Of those who have come, in the inventory's order."""
    done = (future for future in coming.values() if future.done())
    return [future.result() for future in done if not isinstance(future.exception(), errors.KubebootError)]


def _may_lead(missing: Iterable[Machine], planes: tuple[Machine, ...], found: Cluster) -> bool:
    """Two workstations must have the same lead, or each would hold a part of the fleet.

    It is the first that serves, which a control plane that the cluster knows as silent does not.
    """
    silent, lead = found.facts.silent, planes.index(found.lead.machine)
    return any(machine.address not in silent for machine in missing if planes.index(machine) < lead)
