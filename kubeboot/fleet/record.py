"""What the cluster keeps for other workstations: where machines are, and what they were made of."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from kubeboot.artifacts.api import Binary, Catalog, Image
from kubeboot.engine.plan import Plan
from kubeboot.fleet import recorded
from kubeboot.fleet.survey import Cluster
from kubeboot.fleet.tasks import Shop, Task
from kubeboot.inventory import known_keys
from kubeboot.inventory.known_keys import Lines
from kubeboot.inventory.model import Inventory, Machine
from kubeboot.kube.api import ApiView
from kubeboot.kube.rbac import SYSTEM
from kubeboot.steps import objects
from kubeboot.steps.dns import spread as dns_spread

NAME = "kubeboot-fleet"
KEY = "machines.json"
NODE = "node.json"
HOST_KEYS = "host-keys.json"
ARTIFACTS = "artifacts-"


@dataclasses.dataclass(frozen=True)
class Record:
    """`node`: the description's section of that name. `catalogs` by architecture, `host_keys` by machine."""

    machines: tuple[Machine, ...] = ()
    node: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    catalogs: Mapping[str, Catalog] = dataclasses.field(default_factory=dict)
    host_keys: Lines = dataclasses.field(default_factory=dict)


def read(api: ApiView) -> tuple[Machine, ...]:
    """The machines of the last `up`; none where there was none."""
    return kept(api).machines


def kept(api: ApiView) -> Record:
    """What the last `up` has kept."""
    data = _data_of(api)
    named = {key.removeprefix(ARTIFACTS): text for key, text in data.items() if key.startswith(ARTIFACTS)}
    catalogs = {name.removesuffix(".json"): _catalog(recorded.loaded(text)) for name, text in named.items()}
    node = recorded.loaded(data[NODE]) if NODE in data else {}
    machines = recorded.decode(data[KEY]) if KEY in data else ()
    return Record(machines, node, catalogs, _host_keys(data))


def _host_keys(data: Mapping[str, str]) -> Lines:
    return recorded.decode_keys(data[HOST_KEYS]) if HOST_KEYS in data else {}


def _data_of(api: ApiView) -> Mapping[str, str]:
    found = api.get("v1", "Secret", NAME, SYSTEM) or {}
    return dict(found.get("data") or {})


def task(
    cluster: Cluster, inventory: Inventory, shop: Shop, shown: Lines, staying: tuple[Machine, ...] = ()
) -> Task:
    """What is done last: CoreDNS on more than one machine, and what other workstations need.

    `shown` are the host keys that were seen, by machine; those of the others stay. `staying` are machines
    beside the inventory's that are still to leave.
    """
    data_there, machines = _data_of(cluster.api), (*inventory.machines, *staying)
    there = {k: v for k, v in data_there.items() if k.startswith(ARTIFACTS)}
    before = _host_keys(data_there)
    keys = {m.name: known_keys.merged(before.get(m.name, ()), shown.get(m.name, ())) for m in machines}
    made = {
        f"{ARTIFACTS}{arch}.json": recorded.dumped(dataclasses.asdict(c))
        for arch, c in shop.supply.catalogs().items()
    }
    data = {
        **there,
        **made,
        KEY: recorded.encode(machines),
        HOST_KEYS: recorded.dumped({name: lines for name, lines in keys.items() if lines}),
        NODE: recorded.dumped(shop.spec.node.model_dump(mode="json", by_alias=True, exclude_unset=True)),
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


def _catalog(data: Mapping[str, Any]) -> Catalog:
    return Catalog(
        data["kubernetes_version"],
        data["arch"],
        tuple(Binary(**each) for each in data["binaries"]),
        tuple(Image(**each) for each in data["images"]),
    )
