"""What the network leaves behind: the virtual address, interfaces, nftables tables."""

from __future__ import annotations

import dataclasses
import signal

from kubeboot.engine.step import Check, Drift, Ok, Step, Target, View
from kubeboot.engine.values import Values
from kubeboot.steps import virtual_ip

LINKS = ("cni0", "flannel.1", "flannel-v6.1", "kube-ipvs0")
NFT_TABLES = ("kube-proxy", "flannel-ipv4", "flannel-ipv6")


@dataclasses.dataclass(frozen=True, kw_only=True)
class NoVirtualAddress(Step):
    """keepalived has ended by itself, so that another machine has its address at once; this one has not."""

    def check(self, see: View, vals: Values) -> Check:
        held = virtual_ip.held(see.host)
        if held is not None:
            return Drift(f"give up {held[0].split('/')[0]}", "remove")
        return Drift("end keepalived", "remove") if virtual_ip.processes(see.host) else Ok()

    def apply(self, do: Target, vals: Values) -> None:
        for pid in virtual_ip.processes(do.host):
            do.host.kill(pid, signal.SIGTERM)
        held = virtual_ip.held(do.host)
        if held is not None:
            do.host.delete_address(*held)


@dataclasses.dataclass(frozen=True)
class KeepalivedEnded:
    """A process that was asked to end does so within moments."""

    sentence: str = "keepalived to end"
    deadline: float = 10.0

    def look(self, see: View, vals: Values) -> str | None:
        return "it has not ended yet" if virtual_ip.processes(see.host) else None

    def explain(self, see: View) -> str:
        return ""


@dataclasses.dataclass(frozen=True, kw_only=True)
class NoLinks(Step):
    """flannel's and the bridge plugin's interfaces are gone, with their routes and addresses."""

    def check(self, see: View, vals: Values) -> Check:
        found = _links(see)
        return Drift(f"delete {', '.join(found)}", "remove") if found else Ok()

    def apply(self, do: Target, vals: Values) -> None:
        for name in _links(do.see):
            do.host.delete_link(name)


def _links(see: View) -> tuple[str, ...]:
    return tuple(link.name for link in see.host.links() if link.name in LINKS)


@dataclasses.dataclass(frozen=True, kw_only=True)
class NoTables(Step):
    """kube-proxy's and flannel's nftables tables are gone; everybody else's stay."""

    def check(self, see: View, vals: Values) -> Check:
        found = _tables(see)
        return Drift(f"delete {', '.join(' '.join(t) for t in found)}", "remove") if found else Ok()

    def apply(self, do: Target, vals: Values) -> None:
        for family, name in _tables(do.see):
            do.host.delete_nft_table(family, name)


def _tables(see: View) -> tuple[tuple[str, str], ...]:
    return tuple(table for table in see.host.nft_tables() if table[1] in NFT_TABLES)
