"""What fakes cannot promise: a real API server takes what the steps make, and once is enough."""

from __future__ import annotations

import concurrent.futures
import contextlib
import multiprocessing
import time
from collections.abc import Iterator

import pytest

from kubeboot import errors
from kubeboot.config.node import NodeSettings
from kubeboot.config.spec import ClusterSpec
from kubeboot.engine.step import Drift, Ok, Step, Target
from kubeboot.engine.values import Secret, Values
from kubeboot.kube import bootstrap, client, discovery, facts, lease
from kubeboot.kube.api import ApiRefused
from kubeboot.kube.discovery import Discovery, discover
from kubeboot.kube.tls import Endpoint
from kubeboot.pki import jws, pins, tokens
from kubeboot.steps import authorities, cluster, dns, network, node, objects, proxy
from kubeboot.steps import tokens as token_steps
from kubeboot.steps.kubelet import settings as kubelet_config
from tests.e2e import bare
from tests.fakes.host import FakeHost

pytestmark = pytest.mark.cluster
SPEC = ClusterSpec()
CP = NodeSettings(
    name="cp-1", address="10.0.0.11", role="control_plane", taints=((node.CONTROL_PLANE, "", "NoSchedule"),)
)


@pytest.fixture(scope="module")
def server() -> Iterator[bare.Bare]:
    with bare.running() as running:
        yield running


@pytest.fixture
def api(server: bare.Bare) -> Iterator[client.Client]:
    with contextlib.closing(server.client()) as found:
        yield found


def where(server: bare.Bare) -> str:
    return f"127.0.0.1:{server.port}"


def known(server: bare.Bare) -> Values:
    vals = Values()
    vals.put(authorities.CA, Secret(server.authority))
    return vals


def all_objects(server: bare.Bare) -> tuple[Step, ...]:
    """Every object of a new cluster, the add-ons' included, in an order that their namespaces allow."""
    addons = (*proxy.load(SPEC, "proxy:1"), *dns.load(SPEC, "dns:1"), *network.load(SPEC, "flannel:1"))
    own = cluster.steps(SPEC, where(server), kubelet_config.kubelet_config(SPEC))
    return (*own, *(objects.ensure(obj, "addon") for obj in addons))


def test_every_object_is_taken_and_shows_no_drift_afterwards(server: bare.Bare, api: client.Client) -> None:
    target, vals, steps = Target(FakeHost(), api), known(server), all_objects(server)
    for step in steps:
        if step.check(target.see, vals) != Ok():
            step.apply(target, vals)
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        found = list(pool.map(lambda step: step.check(target.see, vals), steps))
    assert {step.id: check for step, check in zip(steps, found, strict=True) if check != Ok()} == {}


def test_a_change_by_somebody_else_is_found_and_shown(server: bare.Bare, api: client.Client) -> None:
    target, vals = Target(FakeHost(), api), known(server)
    step = next(step for step in all_objects(server) if step.id == "cluster/kubelet-config")
    step.apply(target, vals)
    api.patch_merge(
        "v1", "ConfigMap", "kubelet-config", {"data": {"kubelet": "kind: Other\n"}}, "kube-system"
    )
    found = step.check(target.see, vals)
    assert isinstance(found, Drift) and found.summary.endswith("data.kubelet")
    assert "-    kind: Other" in (found.diff or "")
    step.apply(target, vals)
    assert step.check(target.see, vals) == Ok()


def test_a_node_is_marked_beside_what_others_write(api: client.Client) -> None:
    target = Target(FakeHost(), api)
    taint = {"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}
    api.create(
        {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "cp-1"}, "spec": {"taints": [taint]}}
    )
    mark = next(step for step in node.steps(SPEC, CP) if step.id == "node/mark")
    mark.apply(target, Values())
    assert mark.check(target.see, Values()) == Ok()
    live = api.get("v1", "Node", "cp-1")
    assert live is not None and taint in live["spec"]["taints"]


def test_a_machine_joins_by_the_token_that_init_made(server: bare.Bare, api: client.Client) -> None:
    target, vals = Target(FakeHost(), api), known(server)
    for step in all_objects(server):
        step.apply(target, vals)
    [step] = token_steps.steps(CP)
    step.apply(target, vals)
    assert step.check(target.see, vals) == Ok()
    token = step.read(target.see, token_steps.TOKEN).reveal().token
    sign(api, token)
    assert step.settle is not None and step.settle.look(target.see, vals) is None

    joining, authority = discover(search(server, token))
    with contextlib.closing(joining):
        found = facts.read(joining, authority)
        assert found.spec.control_plane_endpoint == where(server)
        assert found.control_planes == ((bare.ADVERTISED, server.port),)
        assert found.authority == server.authority.certificate
        facts.require_free_name(joining, "worker-1", "m")
        with pytest.raises(ApiRefused, match="cannot list resource"):
            bootstrap.listing(joining)
    refused(search(server, tokens.BootstrapToken(token.id, "0" * 16)), "KB_TOKEN_INVALID")
    refused(search(server, tokens.generate()), "KB_TOKEN_UNKNOWN")


def sign(api: client.Client, token: tokens.BootstrapToken) -> None:
    """What kube-controller-manager, which is not here, would do."""
    info = api.get("v1", "ConfigMap", "cluster-info", "kube-public")
    assert info is not None
    signature = {jws.KEY_PREFIX + token.id: jws.sign(info["data"]["kubeconfig"], token)}
    api.patch_merge("v1", "ConfigMap", "cluster-info", {"data": signature}, "kube-public")


def search(server: bare.Bare, token: tokens.BootstrapToken) -> Discovery:
    return Discovery(where(server), token, [pins.pin(server.authority.certificate)])


def refused(found: discovery.Discovery, reason: str) -> None:
    with pytest.raises(errors.Unreachable) as caught:
        discover(found)
    assert caught.value.reason == reason


INSIDE = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "inside", "namespace": "kube-system"}}
ROUNDS = 200


def changes(machine: str, endpoint: Endpoint, rounds: int) -> int:
    """In a process of its own: hold the lease so often, and make what the API lets only one make."""
    with contextlib.closing(client.connect(endpoint)) as api:
        for _ in range(rounds):
            with lease.held(api, machine, lease.Wait(pause=lambda seconds: time.sleep(seconds / 20))):
                api.create(INSIDE)
                api.delete("v1", "ConfigMap", "inside", "kube-system")
    return rounds


def test_of_two_machines_at_once_exactly_one_holds_the_lease(server: bare.Bare, api: client.Client) -> None:
    spawn = multiprocessing.get_context("spawn")
    who = server.endpoint("root", "system:masters")
    with concurrent.futures.ProcessPoolExecutor(2, mp_context=spawn) as pool:
        held = [pool.submit(changes, machine, who, ROUNDS) for machine in ("cp-2", "cp-3")]
        assert [one.result() for one in held] == [ROUNDS, ROUNDS]
    found = api.get(*lease.LEASE, lease.ETCD, "kube-system")
    assert found is not None and not found["spec"].get("holderIdentity")


def test_a_dead_machine_s_lease_frees_itself(api: client.Client) -> None:
    found = api.get(*lease.LEASE, lease.ETCD, "kube-system")
    assert lease._take(api, "cp-3", found)
    with (
        pytest.raises(errors.Occupied, match=r"cp-3 .* is changing etcd's members"),
        lease.held(api, "cp-2", lease.Wait(patience=0.3)),
    ):
        pytest.fail("two hold the lease")
    began = time.monotonic()
    with lease.held(api, "cp-2", lease.Wait(clock=lambda: 20 * time.monotonic())):
        assert 20 * (time.monotonic() - began) >= lease.DURATION
