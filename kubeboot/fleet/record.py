"""The inventory as the cluster keeps it, without passwords: for those that leave, for other workstations."""

from __future__ import annotations

import base64
import dataclasses
import json
from collections.abc import Iterable, Mapping
from typing import Any

from kubeboot.engine.plan import Plan
from kubeboot.fleet.survey import Cluster
from kubeboot.fleet.tasks import Task
from kubeboot.inventory.model import Access, Inventory, Machine
from kubeboot.kube.api import ApiView
from kubeboot.kube.rbac import SYSTEM
from kubeboot.steps import dns_spread, objects

NAME = "kubeboot-fleet"
KEY = "machines.json"
_NOT_KEPT = ("password", "sudo_password")


def read(api: ApiView) -> tuple[Machine, ...]:
    """The machines of the last `up`; none where there was none."""
    found = api.get("v1", "Secret", NAME, SYSTEM)
    text = (found or {}).get("data", {}).get(KEY)
    return decode(text) if text else ()


def encode(machines: Iterable[Machine]) -> str:
    """As a Secret holds it; no password comes with it."""
    listed = [_data(machine) for machine in machines]
    return base64.b64encode(json.dumps(listed, sort_keys=True).encode()).decode()


def decode(text: str) -> tuple[Machine, ...]:
    """What `encode` made."""
    return tuple(map(_machine, json.loads(base64.b64decode(text))))


def task(cluster: Cluster, inventory: Inventory, staying: tuple[Machine, ...] = ()) -> Task:
    """What is done last: CoreDNS on more than one machine, and the inventory kept.

    `staying` are machines beside it that are still to leave.
    """
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": NAME, "namespace": SYSTEM},
        "type": "Opaque",
        "data": {KEY: encode((*inventory.machines, *staying))},
    }
    lead = cluster.lead
    step = dataclasses.replace(objects.ensure(secret, "fleet"), secret=True)
    plan = Plan("up", "what is done last", (dns_spread.step(), step), {lead.name: "control_plane"})
    return Task(lead, lead.name, plan, cluster.api, cluster.others(lead.name))


def _data(machine: Machine) -> dict[str, Any]:
    data = dataclasses.asdict(machine)
    access = {key: value for key, value in data["access"].items() if key not in _NOT_KEPT}
    return {**data, "roles": sorted(machine.roles), "access": access}


def _machine(data: Mapping[str, Any]) -> Machine:
    access = data["access"]
    options = tuple((name, value) for name, value in access["options"])
    taints = None if data["taints"] is None else tuple((k, v, e) for k, v, e in data["taints"])
    return Machine(
        name=data["name"],
        roles=frozenset(data["roles"]),
        access=Access(**{**access, "options": options}),
        address=data["address"],
        labels=tuple((name, value) for name, value in data["labels"]),
        taints=taints,
        bundle=data.get("bundle"),
    )
