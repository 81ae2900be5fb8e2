"""What a local and a remote machine do in the same way: by a command of the table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeVar

from kubeboot.host import commands, health, scripts
from kubeboot.host.facts import Facts
from kubeboot.host.model import BareContainer, Chain, Container, EtcdTool, Image, Link, Rule, Space
from kubeboot.host.runner import Ask, Runner, Tell

T = TypeVar("T")


class CommandView:
    """The reads that need a command. Accepts nothing that changes anything."""

    def __init__(self, name: str, runner: Runner) -> None:
        self._name = name
        self._runner = runner

    @property
    def name(self) -> str:
        """The machine's name in the plan."""
        return self._name

    def _ask(self, ask: Ask[T]) -> T:
        return ask.answer(self._runner(ask.argv, (ask.stdin,), ask.deadline), self._name)

    def facts(self) -> Facts:
        """Everything that a plan may know of the machine, in one round trip."""
        return self._ask(commands.probe())

    def links(self) -> tuple[Link, ...]:
        """Network interfaces."""
        return self._ask(commands.links())

    def nft_tables(self) -> tuple[tuple[str, str], ...]:
        """nftables' tables as (family, name)."""
        return self._ask(commands.nft_tables())

    def images(self) -> tuple[Image, ...]:
        """Images in containerd's k8s.io namespace."""
        return self._ask(commands.images())

    def containers(self) -> tuple[Container, ...]:
        """Containers in containerd's k8s.io namespace."""
        return self._ask(commands.containers())

    def journal_tail(self, unit: str, lines: int = 20) -> str:
        """A unit's last words."""
        return self._ask(commands.journal_tail(unit, lines))

    def route_source(self, address: str) -> str | None:
        """The source address towards `address`; None where there is no route."""
        return self._ask(commands.route_source(address))

    def space(self, path: str) -> Space:
        """The file system that `path` is or will be on."""
        return self._ask(health.space(path))

    def active_units(self) -> frozenset[str]:
        """The units that run."""
        return self._ask(health.active_units())

    def versions(self) -> Mapping[str, str]:
        """Of the tools that a node may have already."""
        return self._ask(health.versions())

    def runtime_config(self) -> str:
        """containerd's effective configuration."""
        return self._ask(health.runtime_config())

    def nft_chains(self) -> tuple[Chain, ...]:
        """nftables' chains."""
        return self._ask(health.nft_chains())

    def nft_refusals(self) -> tuple[Rule, ...]:
        """nftables' rules that drop or reject."""
        return self._ask(health.nft_refusals())

    def sync_seconds(self, path: str) -> float | None:
        """The mean time of a small synced write."""
        return self._ask(health.sync_seconds(path))

    def module(self, name: str) -> bool:
        """Whether the kernel has the module, loaded or built in."""
        raise NotImplementedError


class CommandTarget(CommandView):
    """Adds the writes that need a command."""

    def _tell(self, tell: Tell, chunks: Iterable[bytes] = ()) -> None:
        tell.verify(self._runner(tell.argv, chunks, tell.deadline), self._name)

    def daemon_reload(self) -> None:
        """Make systemd read its files again."""
        self._tell(commands.daemon_reload())

    def start(self, unit: str) -> None:
        """Start a unit and wait until it says that it runs."""
        self._tell(commands.start(unit))

    def restart(self, unit: str) -> None:
        """Stop and start a unit."""
        self._tell(commands.restart(unit))

    def stop(self, unit: str) -> None:
        """Stop a unit."""
        self._tell(commands.stop(unit))

    def enable(self, unit: str) -> None:
        """Start the unit at boot from now on."""
        self._tell(commands.enable(unit))

    def disable(self, unit: str) -> None:
        """Do not start the unit at boot."""
        self._tell(commands.disable(unit))

    def load_module(self, name: str) -> None:
        """Load a kernel module; a built-in one is there already."""
        if not self.module(name):
            self._tell(commands.load_module(name))

    def import_images(self, chunks: Iterable[bytes], names: tuple[str, ...], pinned: bool = False) -> None:
        """Stream an OCI image layout into containerd."""
        self._tell(commands.import_images(pinned), chunks)

    def remove_image(self, name: str) -> None:
        """Forget an image."""
        self._tell(commands.remove_image(name))

    def remove_container(self, id: str) -> None:
        """Kill a container's processes and drop it."""
        self._tell(commands.remove_task(id))
        self._tell(commands.remove_container(id))

    def rename(self, path: str, to: str) -> None:
        """Move within a file system, durably."""
        self._tell(scripts.rename(path, to))

    def copy_tree(self, path: str, to: str) -> None:
        """Copy a directory, durably; blocks are shared where the file system can."""
        self._tell(scripts.copy_tree(path, to))

    def restore_snapshot(self, snapshot: str, to: str, tool: EtcdTool) -> None:
        """Make a data directory of etcd, once no earlier attempt is under way."""
        self.remove_container(commands.ETCDUTL)
        self._tell(commands.restore_snapshot(snapshot, to, tool))

    def start_container(self, container: BareContainer) -> None:
        """Start it, once no earlier one of its name is there."""
        self.remove_container(container.id)
        self._tell(commands.start_container(container))

    def end_container(self, id: str) -> None:
        """Ask its processes to end, and drop it."""
        self._tell(commands.end_task(id))
        self.remove_container(id)

    def unmount(self, point: str) -> None:
        """Unmount; lazily what is still in use."""
        result = self._runner(commands.unmount(point, lazily=False).argv, (), 30.0)
        if b"busy" in result.err:
            self._tell(commands.unmount(point, lazily=True))
        else:
            commands.unmount(point, lazily=False).verify(result, self._name)

    def delete_link(self, name: str) -> None:
        """Remove a network interface."""
        self._tell(commands.delete_link(name))

    def delete_address(self, address: str, link: str) -> None:
        """Take an address (CIDR) from a network interface."""
        self._tell(commands.delete_address(address, link))

    def delete_nft_table(self, family: str, name: str) -> None:
        """Remove an nftables table."""
        self._tell(commands.delete_nft_table(family, name))
