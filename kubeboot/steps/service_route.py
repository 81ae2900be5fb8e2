"""A way to the services' addresses, on a machine that has no default route.

kube-proxy rewrites packets that are on their way. Without any route to a service's address the kernel refuses
a connection from the machine itself before that: ENETUNREACH. Pods with addresses of their own do not notice.
"""

from __future__ import annotations

from kubeboot import render
from kubeboot.config.node import NodeSettings
from kubeboot.config.spec import ClusterSpec
from kubeboot.engine.step import Step
from kubeboot.steps import basic

UNIT = "kubeboot-service-route.service"
UNIT_FILE = f"/etc/systemd/system/{UNIT}"


def ranges(spec: ClusterSpec, node: NodeSettings) -> tuple[str, ...]:
    """The services' ranges of the machine's address family; none where there is a default route."""
    if node.default_route:
        return ()
    every = (part.strip() for part in spec.networking.service_subnet.split(","))
    return tuple(part for part in every if (":" in part) == (":" in node.address))


def steps(spec: ClusterSpec, node: NodeSettings) -> tuple[Step, ...]:
    """Nothing where there is a default route; the unit brings the route back at every boot."""
    wanted = ranges(spec, node)
    if not wanted:
        return ()
    text = render.template(
        "systemd/kubeboot-service-route.service.j2",
        ranges=wanted,
        interface=node.interface,
        address=node.address,
    )
    return (
        basic.EnsureUnitFile(
            id="kernel/service-route-unit",
            title="Write the unit that makes a route to services",
            on=node.name,
            path=UNIT_FILE,
            data=text.encode(),
            unit=UNIT,
        ),
        basic.EnsureActive(
            id="kernel/service-route",
            title="Make a route to services",
            on=node.name,
            after=frozenset({"kernel/service-route-unit"}),
            follows=frozenset({"kernel/service-route-unit"}),
            unit=UNIT,
        ),
    )
