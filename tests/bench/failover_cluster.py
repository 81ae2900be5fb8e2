"""A highly available cluster on the lab's machines: made from nothing, looked at, and let come to rest."""

from __future__ import annotations

import base64
import dataclasses
import http.client
import json
import subprocess
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from tests.bench import machines, observe, peers
from tests.bench.machines import Machine

PKI = "/etc/kubernetes/pki/etcd"
REST = 240.0
SHARED_DISK = (
    "--ignore-preflight-errors",
    "EtcdDisk,DiskPressure-var-lib-kubelet,DiskPressure-var-lib-containerd",
)
"""Machines on one disk: too slow for etcd while they are made, and as full as others make it."""
FULL_DISK = b"""apiVersion: kubeboot.io/v1alpha1
kind: Cluster
kubelet:
  imageGCHighThresholdPercent: 100
  evictionHard: {memory.available: 100Mi, nodefs.available: 1%, imagefs.available: 1%}
"""
"""The kubelets are not to evict for what others put on that disk."""
STATS = """
for s in /var/lib/kubelet/pods/*/volumes/kubernetes.io~empty-dir/run/admin.sock; do
  echo 'show stat' | socat - "UNIX:$s" && exit
done 2>/dev/null
exit 1
"""
Unready = (
    OSError, ValueError, TypeError, KeyError, http.client.HTTPException, subprocess.SubprocessError,
    machines.Failed,
)  # fmt: skip
"""What asking a cluster that is not there yet comes to."""


@dataclasses.dataclass(frozen=True)
class Command:
    """A kubeboot command that made a part of the cluster."""

    machine: str
    began: float
    seconds: float
    steps: Mapping[str, Mapping[str, Any]]


@dataclasses.dataclass(frozen=True)
class Cluster:
    """The members of a lab that are in the cluster, by name."""

    lab: str
    members: tuple[str, ...]
    known: Mapping[str, Machine]

    @classmethod
    def of(cls, lab: str, members: tuple[str, ...]) -> Cluster:
        return cls(lab, members, machines.of(lab))

    def machine(self, name: str) -> Machine:
        """As it runs now."""
        return machines.as_it_runs(self.known[name])

    @property
    def control_planes(self) -> tuple[str, ...]:
        return tuple(name for name in self.members if name.startswith("cp-"))

    @property
    def workers(self) -> tuple[str, ...]:
        return tuple(name for name in self.members if name.startswith("worker-"))

    def api(self, name: str) -> observe.Api:
        """The API server of one control plane, past every balancer."""
        return observe.Api(self.machine(name))


def make(lab: str, members: tuple[str, ...]) -> tuple[Cluster, list[Command]]:
    """init on the first control plane, then everything else joins at once."""
    made = Cluster.of(lab, members)
    found = made.known
    found["cp-1"].write("/root/cluster.yaml", FULL_DISK)
    first = ran(found["cp-1"], ["kubeboot", "init", "--upload-certs", "--config", "/root/cluster.yaml"])
    result = first[1]
    commands = {
        name: result["controlPlaneJoinCommand" if name.startswith("cp-") else "joinCommand"].split()
        for name in members
        if name != "cp-1"
    }
    with ThreadPoolExecutor(len(commands)) as pool:
        joined = list(pool.map(lambda name: ran(found[name], commands[name])[0], commands))
    return made, [first[0], *joined]


def ran(machine: Machine, argv: list[str]) -> tuple[Command, dict[str, Any]]:
    """A command, timed, with the result that it prints."""
    began = time.monotonic()
    lines = machine.run(*argv, "-o", "json", *SHARED_DISK).splitlines()
    took = time.monotonic() - began
    return Command(machine.name, began, took, peers.steps(lines, began)["steps"]), json.loads(lines[-1])


def credentials(machine: Machine, room: Path) -> None:
    """The administrator's, as ca.pem, certificate.pem and key.pem."""
    config = yaml.safe_load(machine.read(observe.ADMIN) or b"")
    cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
    parts = {
        "ca": cluster["certificate-authority-data"],
        "certificate": user["client-certificate-data"],
        "key": user["client-key-data"],
    }
    for name, data in parts.items():
        path = room / f"{name}.pem"
        path.touch(0o600)
        path.write_bytes(base64.b64decode(data))


def leader(cluster: Cluster) -> str:
    """The control plane whose etcd leads."""
    identity = ("--cert", f"{PKI}/healthcheck-client.crt", "--key", f"{PKI}/healthcheck-client.key")
    argv = ("curl", "-sS", "--max-time", "5", "--cacert", f"{PKI}/ca.crt", *identity, "-d", "{}")
    for name in cluster.control_planes:
        url = "https://127.0.0.1:2379/v3/maintenance/status"
        said = json.loads(cluster.machine(name).run(*argv, url))
        if said["leader"] == said["header"]["member_id"]:
            return name
    raise machines.Failed("no member of etcd says that it leads")


def rest(cluster: Cluster, *touched: str) -> float:
    """Wait until nothing of an event is left; a restarted kubelet has forgotten its back-off."""
    began = time.monotonic()
    for name in touched:
        await_(partial(forgot, cluster, name), REST, f"{name} to have booted")
    await_(lambda: unrest(cluster), REST, "the cluster to be at rest")
    return time.monotonic() - began


def forgot(cluster: Cluster, name: str) -> None:
    """Its kubelet knows of no failure any more; Failed while systemd does not answer yet."""
    cluster.machine(name).run("systemctl", "restart", "kubelet.service")


def await_(look: Callable[[], str | None], seconds: float, what: str, pause: float = 0.5) -> None:
    """Look until there is nothing to object to; Failed with the last objection."""
    end = time.monotonic() + seconds
    while True:
        try:
            last = look()
        except Unready as error:
            last = f"{type(error).__name__}: {error}"
        if last is None:
            return
        if time.monotonic() > end:
            raise machines.Failed(f"waited {seconds:.0f} s for {what}: {last}")
        time.sleep(pause)


def unrest(cluster: Cluster) -> str | None:
    """What is not as it should be: an API server, a Node, a pod, a server of some haproxy."""
    for name in cluster.control_planes:
        status, _ = observe.Api(cluster.machine(name)).ask("GET", "/api/v1/namespaces/default")
        if status != 200:
            return f"{name}: {status}"
    api = cluster.api(cluster.control_planes[-1])
    _, nodes = api.ask("GET", "/api/v1/nodes")
    _, pods = api.ask("GET", "/api/v1/namespaces/kube-system/pods")
    unready = [obj["metadata"]["name"] for obj in (*nodes["items"], *pods["items"]) if not is_ready(obj)]
    down = [f"{name}: {server}" for name in cluster.members for server in servers_down(cluster.machine(name))]
    return ", ".join((*unready, *down)) or None


def is_ready(obj: Mapping[str, Any]) -> bool:
    """A Node or a pod."""
    return any(c["type"] == "Ready" and c["status"] == "True" for c in obj["status"].get("conditions", ()))


def servers_down(machine: Machine) -> list[str]:
    """What a machine's haproxy does not reach."""
    return [server for server, state in servers(machine.run("sh", "-c", STATS)).items() if state != "UP"]


def servers(told: str) -> dict[str, str]:
    """By what STATS prints: each API server's address, and whether haproxy sends to it."""
    rows = [line.split(",") for line in told.splitlines()]
    return {row[1]: row[17] for row in rows if row[0] == "apiservers" and row[1] != "BACKEND"}
