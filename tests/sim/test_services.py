"""A Service whose address was left behind by a request that was cut."""

from __future__ import annotations

from typing import Any

import pytest

from kubeboot.engine.step import Ok, Target
from kubeboot.engine.values import Values
from kubeboot.kube.api import ApiError, Object
from kubeboot.steps import services
from tests.fakes.api import FakeApi
from tests.fakes.host import FakeHost
from tests.sim.contract import converges

IP = "10.96.0.10"
SERVICE = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "kube-dns", "namespace": "kube-system"},
    "spec": {"clusterIP": IP, "ports": [{"port": 53}]},
}


def address(name: str = "kube-dns") -> dict[str, Any]:
    parent = {"group": "", "resource": "services", "namespace": "kube-system", "name": name}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "IPAddress",
        "metadata": {"name": IP},
        "spec": {"parentRef": parent},
    }


class Allocating(FakeApi):
    """Gives an address to one Service."""

    def apply(self, obj: Object) -> Object:
        if self.get(*services.ADDRESS, IP) is not None:
            raise ApiError("failed to allocate IP 10.96.0.10: provided IP is already allocated", status=422)
        return super().apply(obj)


def test_it_is_made() -> None:
    converges(services.ensure(SERVICE, "dns"), FakeHost(), api=FakeApi())


def test_its_own_address_without_it_is_taken_back() -> None:
    """kill -9 while the API server makes it: the rerun comes before that notices, a minute later."""
    api, step = Allocating(address()), services.ensure(SERVICE, "dns")
    do = Target(FakeHost(), api)
    step.apply(do, Values())
    assert step.check(do.see, Values()) == Ok()
    assert api.get(*services.ADDRESS, IP) is None


@pytest.mark.parametrize("there", [(address("another"),), (address(), SERVICE), ()])
def test_anything_else_that_is_wrong_with_it_is_told(there: tuple[Object, ...]) -> None:
    api = Allocating(*there)
    if not there:
        api.fail_at("Service kube-system/kube-dns", ApiError("spec.ports: Required value", status=422))
    with pytest.raises(ApiError):
        services.ensure(SERVICE, "dns").apply(Target(FakeHost(), api), Values())
    assert [each for each in api.changes if each.op == "delete"] == []
