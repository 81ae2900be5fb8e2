"""Faults of joining: the cluster that is there, and the way to it."""

from __future__ import annotations

import socket
from typing import Any

from kubeboot.config.spec import LoadBalancer, VirtualIp
from kubeboot.kube.surroundings import Machine
from tests.sim.preflight_seeds import (
    MACHINE_ID,
    Fault,
    Seed,
    Stage,
    all_of,
    cluster,
    peer,
    put,
    spec,
)

_ENDPOINT = ("k8s.example.org", 6443)


def _external() -> Seed:
    return spec(control_plane_endpoint=_ENDPOINT[0], load_balancer=LoadBalancer(mode="external"))


def _unresolved(stage: Stage) -> None:
    def fail() -> Any:
        raise socket.gaierror(-2, "Name or service not known")

    stage.host.dialers[_ENDPOINT] = fail


def _virtual(address: str, peers: tuple[str, ...] = ()) -> Seed:
    virtual = VirtualIp(address=address, peers=peers)
    return spec(load_balancer=LoadBalancer(virtual_ip=virtual))


_API = "the cluster's Nodes, when joining"


FAULTS = (
    Fault("20", "ClockSkew", "error", "Date of the API's answer", cluster(ahead=252.0)),
    Fault("20", "ClockSkew", "warning", "Date of the API's answer", cluster(ahead=-5.0)),
    Fault(
        "54",
        "PeerUnreachable-6443",
        "error",
        "a connection to every API server",
        cluster(control_planes=(("192.0.2.12", 6443),)),
    ),
    Fault("29", "DuplicateMachineID", "error", _API, peer(machine_id=MACHINE_ID)),
    Fault(
        "29",
        "DuplicateProductUUID",
        "warning",
        _API,
        all_of(peer(product_uuid="4C4C4544-0001"), put("/sys/class/dmi/id/product_uuid", "4c4c4544-0001\n")),
    ),
    Fault("50", "DuplicateAddress", "error", _API, peer(addresses=("192.0.2.11",))),
    Fault("91", "VersionSkew", "error", "the API server's version", cluster(version="v1.36.4")),
    Fault(
        "88",
        "EvenControlPlanes",
        "warning",
        _API,
        cluster("control_plane", peers=(Machine("node-2", control_plane=True),)),
    ),
    Fault(
        "74",
        "EndpointUnreachable",
        "error",
        "a connection to the endpoint, without haproxy here",
        all_of(_external(), cluster()),
    ),
    Fault(
        "74",
        "EndpointUnknown",
        "warning",
        "the endpoint's name, without haproxy here",
        all_of(_external(), _unresolved),
    ),
    Fault(
        "75",
        "VirtualIPTaken",
        "error",
        "a connection, and who answers ARP",
        all_of(
            _virtual("192.0.2.100"),
            put("/proc/net/arp", "IP\n192.0.2.100 0x1 0x2 02:00:00:00:00:09 * eth0\n"),
        ),
    ),
    Fault("75", "VirtualIPNetwork", "error", "addresses", _virtual("198.51.100.1")),
    Fault("75", "VirtualIPOwn", "error", "addresses", _virtual("192.0.2.11")),
    Fault("75", "VirtualIPPeers", "error", "spec", _virtual("192.0.2.100", ("192.0.2.12",))),
)
