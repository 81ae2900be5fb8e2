"""What machines of their own for etcd and balancers mean for the description of the cluster."""

from __future__ import annotations

from collections.abc import Iterable

from kubeboot import errors
from kubeboot.config import balancing
from kubeboot.config.components import ExternalEtcd
from kubeboot.config.spec import ClusterSpec
from kubeboot.inventory.model import Inventory
from kubeboot.pki import endpoint


def described(spec: ClusterSpec, inventory: Inventory) -> ClusterSpec:
    """The description as the inventory completes it; ConfigInvalid (KB_FLEET_ROLE) where they disagree."""
    _require_apart(inventory)
    if inventory.of("etcd") and spec.etcd.external is not None:
        raise _refused("the inventory has machines for etcd, and the description has etcd.external")
    return _balanced(spec, inventory)


def with_etcd(spec: ClusterSpec, urls: Iterable[str]) -> ClusterSpec:
    """The description for machines whose API servers find etcd at these client URLs."""
    external = ExternalEtcd(endpoints=tuple(urls))
    return spec.model_copy(update={"etcd": spec.etcd.model_copy(update={"external": external})})


def merged(there: Iterable[str], wanted: Iterable[str]) -> tuple[str, ...]:
    """The wanted URLs, in the order that is there already: another order alone is no change."""
    wants = tuple(dict.fromkeys(wanted))
    kept = tuple(url for url in there if url in wants)
    return (*kept, *(url for url in wants if url not in kept))


def _require_apart(inventory: Inventory) -> None:
    """etcd's kubelet belongs to no cluster, and a balancer's neither: such a machine is nothing else."""
    planes = {machine.name for machine in inventory.of("control_plane")}
    others = [m for m in inventory.machines if m.name not in planes]
    mixed = [m.name for m in others if len(m.roles) > 1 and m.roles & {"etcd", "lb"}]
    if mixed:
        raise _refused(f"{', '.join(mixed)}: a machine for etcd or a balancer can be nothing else")
    beside = [m.name for m in inventory.of("control_plane") if "etcd" in m.roles]
    if beside and inventory.of("etcd"):
        raise _refused(f"etcd is on {', '.join(beside)} and on machines of its own: it can be on either")


def _balanced(spec: ClusterSpec, inventory: Inventory) -> ClusterSpec:
    machines = inventory.of("lb")
    if not machines:
        return spec
    said = "mode" in spec.load_balancer.model_fields_set
    if said and spec.load_balancer.mode != "machines":
        mode = spec.load_balancer.mode
        raise _refused(f"the inventory has balancers, and the description has loadBalancer.mode `{mode}`")
    balancer = spec.load_balancer.model_copy(update={"mode": "machines"})
    made = spec.model_copy(update={"load_balancer": balancer})
    if made.control_plane_endpoint or balancing.virtual_address(made):
        return made
    first = machines[0].address or machines[0].access.host
    if first is None:
        raise _refused("with balancers of their own the cluster needs a controlPlaneEndpoint")
    where = endpoint.join(first, balancing.default_port(made))
    return made.model_copy(update={"control_plane_endpoint": where})


def _refused(why: str) -> errors.ConfigInvalid:
    return errors.ConfigInvalid(
        why, hint="fix the inventory's groups, or the description", reason="KB_FLEET_ROLE"
    )
