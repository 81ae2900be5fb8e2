"""The checks of `kubeboot doctor` on a machine with nothing but haproxy: well, and one illness at a time."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable

import pytest

from kubeboot.config.spec import ClusterSpec, LoadBalancer
from kubeboot.fleet.doctor import balancer_machine as doctor_balancer
from kubeboot.fleet.doctor import checkup
from kubeboot.kube import rbac
from kubeboot.kube.api import ApiRefused
from kubeboot.steps import backends, balancer_access, haproxy
from tests.fakes.api import FakeApi
from tests.fakes.host import FakeHost

SPEC = ClusterSpec(load_balancer=LoadBalancer(mode="machines"))
SLICE = {
    "apiVersion": "discovery.k8s.io/v1",
    "kind": "EndpointSlice",
    "metadata": {"name": "kubernetes", "namespace": "default"},
    "endpoints": [{"addresses": ["192.0.2.11"]}, {"addresses": ["192.0.2.12"]}],
    "ports": [{"port": 6443}],
}


def token(seconds: float) -> bytes:
    said = json.dumps({"sub": rbac.BALANCER_USER, "exp": time.time() + seconds}).encode()
    return b"e30." + base64.urlsafe_b64encode(said).rstrip(b"=") + b".c2ln"


def well() -> tuple[FakeHost, FakeApi]:
    host, lines = FakeHost(), ""
    for unit in (*checkup.UNITS, backends.TIMER):
        host.write(f"/etc/systemd/system/{unit}", b"[Service]\n")
        host.daemon_reload()
        host.start(unit)
    for address in ("192.0.2.11", "192.0.2.12"):
        lines += f"    server {address}:6443 {address}:6443\n"
    host.write(haproxy.CONFIG, lines.encode())
    host.write(balancer_access.TOKEN, token(3600))
    return host, FakeApi(SLICE)


QUIET = (doctor_balancer._units, doctor_balancer._token, doctor_balancer._current)
"""Those that neither look at the whole machine nor dial."""


def found(host: FakeHost, api: FakeApi) -> list[str]:
    return [f.name for check in QUIET for f in check(host, SPEC, api)]  # type: ignore[arg-type]


def test_a_balancer_that_is_well_has_no_finding() -> None:
    assert found(*well()) == []


ILLNESSES: dict[str, Callable[[FakeHost, FakeApi], object]] = {
    "BalancerToken": lambda host, api: host.write(balancer_access.TOKEN, token(-1)),
    "Unit-kubelet": lambda host, api: host.stop("kubelet.service"),
    "Unit-kubeboot-backends": lambda host, api: host.stop(backends.TIMER),
    "Backend-192.0.2.12:6443": lambda host, api: host.write(
        haproxy.CONFIG, b"    server 192.0.2.11:6443 192.0.2.11:6443\n"
    ),
}


@pytest.mark.parametrize("name", ILLNESSES)
def test_an_illness_is_found_and_nothing_else(name: str) -> None:
    host, api = well()
    ILLNESSES[name](host, api)
    assert found(host, api) == [name]


def test_credentials_that_the_cluster_does_not_take_come_with_the_way_to_new_ones() -> None:
    class Refusing(FakeApi):
        def get(self, *asked: object) -> None:
            raise ApiRefused("not these", status=401)

    host, _ = well()
    (ill,) = doctor_balancer._current(host, SPEC, Refusing())  # type: ignore[arg-type]
    assert ill.name == "Endpoints" and "--role lb" in ill.hint


def test_it_is_known_by_its_kubeconfig() -> None:
    host = FakeHost()
    assert not doctor_balancer.is_one(host)
    host.write(balancer_access.KUBECONFIG, b"")
    assert doctor_balancer.is_one(host)
