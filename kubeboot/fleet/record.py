"""What the cluster keeps for other workstations: machines without passwords, and what they were made of."""

from __future__ import annotations

import base64
import dataclasses
import json
from collections.abc import Iterable, Mapping
from typing import Any

from kubeboot.artifacts.api import Binary, Catalog, Image
from kubeboot.engine.plan import Plan
from kubeboot.fleet.survey import Cluster
from kubeboot.fleet.tasks import Shop, Task
from kubeboot.inventory.model import Access, Inventory, Machine
from kubeboot.kube.api import ApiView
from kubeboot.kube.rbac import SYSTEM
from kubeboot.steps import dns_spread, objects

NAME = "kubeboot-fleet"
KEY = "machines.json"
NODE = "node.json"
ARTIFACTS = "artifacts-"
_NOT_KEPT = ("password", "sudo_password")


@dataclasses.dataclass(frozen=True)
class Record:
    """`node`: the description's section of that name. `catalogs` by architecture."""

    machines: tuple[Machine, ...] = ()
    node: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    catalogs: Mapping[str, Catalog] = dataclasses.field(default_factory=dict)


def read(api: ApiView) -> tuple[Machine, ...]:
    """The machines of the last `up`; none where there was none."""
    return kept(api).machines


def kept(api: ApiView) -> Record:
    """What the last `up` has kept."""
    data = _data_of(api)
    named = {key.removeprefix(ARTIFACTS): text for key, text in data.items() if key.startswith(ARTIFACTS)}
    catalogs = {name.removesuffix(".json"): _catalog(_loaded(text)) for name, text in named.items()}
    node = _loaded(data[NODE]) if NODE in data else {}
    return Record(decode(data[KEY]) if KEY in data else (), node, catalogs)


def _data_of(api: ApiView) -> Mapping[str, str]:
    found = api.get("v1", "Secret", NAME, SYSTEM) or {}
    return dict(found.get("data") or {})


def encode(machines: Iterable[Machine]) -> str:
    """As a Secret holds it; no password comes with it."""
    return _dumped([_data(machine) for machine in machines])


def decode(text: str) -> tuple[Machine, ...]:
    """What `encode` made."""
    return tuple(map(_machine, _loaded(text)))


def _dumped(data: object) -> str:
    return base64.b64encode(json.dumps(data, sort_keys=True).encode()).decode()


def _loaded(text: str) -> Any:  # noqa: ANN401 - JSON
    return json.loads(base64.b64decode(text))


def task(cluster: Cluster, inventory: Inventory, shop: Shop, staying: tuple[Machine, ...] = ()) -> Task:
    """What is done last: CoreDNS on more than one machine, and what other workstations need.

    `staying` are machines beside the inventory's that are still to leave.
    """
    there = {k: v for k, v in _data_of(cluster.api).items() if k.startswith(ARTIFACTS)}
    made = {
        f"{ARTIFACTS}{arch}.json": _dumped(dataclasses.asdict(c))
        for arch, c in shop.supply.catalogs().items()
    }
    data = {
        **there,
        **made,
        KEY: encode((*inventory.machines, *staying)),
        NODE: _dumped(shop.spec.node.model_dump(mode="json", by_alias=True, exclude_unset=True)),
    }
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": NAME, "namespace": SYSTEM},
        "type": "Opaque",
        "data": data,
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
    keys = tuple(access.get("host_keys", ()))
    taints = None if data["taints"] is None else tuple((k, v, e) for k, v, e in data["taints"])
    return Machine(
        name=data["name"],
        roles=frozenset(data["roles"]),
        access=Access(**{**access, "options": options, "host_keys": keys}),
        address=data["address"],
        labels=tuple((name, value) for name, value in data["labels"]),
        taints=taints,
        bundle=data.get("bundle"),
    )


def _catalog(data: Mapping[str, Any]) -> Catalog:
    return Catalog(
        data["kubernetes_version"],
        data["arch"],
        tuple(Binary(**each) for each in data["binaries"]),
        tuple(Image(**each) for each in data["images"]),
    )
