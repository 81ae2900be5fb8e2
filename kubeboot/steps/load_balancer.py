"""haproxy on every machine: the way to whichever API server is ready."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from kubeboot.artifacts.api import Catalog
from kubeboot.config import balancing
from kubeboot.config.node import NodeSettings
from kubeboot.config.spec import ClusterSpec
from kubeboot.engine.step import Check, Drift, Ok, Step, Target, View
from kubeboot.engine.undo import Undo
from kubeboot.engine.values import Values
from kubeboot.kube import client
from kubeboot.kube.tls import Endpoint
from kubeboot.pki import endpoint
from kubeboot.pki.table import SERVER_NAME
from kubeboot.steps import basic, paths, pod_logs
from kubeboot.steps.backends import SERVICE, STATE, TIMER
from kubeboot.steps.backends import steps as backends_steps
from kubeboot.steps.etcd import loopback
from kubeboot.steps.haproxy import BASE, CA, CONFIG, USER, Backend, config, health_port, listed, servers
from kubeboot.steps.pod_manifest import EnsureStaticPod
from kubeboot.steps.static_pod import Probe, StaticPod, Volume

MANIFEST = "load-balancer/manifest"
LOADED = f"{STATE}/loaded"


def steps(
    spec: ClusterSpec, node: NodeSettings, backends: Sequence[Backend], catalog: Catalog
) -> tuple[Step, ...]:
    """The config and the static pod, before the kubelet that runs it; what keeps the servers current.

    Nothing on machines without a balancer.
    """
    if not balancing.runs_haproxy(spec, node.role):
        return ()
    base = config(spec, node).encode()
    return (
        basic.EnsureFile(
            id="load-balancer/config",
            title="Write haproxy's config",
            on=node.name,
            after=frozenset({"trees/"}),
            path=BASE,
            data=base,
        ),
        EnsureServers(
            id="load-balancer/servers",
            title="Write haproxy's servers",
            on=node.name,
            after=frozenset({"load-balancer/config"}),
            path=CONFIG,
            base=base,
            node=node,
            backends=tuple(backends),
        ),
        EnsureStaticPod(
            id=MANIFEST,
            title="Write haproxy's static pod",
            on=node.name,
            after=frozenset({"load-balancer/servers", "pki/"}),
            pod=pod(spec, node, catalog.image("haproxy").name),
        ),
        *backends_steps(spec, node),
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class EnsureServers(Step):
    """haproxy.cfg: the base, and servers. haproxy reads it again without cutting a connection."""

    path: str
    base: bytes = dataclasses.field(repr=False)
    node: NodeSettings
    backends: tuple[Backend, ...]

    def check(self, see: View, vals: Values) -> Check:
        found = see.host.read(self.path)
        wanted = self._wanted(found)
        if found == wanted:
            stat = see.host.stat(self.path)
            wrong = paths.mode_drift(stat, 0o644, "root:root") if stat else None
            return Drift(f"{self.path}: {wrong}", "change", quiet=True) if wrong else Ok()
        summary = f"change {self.path}" if found else f"create {self.path}"
        diff = basic.unified(self.path, found or b"", wanted)
        return Drift(summary, "change" if found else "create", diff)

    def undo(self, see: View) -> Sequence[Undo]:
        return paths.undo(see, self.path)

    def apply(self, do: Target, vals: Values) -> None:
        """Whatever haproxy has read by now, it reads this: what it was told to read is forgotten first."""
        wanted = self._wanted(do.host.read(self.path))
        if do.host.stat(LOADED):
            do.host.remove(LOADED)
        do.host.write(self.path, wanted)
        if do.host.unit(TIMER).active == "active":
            do.host.start(SERVICE)

    def _wanted(self, found: bytes | None) -> bytes:
        return self.base + servers(self.node, self.backends, listed(found or b"")).encode()


@dataclasses.dataclass(frozen=True)
class Serves:
    """An API server is ready, through haproxy at an address that this machine reaches.

    `pods`: those of this machine that it takes.
    """

    address: str
    port: int
    pods: tuple[str, ...] = ("haproxy",)
    deadline: float = 120.0
    sentence: str = "an API server to answer through haproxy"

    def look(self, see: View, vals: Values) -> str | None:
        url, authority = endpoint.url(self.address, self.port), see.host.read(CA) or b""
        where = Endpoint(url, authority, tls_server_name=SERVER_NAME)
        return client.readiness(where, see.host.dial)

    def explain(self, see: View) -> str:
        return pod_logs.explain(see.host, see.host.name, self.pods)


def pod(spec: ClusterSpec, node: NodeSettings, image: str) -> StaticPod:
    """haproxy as nobody in particular, with nothing but its config and the authority.

    Another base starts it again, one that was changed by hand and is fixed does not: it reads that again.
    Its connections do not survive it, so there is no point in lingering at the end.
    """
    directory = CONFIG.rpartition("/")[0]
    return StaticPod(
        name="haproxy",
        image=image,
        command=("haproxy", "-W", "-db", "-f", CONFIG),
        port=health_port(spec),
        probes=(Probe("liveness", "/healthz", 10, 10, 3, 5), Probe("readiness", "/healthz", 0, 1, 3, 5)),
        volumes=(
            Volume("ca", CA, CA, kind="File"),
            Volume("config", directory, directory, kind="Directory"),
            Volume("run", "", "/run/haproxy", read_only=False),
        ),
        requests=(("cpu", "25m"), ("memory", "32Mi")),
        inputs=(CA,),
        annotations=(("kubeboot.io/config", basic.digest(config(spec, node))[:32]),),
        probe_host=loopback(node.address),
        probe_scheme="HTTP",
        tier="control-plane" if node.role == "control_plane" else "node",
        user=USER,
        grace=1,
    )
