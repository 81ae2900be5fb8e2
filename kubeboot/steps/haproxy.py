"""haproxy's config as text: the base, the servers after it, and what a machine's own says."""

from __future__ import annotations

from collections.abc import Sequence

from kubeboot import render
from kubeboot.config import balancing
from kubeboot.config.node import NodeSettings
from kubeboot.config.spec import ClusterSpec
from kubeboot.host.api import HostView
from kubeboot.pki import endpoint
from kubeboot.steps.etcd import loopback
from kubeboot.steps.static_pod import PKI

Backend = tuple[str, str, int]
"""An API server: its node's name, address and port."""

CONFIG = "/etc/kubernetes/haproxy/haproxy.cfg"
"""What haproxy reads: the base, and the servers."""
BASE = "/etc/kubernetes/haproxy/haproxy.base.cfg"
"""All of the config but the servers."""
MAX_CONNECTIONS = 4000
CA = f"{PKI}/ca.crt"
_SERVER = b"    server "
USER = 99
"""Upstream's image has this user; any other that is not root does as well."""
_TIMES = {"connect": 500, "look": 1000, "inter": 1000, "fastinter": 250, "downinter": 500}
"""haproxy's patience in milliseconds: to connect, for a check's answer, and between two checks."""


def health_port(spec: ClusterSpec) -> int:
    """Where haproxy says on the loopback address that it is alive."""
    return spec.load_balancer.port + 1


def config(spec: ClusterSpec, node: NodeSettings) -> str:
    """haproxy.base.cfg for this machine. A control plane uses its own API server while that is ready."""
    local = node.role == "control_plane"
    return render.template(
        "haproxy/haproxy.cfg.j2",
        maxconn=MAX_CONNECTIONS,
        binds=_binds(spec, node),
        local=local,
        ca_file=CA,
        times={name: _time(wanted * max(1.0, node.timeout_scale)) for name, wanted in _TIMES.items()},
        virtual=balancing.runs_keepalived(spec, node.role),
        health=endpoint.join(loopback(node.address), health_port(spec)),
    )


def _time(milliseconds: float) -> str:
    """As haproxy reads it; a slow machine's servers are given more time, or all would seem to be down."""
    whole = round(milliseconds)
    return f"{whole}ms" if whole % 1000 else f"{whole // 1000}s"


def servers(node: NodeSettings, backends: Sequence[Backend], there: Sequence[str] = ()) -> str:
    """The servers' lines, in the form that kubeboot-backends writes them too.

    Those that are `there` keep their places, and only the machine's own is added: its timer adds the others
    within half a minute. The timer asks the API through these very servers, so when none of them lives any
    more, all `backends` are added.
    """
    own = {endpoint.join(address, port) for name, address, port in backends if name == node.name}
    wanted = {endpoint.join(address, port) for _, address, port in backends}
    told = own if wanted & {*there} else wanted
    new = sorted(told - {*there}, key=lambda where: (where not in own, where))
    backup = " backup" if node.role == "control_plane" else ""
    return "".join(
        f"    server {where} {where}{'' if where in own else backup}\n" for where in (*there, *new)
    )


def listed(config: bytes) -> tuple[str, ...]:
    """The servers in a haproxy.cfg, each once; a line that leads nowhere is none."""
    lines = (line.decode(errors="replace") for line in config.splitlines() if line.startswith(_SERVER))
    words = map(str.split, lines)
    return tuple(dict.fromkeys(w[2] for w in words if len(w) > 2 and endpoint.is_place(w[2])))


def known(see: HostView) -> tuple[tuple[str, int], ...]:
    """The API servers, address and port, that this machine's haproxy goes to."""
    return tuple(endpoint.split(where, 6443) for where in listed(see.read(CONFIG) or b""))


def _binds(spec: ClusterSpec, node: NodeSettings) -> tuple[str, ...]:
    """IPv6 only where the cluster uses it: a kernel without it refuses such a socket."""
    port = spec.load_balancer.port
    if node.role == "worker":
        return (f"127.0.0.1:{port}",)
    return (f":::{port} v4v6",) if ":" in node.address else (f"*:{port}",)
