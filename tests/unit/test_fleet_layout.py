"""Machines of their own for etcd and balancers, and what follows for the description of the cluster."""

from __future__ import annotations

from typing import Any

import pytest

from kubeboot import errors
from kubeboot.config.components import Etcd, ExternalEtcd
from kubeboot.config.spec import ClusterSpec, LoadBalancer
from kubeboot.fleet import layout
from kubeboot.inventory.model import Inventory, Machine

ELSEWHERE = ExternalEtcd(endpoints=("https://192.0.2.9:2379",))


def inventory(**roles: str) -> Inventory:
    return Inventory(
        "hosts",
        tuple(
            Machine(name, frozenset(said.split("+")), address=f"192.0.2.{n}")  # type: ignore[arg-type]
            for n, (name, said) in enumerate(roles.items(), 1)
        ),
    )


def test_without_such_machines_nothing_changes() -> None:
    spec = ClusterSpec()
    assert layout.described(spec, inventory(cp="control_plane+etcd+worker", w="worker")) is spec


def test_balancers_choose_the_mode_and_the_first_is_the_endpoint() -> None:
    made = layout.described(ClusterSpec(), inventory(cp="control_plane", lb="lb"))
    assert made.load_balancer.mode == "machines" and made.control_plane_endpoint == "192.0.2.2:8443"
    named = ClusterSpec(control_plane_endpoint="k8s.example.org:443")
    made = layout.described(named, inventory(cp="control_plane", lb="lb"))
    assert made.control_plane_endpoint == "k8s.example.org:443"


@pytest.mark.parametrize(
    ("spec", "roles", "why"),
    [
        (
            {},
            {"cp": "control_plane", "e": "etcd+worker"},
            "e: a machine for etcd or a balancer can be nothing",
        ),
        ({}, {"cp": "control_plane", "l": "lb+worker"}, "l: a machine"),
        ({}, {"cp": "control_plane+etcd", "e": "etcd"}, "etcd is on cp and on machines of its own"),
        ({"etcd": Etcd(external=ELSEWHERE)}, {"cp": "control_plane", "e": "etcd"}, "etcd.external"),
        ({"load_balancer": LoadBalancer(mode="local")}, {"cp": "control_plane", "l": "lb"}, "mode `local`"),
    ],
)
def test_what_disagrees_is_refused(spec: dict[str, Any], roles: dict[str, str], why: str) -> None:
    with pytest.raises(errors.ConfigInvalid, match=why) as raised:
        layout.described(ClusterSpec(**spec), inventory(**roles))
    assert raised.value.reason == "KB_FLEET_ROLE"


def test_urls_in_another_order_are_no_change() -> None:
    assert layout.merged(("b", "a", "gone"), ("a", "b", "new")) == ("b", "a", "new")
