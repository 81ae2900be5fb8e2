"""What a machine that joins has to be, as the cluster sees it: reachable, punctual, not there twice."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

from kubeboot.config import versions
from kubeboot.kube.surroundings import Machine
from kubeboot.pki import endpoint
from kubeboot.steps.preflight.model import Finding, Scene

SKEW, TOO_SKEWED = 2.5, 30.0
"""Seconds; the cluster tells its time in whole ones."""
WITHIN = 1.0
ETCD = (2379, 2380)


def clock(scene: Scene) -> Iterable[Finding]:
    ahead = scene.cluster.ahead if scene.cluster else None
    if ahead is not None and abs(ahead) > SKEW:
        yield Finding(
            "ClockSkew",
            f"this machine's clock is {_span(abs(ahead))} {'ahead of' if ahead > 0 else 'behind'} the "
            "control plane's: certificates of one would not be valid for the other",
            "timedatectl set-ntp true (on both), or chronyc makestep",
            "error" if abs(ahead) > TOO_SKEWED else "warning",
        )


def _span(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return " ".join(f"{n}{unit}" for n, unit in ((hours, "h"), (minutes, "m"), (rest, "s")) if n)


def reachable(scene: Scene) -> Iterable[Finding]:
    """Of several control planes one may just have died: it is named for a while, and no reason to refuse."""
    known = scene.cluster.control_planes if scene.cluster else ()
    wanted = [(host, port) for host, port in known if host != scene.node.address]
    if scene.runs_etcd:
        wanted += [(host, port) for host in dict(wanted) for port in ETCD]
        wanted = list(dict.fromkeys(wanted))
    with ThreadPoolExecutor(8) as pool:
        said = tuple(pool.map(lambda place: _dial(scene, *place), wanted))
    alive = {host for (host, _), why in zip(wanted, said, strict=True) if not why}
    for (host, port), why in zip(wanted, said, strict=True):
        if why:
            yield Finding(
                f"PeerUnreachable-{port}",
                f"{scene.node.name} → {endpoint.join(host, port)}: {why}",
                f"open TCP {port} between the machines, and see `ip route get {host}`",
                "error" if not alive or (port in ETCD and host in alive) else "warning",
            )


def _dial(scene: Scene, host: str, port: int) -> str:
    try:
        scene.see.dial(host, port, WITHIN).close()
    except TimeoutError:
        return "filtered (no answer)"
    except OSError as error:
        return (error.strerror or str(error)).lower()
    return ""


def machine_ids(scene: Scene) -> Iterable[Finding]:
    for peer in _others(scene):
        if peer.machine_id and peer.machine_id == scene.facts.machine_id:
            yield Finding(
                "DuplicateMachineID",
                f"{peer.name} has the same /etc/machine-id: one was cloned from the other, and their "
                "pods would share addresses",
                "rm -f /etc/machine-id /var/lib/dbus/machine-id; systemd-machine-id-setup; reboot",
            )


def product_uuids(scene: Scene) -> Iterable[Finding]:
    own = scene.text("/sys/class/dmi/id/product_uuid").strip().lower()
    for peer in _others(scene):
        if own and peer.product_uuid.lower() == own:
            yield Finding(
                "DuplicateProductUUID",
                f"{peer.name} has the same product_uuid {own}: the virtual machine was cloned with it",
                "give this virtual machine a UUID of its own in the hypervisor",
                "warning",
            )


def addresses(scene: Scene) -> Iterable[Finding]:
    for peer in _others(scene):
        if scene.node.address in peer.addresses:
            yield Finding(
                "DuplicateAddress",
                f"{peer.name} has the address {scene.node.address} too: is it the hypervisor's NAT?",
                "give the address by which other machines reach this one: --apiserver-advertise-address",
            )


def _others(scene: Scene) -> tuple[Machine, ...]:
    peers = scene.cluster.peers if scene.cluster else ()
    return tuple(peer for peer in peers if peer.name != scene.node.name)


def skew(scene: Scene) -> Iterable[Finding]:
    server = versions.parse(scene.cluster.version) if scene.cluster else None
    kubelet = versions.parse(scene.spec.kubernetes_version)
    wrong = versions.kubelet_skew(server, kubelet) if server and kubelet else None
    if wrong:
        yield Finding(
            "VersionSkew",
            wrong,
            f"use the kubeboot and the bundle of {server}, or upgrade the control plane",
        )


def even(scene: Scene) -> Iterable[Finding]:
    """An even number of members survives no more failures than the odd one below it.

    Those of an etcd on machines of its own are no Nodes, and cannot be counted by them.
    """
    others = [peer for peer in _others(scene) if peer.control_plane]
    if scene.runs_etcd and scene.node.role != "etcd" and others and len(others) % 2 and not scene.touched:
        yield Finding(
            "EvenControlPlanes",
            f"with this machine there are {len(others) + 1} control planes, which survive the loss of "
            f"{(len(others) + 1 - 1) // 2}, no more than {len(others)} do",
            "add one more after this one",
            "warning",
        )


BESIDE: tuple[Callable[[Scene], Iterable[Finding]], ...] = (clock, machine_ids, addresses)
"""What two machines can be compared by before there is a cluster."""
CHECKS: tuple[Callable[[Scene], Iterable[Finding]], ...] = (
    clock, reachable, machine_ids, product_uuids, addresses, skew, even,
)  # fmt: skip
