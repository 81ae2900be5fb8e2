"""A cluster's own word for a workstation that has nothing but SSH: machines, description, artifacts' sums."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from typing import Any

from kubeboot import errors
from kubeboot.artifacts.api import Catalog
from kubeboot.config import named_files
from kubeboot.config.spec import ClusterSpec
from kubeboot.fleet import here, logins, reach, record, recorded
from kubeboot.fleet.orders import ADMIN_CONF
from kubeboot.inventory import for_ansible, known_keys
from kubeboot.inventory.model import Access, Inventory, Machine
from kubeboot.kube import configmaps, facts, surroundings
from kubeboot.kube.api import ApiView

_WHERE = re.compile(r"^(?:(?P<user>[^@]+)@)?(?P<host>\[[^]]+\]|[^:@]+)(?::(?P<port>\d+))?$")


@dataclasses.dataclass(frozen=True)
class Kept:
    """`inventory` has the description too. `catalogs`: what the machines were made of, by architecture.

    `host_keys` are those that other workstations have believed, by the machines' names in known-hosts files.
    """

    inventory: Inventory
    catalogs: Mapping[str, Catalog]
    host_keys: Mapping[str, tuple[str, ...]]


def fetch(where: str, opener: logins.Open = logins.open_host) -> Kept:
    """From the control plane at [USER@]HOST[:PORT], as root there. errors.Unreachable when it is none."""
    machine = _machine(where)
    with reach.crew((machine,), lambda event: None, opener) as crew:
        if crew.lost:
            raise crew.lost[machine.name]
        host = crew.reached[0].host
        api = here.api(host, (ADMIN_CONF,), dialler=host.dial)
        if host.stat(ADMIN_CONF) is None:
            raise errors.Unreachable(
                f"{where} is not a control plane: it has no {ADMIN_CONF}",
                hint="name one of the cluster's control planes",
                reason="KB_NO_CONTROL_PLANE",
            )
        spec, kept = _believed(facts.cluster_spec(api)), record.kept(api)
        machines = kept.machines or _nodes(api, machine)
    inventory = Inventory(where, machines, _groups(machines))
    said = {**_description(spec, own_etcd=bool(inventory.of("etcd"))), "node": kept.node}
    whole = dataclasses.replace(inventory, cluster=said)
    return Kept(whole, kept.catalogs, known_keys.by_name(kept.host_keys))


def _believed(spec: ClusterSpec) -> ClusterSpec:
    """What a cluster tells, unless it tells of files that would be read here, and sent to its machines.

    `up` never keeps such names: it keeps what is in the files.
    """
    if found := named_files.named(spec):
        told = ", ".join(f"{field}: {path}" for field, path in found.items())
        raise errors.ConfigInvalid(
            f"the cluster's description names files on this workstation; none of them was read: {told}",
            hint="find out who wrote that into ConfigMap kube-system/kubeboot-config, and remove it;"
            " name files of your own with --config, together with an --inventory of your own",
            reason="KB_CLUSTER_FILES",
        )
    return spec


def _description(spec: ClusterSpec, own_etcd: bool) -> dict[str, Any]:
    """As an inventory says it. Where etcd's machines are in the inventory, its URLs follow from them."""
    if own_etcd:
        spec = spec.model_copy(update={"etcd": spec.etcd.model_copy(update={"external": None})})
    said = configmaps.document(spec, spec.control_plane_endpoint or "")
    return {name: value for name, value in said.items() if name not in ("apiVersion", "kind")}


def _machine(where: str) -> Machine:
    found = _WHERE.match(where)
    if found is None:
        raise errors.UsageProblem(f"--from {where}", hint="write it like ops@10.0.0.11 or [2001:db8::1]:22")
    port = int(found["port"]) if found["port"] else None
    access = Access(user=found["user"], port=port)
    return Machine(found["host"].strip("[]"), frozenset({"control_plane"}), access)


def _nodes(api: ApiView, asked: Machine) -> tuple[Machine, ...]:
    """Where no `up` has kept an inventory: the Nodes, reached as the machine that was asked."""
    return tuple(
        recorded.believed(
            Machine(
                node.name,
                frozenset({"control_plane" if node.control_plane else "worker"}),
                dataclasses.replace(asked.access, host=next(iter(node.addresses), node.name)),
                address=next(iter(node.addresses), None),
            )
        )
        for node in surroundings.machines(api)
    )


def _groups(machines: tuple[Machine, ...]) -> dict[str, tuple[str, ...]]:
    return {
        name: tuple(machine.name for machine in machines if role in machine.roles)
        for role, name in for_ansible.GROUPS
    }
