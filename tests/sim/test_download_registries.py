"""containerd's mirrors and the kubelet's credentials: what is written, and that containerd understands it."""

from __future__ import annotations

import base64
import json
import tomllib

import pytest

from kubeboot.config.node import NodeSettings
from kubeboot.config.spec import ClusterSpec, Registry
from kubeboot.engine.step import Blocked, Drift, Ok, Target, View
from kubeboot.engine.values import Values
from kubeboot.host.facts import Facts
from kubeboot.kube.api import NoApi
from kubeboot.plan import node as nodes
from kubeboot.steps import registries
from tests.fakes.host import FakeHost
from tests.sim.contract import converges

ORIGIN = "/root/.docker/config.json"
LOGIN = json.dumps({"auths": {"r.example": {"auth": base64.b64encode(b"me:secret").decode()}}}).encode()


def a_node() -> NodeSettings:
    return nodes.settings(ClusterSpec(), Facts(hostname="cp-1", default_source="192.0.2.1"), "worker")


def a_host() -> FakeHost:
    return FakeHost(name="cp-1", facts=Facts(hostname="cp-1"))


def test_mirrors_come_before_the_registry_in_their_order() -> None:
    made = registries.hosts_toml(
        Registry(
            host="docker.io", mirrors=("https://one.example/hub", "http://10.0.0.5:5000"), ca_file="/ca.pem"
        )
    )
    found = tomllib.loads(made)
    assert list(found["host"]) == ["https://one.example/v2/hub", "http://10.0.0.5:5000/v2"]
    for host in found["host"].values():
        assert host == {"capabilities": ["pull", "resolve"], "override_path": True, "ca": "/ca.pem"}
    assert found["ca"] == "/ca.pem"
    assert "server" not in found


def test_a_registry_can_be_replaced() -> None:
    found = tomllib.loads(registries.hosts_toml(Registry(host="ghcr.io", server="https://r.example/v2/ghcr")))
    assert found == {"server": "https://r.example/v2/ghcr", "override_path": True}


@pytest.mark.parametrize("host", ["docker.io", "_default", "registry.example.org:5000"])
def test_a_registrys_file_is_written_and_taken_back(host: str) -> None:
    spec = ClusterSpec(registries=(Registry(host=host, mirrors=("https://m.example",)),))
    (step,) = registries.steps(spec, a_node())
    assert ":" not in step.id
    machine = a_host()
    converges(step, machine)
    assert machine.read(f"/etc/containerd/certs.d/{host}/hosts.toml") == step.data  # type: ignore[attr-defined]


def test_nothing_is_written_without_registries() -> None:
    assert registries.steps(ClusterSpec(), a_node()) == ()


def credentials() -> registries.EnsureCredentials:
    (step,) = registries.steps(ClusterSpec(registry_credentials_file=ORIGIN), a_node())
    assert isinstance(step, registries.EnsureCredentials)
    return step


def test_credentials_are_copied_for_root_alone_and_never_shown() -> None:
    machine = a_host()
    machine.write(ORIGIN, LOGIN, 0o600)
    found = converges(credentials(), machine)
    assert machine.read(registries.KUBELET_CREDENTIALS) == LOGIN
    stat = machine.stat(registries.KUBELET_CREDENTIALS)
    assert stat is not None and stat.mode == 0o600
    assert found.diff is None and "secret" not in found.summary
    assert "secret" not in repr(credentials())


def test_new_credentials_replace_the_old_ones() -> None:
    machine = a_host()
    machine.write(ORIGIN, LOGIN, 0o600)
    machine.write(registries.KUBELET_CREDENTIALS, b'{"auths": {}}', 0o644)
    assert isinstance(credentials().check(View(machine, NoApi()), Values()), Drift)
    credentials().apply(Target(machine, NoApi()), Values())
    assert credentials().check(View(machine, NoApi()), Values()) == Ok()
    stat = machine.stat(registries.KUBELET_CREDENTIALS)
    assert stat is not None and stat.mode == 0o600


def test_credentials_whose_origin_is_gone_stay() -> None:
    machine = a_host()
    machine.write(registries.KUBELET_CREDENTIALS, LOGIN, 0o600)
    assert credentials().check(View(machine, NoApi()), Values()) == Ok()


@pytest.mark.parametrize(
    "data", [None, b"", b"[]", b"{}", b'{"auths": {"r": {"auth": "?"}}}', b'{"auths": 7}']
)
def test_credentials_that_are_none_are_refused_without_showing_them(data: bytes | None) -> None:
    machine = a_host()
    if data is not None:
        machine.write(ORIGIN, data, 0o600)
    found = credentials().check(View(machine, NoApi()), Values())
    assert isinstance(found, Blocked)
    assert found.hint and ORIGIN in found.message
