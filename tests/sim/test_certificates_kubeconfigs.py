"""Kubeconfigs: who everybody is, where the API is, and what is left alone."""

from __future__ import annotations

import base64
import dataclasses
import datetime
from collections.abc import Iterable
from typing import Literal

import pytest

from kubeboot import render
from kubeboot.config import spec as specs
from kubeboot.config.node import NodeSettings
from kubeboot.engine.step import Check, Drift, Later, Ok, Step, Target
from kubeboot.engine.values import Values
from kubeboot.kube.api import NoApi
from kubeboot.pki import inspect, kubeconfig, pem, table
from kubeboot.steps import kubeconfigs
from kubeboot.steps.kubelet import kubeconfig as kubelet_conf
from tests.fakes.host import FakeHost
from tests.fakes.pki import AT, authority, leaf
from tests.sim.contract import converges
from tests.sim.pki_support import vals

SPEC = specs.ClusterSpec()
NODE = NodeSettings("cp-1", "10.0.0.11", "control_plane")
CA = authority()
ETC = "/etc/kubernetes"
DAY = datetime.timedelta(days=1)
FILES = ("admin", "super-admin", "controller-manager", "scheduler")


def steps(
    endpoint: str = "10.0.0.11:8443", at: datetime.datetime = AT, node: NodeSettings = NODE
) -> dict[str, Step]:
    made = kubeconfigs.init_steps(SPEC, node, endpoint, clock=lambda: at)
    return {step.id: step for step in made if step.id.startswith("kubeconfig/")}


def check(host: FakeHost, step: Step, values: Values | None = None) -> Check:
    return step.check(Target(host, NoApi()).see, values or vals(CA))


def found(host: FakeHost, name: str) -> kubeconfig.Kubeconfig:
    return kubeconfig.decode(host.read(f"{ETC}/{name}.conf") or b"")


@pytest.fixture
def done() -> FakeHost:
    host = FakeHost("cp-1")
    for step in steps().values():
        step.apply(Target(host, NoApi()), vals(CA))
    return host


def test_ids_are_what_others_wait_for() -> None:
    made = [step.id for step in kubeconfigs.init_steps(SPEC, NODE, "x:8443")]
    assert made == [*(f"kubeconfig/{name}" for name in (*FILES, "kubelet")), "kubelet/client-certificate"]


@pytest.mark.parametrize("name", [*FILES, "kubelet"])
def test_every_step_converges_and_is_taken_back(name: str) -> None:
    drift = converges(steps()[f"kubeconfig/{name}"], FakeHost("cp-1"), vals(CA))
    assert drift == Drift(f"create /etc/kubernetes/{name}.conf", "create")


@pytest.mark.parametrize("name", [*FILES, "kubelet"])
def test_files_are_private(done: FakeHost, name: str) -> None:
    assert done.files[f"{ETC}/{name}.conf"].mode == 0o600


@pytest.mark.parametrize(
    ("name", "user", "groups", "server", "tls_name"),
    [
        ("admin", "kubernetes-admin", ("kubeadm:cluster-admins",), "https://10.0.0.11:8443", "kubernetes"),
        (
            "super-admin",
            "kubernetes-super-admin",
            ("system:masters",),
            "https://10.0.0.11:8443",
            "kubernetes",
        ),
        ("controller-manager", "system:kube-controller-manager", (), "https://10.0.0.11:6443", ""),
        ("scheduler", "system:kube-scheduler", (), "https://10.0.0.11:6443", ""),
    ],
)
def test_each_kubeconfig_has_its_user_and_its_server(
    done: FakeHost, name: str, user: str, groups: tuple[str, ...], server: str, tls_name: str
) -> None:
    config = found(done, name)
    assert (config.server, config.tls_server_name, config.authority) == (server, tls_name, CA.certificate)
    assert config.context == f"{user}@kubernetes"
    wanted = table.Profile(user, groups)
    assert inspect.problems(config.certificate, config.key, wanted, CA.certificate, at=AT) == ()


def test_the_kubelet_refers_to_what_it_rotates(done: FakeHost) -> None:
    config = found(done, "kubelet")
    current = "/var/lib/kubelet/pki/kubelet-client-current.pem"
    assert (config.certificate_file, config.key_file) == (current, current)
    assert (config.server, config.user, config.certificate) == (
        "https://10.0.0.11:6443",
        "system:node:cp-1",
        b"",
    )


def test_ipv6_gets_its_brackets() -> None:
    made = steps(node=dataclasses.replace(NODE, address="fd00::11"))
    assert getattr(made["kubeconfig/scheduler"], "server") == "https://[fd00::11]:6443"  # noqa: B009


def test_a_worker_goes_by_its_own_load_balancer() -> None:
    spec = SPEC.model_copy(update={"load_balancer": specs.LoadBalancer(port=9443)})
    step = kubelet_conf.worker_step(spec, NodeSettings("w-1", "10.0.0.21", "worker"), CA.certificate)
    host = FakeHost("w-1")
    converges(step, host, Values())
    assert (found(host, "kubelet").server, found(host, "kubelet").user) == (
        "https://127.0.0.1:9443",
        "system:node:w-1",
    )


def kubelet(made: Iterable[Step]) -> Step:
    return next(step for step in made if step.id == "kubeconfig/kubelet")


@pytest.mark.parametrize(
    ("mode", "server"),
    [
        ("local", "https://127.0.0.1:8443"),
        ("machines", "https://10.0.0.12:6443"),
        ("external", "https://10.0.0.12:6443"),
    ],
)
def test_a_kubelet_that_joins_does_not_wait_for_its_own_api_server(
    mode: Literal["local", "machines", "external"], server: str
) -> None:
    spec = SPEC.model_copy(update={"load_balancer": specs.LoadBalancer(mode=mode)})
    node = NodeSettings("cp-2", "10.0.0.12", "control_plane")
    host = FakeHost("cp-2")
    converges(kubelet(kubeconfigs.join_steps(spec, node, "x:8443")), host, vals(CA))
    assert found(host, "kubelet").server == server


def test_a_control_planes_kubelet_keeps_the_server_that_it_was_given() -> None:
    """Whoever made it: a cluster's first, or a join. Any third way is none."""
    join, init = (
        kubelet(made(SPEC, NODE, "x:8443")) for made in (kubeconfigs.join_steps, kubeconfigs.init_steps)
    )
    for first, then, server in (
        (join, init, "https://127.0.0.1:8443"),
        (init, join, "https://10.0.0.11:6443"),
    ):
        host = FakeHost("cp-1")
        first.apply(Target(host, NoApi()), vals(CA))
        assert check(host, then) == Ok()
        host.chmod(f"{ETC}/kubelet.conf", 0o644)
        converges(then, host, vals(CA))
        assert found(host, "kubelet").server == server
        edited = (host.read(f"{ETC}/kubelet.conf") or b"").replace(b"443\n", b"444\n")
        host.write(f"{ETC}/kubelet.conf", edited, 0o600)
        assert f"points at {server[:-1]}4 instead of" in converges(then, host, vals(CA)).summary


def test_a_second_run_changes_nothing(done: FakeHost) -> None:
    assert {check(done, step) for step in steps(at=AT + 300 * DAY).values()} == {Ok()}


def test_steps_show_no_secret() -> None:
    assert "PRIVATE" not in repr(tuple(steps().values()))


@pytest.mark.parametrize("name", ["admin", "kubelet"])
def test_nothing_is_known_before_the_authority(done: FakeHost, name: str) -> None:
    step = steps()[f"kubeconfig/{name}"]
    assert check(done, step, Values()) == Later("the authority ca")
    assert isinstance(check(FakeHost("cp-1"), step, Values()), Drift)


def test_a_moved_endpoint_keeps_the_certificate(done: FakeHost) -> None:
    before = found(done, "admin")
    drift = converges(steps("api.example.org:8443")["kubeconfig/admin"], done, vals(CA))
    assert (
        drift.summary == "admin.conf points at https://10.0.0.11:8443 instead of https://api.example.org:8443"
    )
    after = found(done, "admin")
    assert (after.certificate, after.key) == (before.certificate, before.key)
    assert after.server == "https://api.example.org:8443"


@pytest.mark.parametrize(
    ("days", "told"),
    [(340, "has a certificate that expires in 25 days"), (366, "has a certificate that expired")],
)
def test_an_old_certificate_is_renewed(done: FakeHost, days: int, told: str) -> None:
    drift = converges(steps(at=AT + days * DAY)["kubeconfig/scheduler"], done, vals(CA))
    assert told in drift.summary


def test_another_authority_means_another_certificate(done: FakeHost) -> None:
    drift = converges(steps()["kubeconfig/scheduler"], done, vals(authority()))
    assert drift.summary == (
        "scheduler.conf trusts another authority "
        "and has a certificate that is not signed by the authority kubernetes"
    )


@pytest.mark.parametrize("data", [b"", b"rubbish", b"kind: Config\n"])
@pytest.mark.parametrize("name", ["scheduler", "kubelet"])
def test_a_broken_file_is_written_anew(done: FakeHost, name: str, data: bytes) -> None:
    done.write(f"{ETC}/{name}.conf", data, 0o600)
    drift = converges(steps()[f"kubeconfig/{name}"], done, vals(CA))
    assert drift.summary == f"{name}.conf is not a kubeconfig with a current context"


@pytest.mark.parametrize("name", ["scheduler", "kubelet"])
def test_an_exposed_file_is_closed(done: FakeHost, name: str) -> None:
    done.chmod(f"{ETC}/{name}.conf", 0o644)
    drift = converges(steps()[f"kubeconfig/{name}"], done, vals(CA))
    assert drift.summary == f"{name}.conf has mode 0644 instead of 0600"


def test_contexts_that_an_administrator_added_are_left_alone(done: FakeHost) -> None:
    data = render.load(done.read(f"{ETC}/admin.conf") or b"")
    data["contexts"].append({"name": "mine", "context": {"cluster": "kubernetes", "user": "me"}})
    done.write(f"{ETC}/admin.conf", render.dump(data).encode(), 0o600)
    assert check(done, steps()["kubeconfig/admin"]) == Ok()


def test_what_kubeadm_wrote_is_accepted_where_it_means_the_same() -> None:
    """scheduler.conf in kubeadm's own words and order, with certificates of the same authority."""
    pair = leaf(table.Profile("system:kube-scheduler"), CA)
    text = {name: base64.b64encode(data).decode() for name, data in vars(pair).items()}
    host = FakeHost("cp-1")
    host.write(
        f"{ETC}/scheduler.conf",
        f"""apiVersion: v1
clusters:
- cluster:
    certificate-authority-data: {base64.b64encode(CA.certificate).decode()}
    server: https://10.0.0.11:6443
  name: kubernetes
contexts:
- context:
    cluster: kubernetes
    user: system:kube-scheduler
  name: system:kube-scheduler@kubernetes
current-context: system:kube-scheduler@kubernetes
kind: Config
preferences: {{}}
users:
- name: system:kube-scheduler
  user:
    client-certificate-data: {text["certificate"]}
    client-key-data: {text["key"]}
""".encode(),
        0o600,
    )
    assert check(host, steps()["kubeconfig/scheduler"]) == Ok()


def test_the_algorithm_is_as_configured() -> None:
    spec = SPEC.model_copy(update={"certificates": specs.Certificates(algorithm="ECDSA-P384")})
    host = FakeHost("cp-1")
    for step in kubeconfigs.init_steps(spec, NODE, "x:8443", clock=lambda: AT):
        step.apply(Target(host, NoApi()), vals(CA))
    assert pem.private_key(found(host, "admin").key).key_size == 384
