"""What a fleet is asked for and how it ended."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from kubeboot.fleet.orders import ADMIN_CONF

if TYPE_CHECKING:
    from kubeboot.artifacts.api import Catalog
    from kubeboot.config.spec import ClusterSpec
    from kubeboot.engine.events import HostFinished
    from kubeboot.fleet.doors import Door
    from kubeboot.inventory.model import Inventory


@dataclasses.dataclass(frozen=True)
class FleetOptions:
    """`limit`: machines, groups or roles; none means all. `ask` is told which machines would be removed.

    Removed are machines that an earlier run had and that the inventory does not have any more. `catalogs`:
    what the machines were made of, by architecture, where the cluster itself was asked. `door` opens
    machines; None: nobody is asked anything.
    """

    spec: ClusterSpec
    inventory: Inventory
    limit: tuple[str, ...] = ()
    ask: Callable[[tuple[str, ...]], bool] = lambda names: False
    door: Door | None = None
    skip: frozenset[str] = frozenset()
    ignore_preflight: frozenset[str] = frozenset()
    timeout_scale: float = 1.0
    catalogs: Mapping[str, Catalog] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class FleetResult:
    """How it went on each machine, in the inventory's order."""

    hosts: tuple[HostFinished, ...]
    seconds: float

    @property
    def failed(self) -> tuple[HostFinished, ...]:
        """The machines on which something is left to do."""
        return tuple(host for host in self.hosts if host.state in ("failed", "unreachable", "skipped"))

    @property
    def clean(self) -> bool:
        """Every machine answered, and there was nothing to do."""
        return all(host.state == "ok" for host in self.hosts)


@dataclasses.dataclass(frozen=True)
class ExecOptions:
    """`root`: with sudo where the user is another. `deadline` in seconds is that of a local command."""

    inventory: Inventory
    argv: tuple[str, ...]
    limit: tuple[str, ...] = ()
    root: bool = False
    deadline: float = 3600.0
    door: Door | None = None


@dataclasses.dataclass(frozen=True)
class MergeOptions:
    """`inventory` None: from this machine. `context`: its name in the file; default: the cluster's."""

    to: str
    inventory: Inventory | None = None
    path: str = ADMIN_CONF
    server: str | None = None
    context: str | None = None
    door: Door | None = None
