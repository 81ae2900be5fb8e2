"""A way to services on machines without a default route."""

from __future__ import annotations

import dataclasses

import pytest

from kubeboot.config.node import NodeSettings
from kubeboot.config.spec import ClusterSpec, Networking
from kubeboot.steps import service_route
from tests.fakes.host import FakeHost
from tests.sim.contract import converges

NODE = NodeSettings("cp-1", "192.168.56.11", "control_plane", interface="eth1", default_route=False)


def test_a_default_route_is_enough() -> None:
    assert service_route.steps(ClusterSpec(), dataclasses.replace(NODE, default_route=True)) == ()


def test_the_unit_makes_and_removes_the_route() -> None:
    write, start = service_route.steps(ClusterSpec(), NODE)
    host = FakeHost("cp-1")
    converges(write, host)
    text = host.read(service_route.UNIT_FILE).decode()
    assert "ExecStart=ip route replace 10.96.0.0/12 dev eth1 src 192.168.56.11\n" in text
    assert "ExecStop=-ip route delete 10.96.0.0/12 dev eth1\n" in text
    host.write(service_route.UNIT_FILE, text.encode())
    converges(start, host)


@pytest.mark.parametrize(
    ("address", "expected"), [("192.168.56.11", ("10.96.0.0/12",)), ("fd00::b", ("fd01::/108",))]
)
def test_of_two_ranges_that_of_the_machine_s_family_is_routed(
    address: str, expected: tuple[str, ...]
) -> None:
    spec = ClusterSpec(networking=Networking(service_subnet="10.96.0.0/12,fd01::/108"))
    assert service_route.ranges(spec, dataclasses.replace(NODE, address=address)) == expected
