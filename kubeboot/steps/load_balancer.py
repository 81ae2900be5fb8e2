"""haproxy on every machine: the way to whichever API server is ready."""

from __future__ import annotations

from collections.abc import Sequence

from kubeboot import render
from kubeboot.artifacts.api import Catalog
from kubeboot.config.node import NodeSettings
from kubeboot.config.spec import ClusterSpec
from kubeboot.engine.step import Step
from kubeboot.pki import endpoint
from kubeboot.steps import basic
from kubeboot.steps.etcd import loopback
from kubeboot.steps.static_pod import PKI, EnsureStaticPod, Probe, StaticPod, Volume

Backend = tuple[str, str, int]
"""An API server: its node's name, address and port."""

CONFIG = "/etc/kubernetes/haproxy/haproxy.cfg"
MAX_CONNECTIONS = 4000
_CA = f"{PKI}/ca.crt"
_USER = 99
"""Upstream's image has this user; any other that is not root does as well."""
_OWN = "inter 1s fastinter 250ms fall 2 rise 1"
_REMOTE = "inter 2s fastinter 500ms fall 2 rise 1"


def steps(
    spec: ClusterSpec, node: NodeSettings, backends: Sequence[Backend], catalog: Catalog
) -> tuple[Step, ...]:
    """The config and the static pod, before the kubelet that runs it."""
    return (
        basic.EnsureFile(
            id="load-balancer/config",
            title="Write haproxy's config",
            on=node.name,
            after=frozenset({"trees/"}),
            path=CONFIG,
            data=config(spec, node, backends).encode(),
        ),
        EnsureStaticPod(
            id="load-balancer/manifest",
            title="Write haproxy's static pod",
            on=node.name,
            after=frozenset({"load-balancer/config", "pki/"}),
            pod=pod(spec, node, catalog.image("haproxy").name),
        ),
    )


def health_port(spec: ClusterSpec) -> int:
    """Where haproxy says on the loopback address that it is alive."""
    return spec.load_balancer.port + 1


def config(spec: ClusterSpec, node: NodeSettings, backends: Sequence[Backend]) -> str:
    """haproxy.cfg for this machine. A control plane uses its own API server while that is ready."""
    local = node.role == "control_plane"
    return render.template(
        "haproxy/haproxy.cfg.j2",
        maxconn=MAX_CONNECTIONS,
        binds=_binds(spec, node),
        local=local,
        ca_file=_CA,
        timing=_OWN if local else _REMOTE,
        servers=[
            (name, endpoint.join(address, port), local and name != node.name)
            for name, address, port in sorted(backends, key=lambda b: (b[0] != node.name, b[0]))
        ],
        health=endpoint.join(loopback(node.address), health_port(spec)),
    )


def _binds(spec: ClusterSpec, node: NodeSettings) -> tuple[str, ...]:
    """IPv6 only where the cluster uses it: a kernel without it refuses such a socket."""
    port = spec.load_balancer.port
    if node.role == "worker":
        return (f"127.0.0.1:{port}",)
    return (f":::{port} v4v6",) if ":" in node.address else (f"*:{port}",)


def pod(spec: ClusterSpec, node: NodeSettings, image: str) -> StaticPod:
    """haproxy as nobody in particular, with nothing but its config and the authority.

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
            Volume("ca", _CA, _CA, kind="File"),
            Volume("config", directory, directory, kind="Directory"),
            Volume("run", "", "/run/haproxy", read_only=False),
        ),
        requests=(("cpu", "25m"), ("memory", "32Mi")),
        inputs=(CONFIG, _CA),
        probe_host=loopback(node.address),
        probe_scheme="HTTP",
        tier="control-plane" if node.role == "control_plane" else "node",
        user=_USER,
        grace=1,
    )
