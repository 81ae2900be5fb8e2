"""What can be wrong on the way to an API server: haproxy, what it leads to, and the virtual address."""

from __future__ import annotations

import re
from collections.abc import Iterable

from kubeboot.config import balancing
from kubeboot.fleet.doctor.patient import Patient
from kubeboot.host.api import HostView
from kubeboot.kube import client
from kubeboot.kube.tls import Endpoint
from kubeboot.pki import endpoint, table
from kubeboot.steps.etcd import loopback
from kubeboot.steps.haproxy import CONFIG, health_port
from kubeboot.steps.preflight import Finding

_SERVER = re.compile(r"^\s*server (\S+) (\S+)", re.MULTILINE)


def balancer(patient: Patient) -> Iterable[Finding]:
    """This machine's haproxy, if it has one."""
    if not patient.balancer:
        return ()
    port = health_port(patient.spec)
    return haproxy(patient.see, loopback(patient.address), port)


def virtual_address(patient: Patient) -> Iterable[Finding]:
    """Somebody has it, and leads to an API server; here or on another machine."""
    address, port = balancing.virtual_address(patient.spec), patient.spec.load_balancer.port
    if not address:
        return
    problem = _readiness(patient.see, endpoint.url(address, port))
    if problem:
        yield Finding(
            "VirtualIP",
            f"no API server answers at the virtual address {address}: {problem}",
            "see /var/log/pods/kube-system_keepalived-* on the machines that have it; is IP protocol 112 "
            "open between them?",
        )


def haproxy(see: HostView, address: str, port: int) -> Iterable[Finding]:
    """haproxy itself, and each API server that it sends to, asked as it asks them."""
    try:
        see.dial(address, port, 1.0).close()
    except OSError as error:
        yield Finding(
            "LoadBalancer",
            f"haproxy does not answer at port {port}: {error}",
            "see /var/log/pods/kube-system_haproxy-*; kubectl -n kube-system get pods",
        )
    config = (see.read(CONFIG) or b"").decode(errors="replace")
    for name, address in _SERVER.findall(config):
        problem = _readiness(see, f"https://{address}")
        if problem:
            yield Finding(
                f"Backend-{name}",
                f"the API server {name} at {address} is out of haproxy's rotation: {problem}",
                f"see /var/log/pods/kube-system_kube-apiserver-* on {name}; is TCP {address} open?",
            )


def _readiness(see: HostView, server: str) -> str | None:
    """What keeps it from answering, if anything: asked from here, as haproxy asks."""
    authority = see.read(f"{table.DIRECTORY}/ca.crt") or b""
    return client.readiness(Endpoint(server, authority, tls_server_name=table.SERVER_NAME))
