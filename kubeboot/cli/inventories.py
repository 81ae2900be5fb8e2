"""The options of commands about fleets, and what they mean together."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from kubeboot import errors
from kubeboot.cli import asking, doors, flags, params, runtime
from kubeboot.config import purpose

if TYPE_CHECKING:
    from kubeboot.artifacts.api import Catalog
    from kubeboot.config.layers import Setting
    from kubeboot.config.spec import ClusterSpec
    from kubeboot.fleet.doors import Door
    from kubeboot.fleet.orders_fleet import FleetOptions
    from kubeboot.inventory.model import Inventory

    Listing = Callable[[], Inventory]

F = TypeVar("F", bound=Callable[..., Any])

inventory_option = click.option(
    "-i",
    "--inventory",
    metavar="PATH",
    help="an Ansible inventory: file, directory or script; default: `hosts` of the configuration",
)
_LIMIT = "only these machines, groups or roles"
limit_option = params.comma_option("--limit", help=_LIMIT, metavar="NAME")


from_option = click.option(
    "--from",
    "origin",
    metavar="[USER@]HOST[:PORT]",
    help="use the machines and description that the cluster keeps: a control plane, over SSH",
)

MEANWHILE = ("kubeboot.fleet.up", "kubeboot.config.loader", "kubeboot.kube.backend")
"""What a fleet's commands need once the machines are known, imported while Ansible is waited for."""


def fleet_options(command: F) -> F:
    """Which machines, and what they are to become."""
    command = doors.access_options(command)
    limit = params.comma_option("--limit", help=f"{_LIMIT}; control planes are always asked", metavar="NAME")
    which = (inventory_option, from_option, params.config_option, limit)
    for option in reversed((*which, params.bundle_option, params.skip_option)):
        command = option(command)
    return command


def find(ctx: click.Context, given: Mapping[str, Any]) -> tuple[Inventory, ClusterSpec]:
    """The machines, and the description of their cluster, to which an inventory may add its part."""
    with _listing(given) as listing:
        return _found(ctx, given, listing)


@contextlib.contextmanager
def _listing(given: Mapping[str, Any]) -> Iterator[Listing | None]:
    """Ansible takes a second in a process of its own: what will be needed is imported meanwhile."""
    if not given["inventory"] or given.get("origin") is not None:
        yield None
        return
    from concurrent.futures import ThreadPoolExecutor

    from kubeboot.inventory import ansible

    with ThreadPoolExecutor(1) as aside:
        yield ansible.begin(Path(given["inventory"]), aside).result


def _found(
    ctx: click.Context, given: Mapping[str, Any], listing: Listing | None
) -> tuple[Inventory, ClusterSpec]:
    if listing is not None:
        for module in MEANWHILE:
            importlib.import_module(module)
        return described(ctx, given, listing())
    if given["inventory"] is None:
        from kubeboot.inventory import listed

        loaded = flags.load(ctx, given["config"], purpose.MAKE)
        if not loaded.spec.hosts:
            raise errors.UsageProblem(
                "which machines? there is no --inventory, and the configuration lists no `hosts`",
                hint="give -i PATH; the project's inventories/ has samples",
            )
        return listed.read(loaded.spec, ", ".join(loaded.sources)), loaded.spec
    raise errors.UsageProblem("--inventory is empty", hint="name a file, a directory or a script")


def described(
    ctx: click.Context, given: Mapping[str, Any], found: Inventory
) -> tuple[Inventory, ClusterSpec]:
    """What an inventory says of its cluster, below what --config files and flags say."""
    loaded = flags.load(ctx, given["config"], purpose.MAKE, below=_settings(found))
    return found, loaded.spec


def options(ctx: click.Context, given: Mapping[str, Any]) -> FleetOptions:
    """Everything is read and checked before the first connection is made."""
    with _listing(given) as listing:
        from kubeboot.fleet.orders_fleet import FleetOptions

        door = doors.door(ctx, given)
        inventory, spec, catalogs = _fleet(ctx, given, door, listing)
    return FleetOptions(
        spec=spec,
        inventory=inventory,
        catalogs=catalogs,
        limit=given["limit"],
        ask=_asker(runtime.current(ctx), yes=given.get("yes", False)),
        door=doors.meant(ctx, door, inventory, spec.cluster_name),
        skip=flags.phases(given["skip_phases"]),
        ignore_preflight=frozenset(given.get("ignore_preflight_errors", ())),
        timeout_scale=given.get("timeout_scale", 1.0),
    )


def _fleet(
    ctx: click.Context, given: Mapping[str, Any], door: Door, listing: Listing | None
) -> tuple[Inventory, ClusterSpec, Mapping[str, Catalog]]:
    if given["origin"] is None:
        return *_found(ctx, given, listing), {}
    if given["inventory"] is not None:
        raise errors.UsageProblem("--from and --inventory each say which machines there are", hint="give one")
    from kubeboot.cli import actions

    kept = actions.kept(given["origin"], door)
    door.trust(kept.host_keys)
    return *described(ctx, given, kept.inventory), kept.catalogs


def _settings(found: Inventory) -> list[Setting]:
    from kubeboot.config.layers import Setting
    from kubeboot.config.problems import Origin
    from kubeboot.inventory.ansible import CLUSTER

    origin = Origin(f"{found.source}: {CLUSTER}")
    return [Setting((name,), _frozen(value), origin) for name, value in found.cluster.items()]


def _frozen(value: Any) -> Any:  # noqa: ANN401 - YAML's
    """Lists as tuples, as documents have them."""
    if isinstance(value, Mapping):
        return {key: _frozen(inner) for key, inner in value.items()}
    return tuple(map(_frozen, value)) if isinstance(value, list) else value


def _asker(now: runtime.Runtime, *, yes: bool) -> Callable[[tuple[str, ...]], bool]:
    """Without a terminal there is nobody to ask, and the answer is no."""

    def ask(names: tuple[str, ...]) -> bool:
        if yes:
            return True
        return asking.someone(now) and asking.agreed(
            now, f"remove {', '.join(names)}: drain, leave etcd, reset?"
        )

    return ask
