"""What processes leave behind that no journal knows: containers, mounts, interfaces, nftables tables."""

from __future__ import annotations

import dataclasses
import signal
from collections.abc import Sequence

from kubeboot import errors
from kubeboot.engine.step import Check, Drift, Impact, Ok, Step, Target, View
from kubeboot.engine.values import Values
from kubeboot.host.api import CommandFailed
from kubeboot.host.model import Container, Mount
from kubeboot.steps import virtual_ip

NETNS = "/run/netns/cni-"
MOUNT_ROOTS = ("/var/lib/kubelet/", "/run/containerd/", "/var/lib/containerd/", NETNS)
CGROUPS = "/sys/fs/cgroup"
LINKS = ("cni0", "flannel.1", "flannel-v6.1", "kube-ipvs0")
PASSES = 3
NFT_TABLES = ("kube-proxy", "flannel-ipv4", "flannel-ipv6")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Stopped(Step):
    """A unit that does not run."""

    unit: str

    def check(self, see: View, vals: Values) -> Check:
        found = see.host.unit(self.unit)
        return Ok() if found.active in ("inactive", "failed") else Drift(f"stop {self.unit}", "remove")

    def apply(self, do: Target, vals: Values) -> None:
        do.host.stop(self.unit)


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
class NoPods(Step):
    """No container of a pod exists. A machine without containerd has none."""

    def check(self, see: View, vals: Values) -> Check:
        found = _pods(see)
        return Drift(f"remove {len(found)} containers", "remove") if found else Ok()

    def apply(self, do: Target, vals: Values) -> None:
        """A shim that ends while it is asked to (`ttrpc: closed`) has nothing to say the next time."""
        for left in reversed(range(PASSES)):
            failure = _remove_all(do)
            if failure is None:
                return
            if not left:
                raise failure


def _remove_all(do: Target) -> CommandFailed | None:
    """Containers before their sandboxes; each is tried, the last failure is returned."""
    failure: CommandFailed | None = None
    for container in sorted(_pods(do.see), key=lambda c: c.sandbox):
        try:
            do.host.remove_container(container.id)
        except CommandFailed as error:
            failure = error
    return failure


def _pods(see: View) -> tuple[Container, ...]:
    if see.host.unit("containerd.service").active != "active":
        return ()
    return tuple(c for c in see.host.containers() if c.pod or c.sandbox)


@dataclasses.dataclass(frozen=True, kw_only=True)
class NoMounts(Step):
    """Nothing is mounted below the kubelet's and containerd's directories; they themselves may be mounts."""

    def check(self, see: View, vals: Values) -> Check:
        found = _mounts(see)
        return Drift(f"unmount {len(found)} mounts", "remove") if found else Ok()

    def apply(self, do: Target, vals: Values) -> None:
        for mount in sorted(_mounts(do.see), key=lambda m: m.point, reverse=True):
            do.host.unmount(mount.point)
            if mount.point.startswith(NETNS):
                do.host.remove(mount.point)


def _mounts(see: View) -> Sequence[Mount]:
    return [m for m in see.host.mounts() if m.point.startswith(MOUNT_ROOTS)]


@dataclasses.dataclass(frozen=True, kw_only=True)
class NoShims(Step):
    """No shim of a pod's container lives on: one that a killed run left has no container to be found by."""

    def check(self, see: View, vals: Values) -> Check:
        found = _shims(see)
        return Drift(f"end {len(found)} containerd-shim processes", "remove") if found else Ok()

    def apply(self, do: Target, vals: Values) -> None:
        for pid in _shims(do.see):
            do.host.kill(pid, signal.SIGKILL)


@dataclasses.dataclass(frozen=True)
class ShimsEnded:
    """A process that is killed is there a moment longer."""

    sentence: str = "the pods' shims to end"
    deadline: float = 10.0

    def look(self, see: View, vals: Values) -> str | None:
        left = _shims(see)
        return f"{len(left)} of them are left" if left else None

    def explain(self, see: View) -> str:
        return ""


def _shims(see: View) -> tuple[int, ...]:
    return tuple(
        process.pid
        for process in see.host.processes()
        if process.name.startswith("containerd-shim") and "k8s.io" in process.cmdline
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class NoCgroups(Step):
    """The pods' control groups are gone, also those of cgroup v1 that systemd does not look after."""

    def check(self, see: View, vals: Values) -> Check:
        found = _cgroups(see)
        return Drift(f"remove {len(found)} control groups", "remove") if found else Ok()

    def apply(self, do: Target, vals: Values) -> None:
        for path in _cgroups(do.see):
            do.host.remove_cgroup(path)


def _cgroups(see: View) -> tuple[str, ...]:
    places = (CGROUPS, *(f"{CGROUPS}/{name}" for name in see.host.listdir(CGROUPS)))
    return tuple(path for place in places if see.host.stat(path := f"{place}/kubepods.slice"))


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


@dataclasses.dataclass(frozen=True, kw_only=True)
class Gone(Step):
    """A directory of ours that does not exist any more; KubebootError names what holds it."""

    path: str

    def check(self, see: View, vals: Values) -> Check:
        return Ok() if see.host.stat(self.path) is None else Drift(f"remove {self.path}", "remove")

    def apply(self, do: Target, vals: Values) -> None:
        left = do.host.remove_tree(self.path)
        if left:
            raise errors.KubebootError(
                f"could not remove {', '.join(left[:5])}",
                hint=f"see who uses it with `fuser -vm {left[0]}`, then run `kubeboot reset` again",
                reason="KB_RESET_LEFT",
            )


def steps(host: str) -> tuple[Step, ...]:
    """In order: the kubelet first, since it brings back what is stopped under it."""
    table: tuple[tuple[type[Step], str, str, dict[str, object]], ...] = (
        (Stopped, "sweep/kubelet", "Stop the kubelet", {"unit": "kubelet.service"}),
        (NoVirtualAddress, "sweep/virtual-ip", "Give up the virtual address", {"settle": KeepalivedEnded()}),
        (NoPods, "sweep/pods", "Remove the pods' containers", {}),
        (Stopped, "sweep/slice", "Stop the pods' slice", {"unit": "kubepods.slice"}),
        (Stopped, "sweep/containerd", "Stop containerd", {"unit": "containerd.service"}),
        (NoShims, "sweep/shims", "End the pods' shims", {"settle": ShimsEnded()}),
        (NoCgroups, "sweep/cgroups", "Remove what is left of the pods' cgroups", {}),
        (NoMounts, "sweep/mounts", "Unmount what pods left mounted", {}),
        (NoLinks, "sweep/links", "Delete the pod network's interfaces", {}),
        (NoTables, "sweep/nftables", "Delete the pod network's nftables tables", {}),
    )
    made: list[Step] = []
    for kind, step_id, title, fields in table:
        behind = frozenset({made[-1].id}) if made else frozenset()
        made.append(kind(id=step_id, title=title, on=host, behind=behind, impact=Impact.RESTART, **fields))  # type: ignore[arg-type]
    return tuple(made)
