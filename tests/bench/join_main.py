"""A second control plane joins, by kubeboot and by kubeadm: from a prepared machine to a Ready Node."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from lablib import build

from kubeboot.artifacts.bundle import Bundle
from tests.bench import failover_cluster, machines, observe, peers, versus
from tests.bench.machines import Machine
from tests.bench.versus import Contest, Sample

UPLOAD = ("kubeadm", "init", "phase", "upload-certs", "--upload-certs", "--config", "/etc/bench/kubeadm.yaml")
KUBEADM = ("--ignore-preflight-errors=all",)


def main(argv: Sequence[str]) -> int:
    """0 when kubeboot holds the bar."""
    return versus.main(CONTEST, argv)


def sample(name: str) -> Sample:
    """Two fresh machines: the first control plane is made, the second one's join is measured."""
    with machines.booted(0, f"join-{name}", control_planes=2) as lab:
        first, second = lab["cp-1"], lab["cp-2"]
        for machine in (first, second):
            machines.prepare(machine)
        command = PEERS[name](first, second)
        failover_cluster.await_(lambda: lacks(first, first), versus.WITHIN, "the first control plane")
        return versus.timed(lambda: second.run(*command), lambda: lacks(first, second), "the Node")


def kubeboot(first: Machine, second: Machine) -> tuple[str, ...]:
    """The command that makes `second` a control plane."""
    _, result = failover_cluster.ran(first, ["kubeboot", "init", "--upload-certs"])
    return (*result["controlPlaneJoinCommand"].split(), *failover_cluster.SHARED_DISK)


def kubeadm(first: Machine, second: Machine) -> tuple[str, ...]:
    """As documented, with a shared endpoint, which is the first machine's."""
    catalog = Bundle(build.bundle_path()).catalog()
    for machine in (first, second):
        peers.place_kubeadm(machine, catalog, tuned=False, address=first.address)
    path = "/etc/bench/kubeadm.yaml"
    text = (first.read(path) or b"").decode()
    shared = f"kind: ClusterConfiguration\ncontrolPlaneEndpoint: {first.address}:6443"
    first.write(path, text.replace("kind: ClusterConfiguration", shared).encode())
    first.run("sh", "-c", f"set -e; {peers.INIT}; {peers.APPLY}")
    key = first.run(*UPLOAD).split()[-1]
    token = first.run("kubeadm", "token", "create", "--print-join-command", "--kubeconfig", observe.ADMIN)
    place = (
        f"\ncontrolPlane:\n  certificateKey: {key}\n"
        f"  localAPIEndpoint: {{advertiseAddress: {second.address}}}\n"
    )
    config = peers.join_config(token.split(), second) + place
    second.write("/etc/bench/join.yaml", config.encode())
    return ("kubeadm", "join", "--config", "/etc/bench/join.yaml", *KUBEADM)


PEERS: dict[str, Callable[[Machine, Machine], tuple[str, ...]]] = {
    "kubeboot": kubeboot,
    "kubeadm": kubeadm,
}
CONTEST = Contest(
    prog="tests/bench/join",
    about=__doc__,
    what="control-plane join",
    ways=("kubeboot", "kubeadm"),
    ours="kubeboot",
    bar=0.6,
    sample=sample,
    samples=3,
)


def lacks(first: Machine, second: Machine) -> str | None:
    """What the Node of `second` lacks."""
    status, node = observe.Api(first).ask("GET", f"/api/v1/nodes/{second.name}")
    ready = status == 200 and failover_cluster.is_ready(node)
    return None if ready else f"{second.name} is not Ready"
