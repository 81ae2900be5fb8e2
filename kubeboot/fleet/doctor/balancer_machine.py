"""`kubeboot doctor` on a machine with nothing but haproxy: it may ask its cluster for the endpoints alone."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable

from kubeboot import errors
from kubeboot.config.spec import ClusterSpec, LoadBalancer
from kubeboot.fleet.doctor import balancer as checkup_balancer
from kubeboot.fleet.doctor import checkup
from kubeboot.host.api import HostView
from kubeboot.kube import client, facts, identity, surroundings
from kubeboot.kube.client import Client
from kubeboot.pki import endpoint, kubeconfig
from kubeboot.plan import node as nodes
from kubeboot.steps import backends, balancer_access, haproxy, preflight
from kubeboot.steps.preflight import Finding, Surroundings

_AGAIN = (
    "kubeboot join ... --role lb again, with a fresh token from `kubeboot token create` on a control plane"
)


def is_one(see: HostView) -> bool:
    """Whether this machine joined with `--role lb`."""
    return see.stat(balancer_access.KUBECONFIG) is not None


def examine(see: HostView) -> tuple[Finding, ...]:
    """Everything that is wrong with it."""
    data = see.read(balancer_access.KUBECONFIG) or b""
    with identity.naming(balancer_access.KUBECONFIG):
        api = client.from_kubeconfig(data, see.dial, read=see.read)
    _, port = endpoint.split(kubeconfig.decode(data).server.removeprefix("https://"), 8443)
    spec = ClusterSpec(load_balancer=LoadBalancer(mode="machines", port=port))
    findings = (finding for check in CHECKS for finding in check(see, spec, api))
    return tuple(findings)


def _machine(see: HostView, spec: ClusterSpec, api: Client) -> Iterable[Finding]:
    """Preflight, as of a machine of ours."""
    machine, known = see.facts(), haproxy.known(see)
    near = see.route_source(known[0][0]) if known else None
    node = nodes.settings(spec, machine, "load_balancer", near)
    around = Surroundings((), known, "", _ahead(api))
    scene = preflight.Scene(spec, node, machine, see, True, os.environ, around)
    return preflight.examine(scene, preflight.CHECKS)


def _ahead(api: Client) -> float | None:
    try:
        return surroundings.ahead(api)
    except errors.KubebootError:
        return None


def _units(see: HostView, spec: ClusterSpec, api: Client) -> Iterable[Finding]:
    return checkup.running(see, (*checkup.UNITS, backends.TIMER))


def _haproxy(see: HostView, spec: ClusterSpec, api: Client) -> Iterable[Finding]:
    return checkup_balancer.haproxy(see, "127.0.0.1", haproxy.health_port(spec))


def _token(see: HostView, spec: ClusterSpec, api: Client) -> Iterable[Finding]:
    until = balancer_access.expiry(see.read(balancer_access.TOKEN) or b"")
    if until is None or until <= time.time():
        yield Finding(
            "BalancerToken",
            f"{balancer_access.TOKEN} {'has expired' if until else 'holds no token'}: haproxy keeps the API "
            "servers that it knows, and learns of no new ones",
            _AGAIN,
        )


def _current(see: HostView, spec: ClusterSpec, api: Client) -> Iterable[Finding]:
    """The timer runs every half a minute: what it has not done yet is no illness, what it cannot do is."""
    try:
        named = facts.control_planes(api)
    except errors.KubebootError as error:
        yield Finding("Endpoints", f"the endpoints cannot be read: {error.message}", _AGAIN)
        return
    for host, port in sorted(set(named) - set(haproxy.known(see))):
        where = endpoint.join(host, port)
        hint = f"journalctl -u {backends.SERVICE}; systemctl start {backends.SERVICE}"
        yield Finding(f"Backend-{where}", f"haproxy does not know the API server at {where}", hint, "warning")


CHECKS: tuple[Callable[[HostView, ClusterSpec, Client], Iterable[Finding]], ...] = (
    _machine, _units, _haproxy, _token, _current,
)  # fmt: skip
