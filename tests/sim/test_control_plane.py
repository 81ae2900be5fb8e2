"""The steps of the control plane on a machine in memory."""

from __future__ import annotations

import dataclasses

import pytest

from kubeboot import render
from kubeboot.artifacts.api import Catalog, Image
from kubeboot.config.node import NodeSettings
from kubeboot.config.spec import ClusterSpec
from kubeboot.engine.step import Blocked, Drift, Ok, Step, Target, View
from kubeboot.engine.undo import EmptyTree, RemoveTree
from kubeboot.engine.values import Values
from kubeboot.kube.api import ApiRefused, ApiUnavailable, NoApi
from kubeboot.steps import (
    basic,
    control_plane,
    etcd,
    haproxy,
    load_balancer,
    pod_logs,
    pod_manifest,
    static_pod,
)
from kubeboot.steps.api_server_ready import ApiServerReady
from kubeboot.steps.pod_manifest import EnsureStaticPod
from tests.fakes.api import FakeApi
from tests.fakes.entries import Dir, File
from tests.fakes.host import FakeHost
from tests.sim import contract

SPEC = ClusterSpec()
NODE = NodeSettings("cp-1", "192.0.2.11", "control_plane")
IMAGES = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "haproxy")
CATALOG = Catalog(
    "v1.37.1", "amd64", (), tuple(Image(n, f"registry.k8s.io/{n}:1", "sha256:0") for n in IMAGES)
)
BACKENDS = (("cp-1", "192.0.2.11", 6443),)
MANIFEST = "/etc/kubernetes/manifests/kube-apiserver.yaml"


def all_steps(spec: ClusterSpec = SPEC) -> dict[str, Step]:
    made = (
        *etcd.steps(spec, NODE, CATALOG),
        *control_plane.steps(spec, NODE, CATALOG),
        *load_balancer.steps(spec, NODE, BACKENDS, CATALOG),
    )
    return {step.id: step for step in made}


def machine() -> FakeHost:
    """With everything that the pods read at start."""
    host = FakeHost("cp-1")
    for step in all_steps().values():
        if isinstance(step, EnsureStaticPod):
            host.files |= {path: File(path.encode()) for path in step.pod.inputs}
    for path in ("/etc/kubernetes/manifests", "/etc/ssl/certs", "/etc/kubernetes", "/etc/kubernetes/haproxy"):
        host.dirs[path] = Dir()
    return host


def view(host: FakeHost, api: FakeApi | NoApi | None = None) -> View:
    return View(host, api or NoApi())


def test_the_ids_that_others_depend_on() -> None:
    assert set(all_steps()) == {
        "etcd/data-dir", "etcd/manifest",
        "control-plane/kube-apiserver", "control-plane/rights", "control-plane/ready",
        "control-plane/kube-controller-manager", "control-plane/kube-scheduler",
        "load-balancer/config", "load-balancer/servers", "load-balancer/manifest",
        "load-balancer/backends", "load-balancer/backends-service", "load-balancer/backends-timer",
        "load-balancer/backends-state", "load-balancer/timer",
    }  # fmt: skip


def test_nothing_that_needs_the_api_server_starts_before_it_knows_what_that_may_do() -> None:
    made = all_steps()
    for name in ("controller-manager", "scheduler"):
        after = made[f"control-plane/kube-{name}"].after
        assert {"control-plane/rights", f"kubeconfig/{name}"} <= after
    for name in ("rights", "ready"):
        assert "kubelet/service" in made[f"control-plane/{name}"].after
    for name in ("etcd/manifest", "control-plane/kube-apiserver", "load-balancer/manifest"):
        assert not {"kubelet/service", "control-plane/ready"} & made[name].after


@pytest.mark.parametrize("step_id", [i for i, s in all_steps().items() if not isinstance(s, basic.Await)])
def test_every_step_keeps_the_contract(step_id: str) -> None:
    host = machine()
    if step_id == "load-balancer/timer":
        host.files["/etc/systemd/system/kubeboot-backends.timer"] = File(b"[Timer]\n")
    contract.converges(all_steps()[step_id], host)


def test_manifests_are_for_root_alone() -> None:
    host, step = machine(), all_steps()["etcd/manifest"]
    contract.converges(step, host)
    stat = host.stat("/etc/kubernetes/manifests/etcd.yaml")
    assert stat is not None and stat.mode == 0o600
    host.chmod("/etc/kubernetes/manifests/etcd.yaml", 0o644)
    found = step.check(view(host), Values())
    assert isinstance(found, Drift) and "0644 → 0600" in found.summary


@pytest.mark.parametrize(
    "step_id", ["etcd/manifest", "control-plane/kube-apiserver", "load-balancer/manifest"]
)
def test_a_file_that_is_only_read_at_start_restarts_the_pod_when_it_changes(step_id: str) -> None:
    host, step = machine(), all_steps()[step_id]
    assert isinstance(step, EnsureStaticPod)
    contract.converges(step, host)
    for path in step.pod.inputs:
        host.write(path, b"renewed")
        found = step.check(view(host), Values())
        assert isinstance(found, Drift) and found.change == "change", path
        assert found.diff is not None and pod_manifest.INPUTS in found.diff
        step.apply(Target(host, NoApi()), Values())
        assert step.check(view(host), Values()) == Ok()


def test_a_dry_run_on_an_empty_machine_does_not_claim_a_digest() -> None:
    found = all_steps()["control-plane/kube-apiserver"].check(view(FakeHost("cp-1")), Values())
    assert isinstance(found, Drift) and found.diff is not None
    assert pod_manifest.UNKNOWN in found.diff


def test_only_trust_directories_of_the_machine_are_mounted() -> None:
    host, step = machine(), all_steps()["control-plane/kube-apiserver"]
    contract.converges(step, host)
    volumes = render.load(host.files[MANIFEST].data)["spec"]["volumes"]
    assert {v["name"] for v in volumes} == {"ca-certs", "k8s-certs"}


def test_changing_a_flag_changes_the_digest_too() -> None:
    host = machine()
    contract.converges(all_steps()["control-plane/kube-apiserver"], host)
    old = annotation(host)
    spec = ClusterSpec.model_validate({"apiServer": {"certSANs": [], "bindPort": 6444}}, strict=False)
    changed = all_steps(spec)["control-plane/kube-apiserver"]
    changed.apply(Target(host, NoApi()), Values())
    assert annotation(host) != old


@pytest.mark.parametrize("step_id", ["etcd/manifest", "control-plane/kube-apiserver"])
def test_a_patient_run_gives_pods_longer_to_start_and_a_hasty_one_takes_nothing_away(step_id: str) -> None:
    host, step = machine(), all_steps()[step_id]
    assert isinstance(step, pod_manifest.EnsureStaticPod)
    contract.converges(step, host)
    assert allowed(host, step) == static_pod.STARTUP
    patient = dataclasses.replace(step, timeout_scale=2.5)
    assert isinstance(patient.check(view(host), Values()), Drift)
    patient.apply(Target(host, NoApi()), Values())
    assert allowed(host, step) == 600
    assert (patient.check(view(host), Values()), step.check(view(host), Values())) == (Ok(), Ok())


def allowed(host: FakeHost, step: pod_manifest.EnsureStaticPod) -> int:
    """Seconds that the written manifest gives its process to start."""
    [container] = render.load(host.files[step.pod.path].data)["spec"]["containers"]
    probe = container["startupProbe"]
    return int(probe["failureThreshold"] * probe["periodSeconds"])


class NotReady(FakeApi):
    """It answers, and its own controllers have not finished."""

    def ready(self) -> str | None:
        return "[-]poststarthook/rbac/bootstrap-roles failed"


def test_rights_are_there_when_the_first_of_them_is_even_if_the_api_server_is_not_ready() -> None:
    waits, api = all_steps()["control-plane/rights"], NotReady()
    assert isinstance(waits.check(view(machine(), api), Values()), Drift)
    kind = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole"}
    api.put({**kind, "metadata": {"name": "system:kube-controller-manager"}})
    assert waits.check(view(machine(), api), Values()) == Ok()
    assert isinstance(all_steps()["control-plane/ready"].check(view(machine(), api), Values()), Drift)


def annotation(host: FakeHost) -> str:
    value: str = render.load(host.files[MANIFEST].data)["metadata"]["annotations"][pod_manifest.INPUTS]
    return value


# --- etcd's data ------------------------------------------------------------------------------------------


def test_somebody_elses_data_is_not_touched() -> None:
    host = machine()
    host.dirs |= {"/var/lib/etcd": Dir(0o700), "/var/lib/etcd/member": Dir(0o700)}
    found = all_steps()["etcd/data-dir"].check(view(host), Values())
    assert isinstance(found, Blocked) and found.reason == "KB_ETCD_DATA"
    host.files["/etc/kubernetes/manifests/etcd.yaml"] = File(b"ours")
    assert all_steps()["etcd/data-dir"].check(view(host), Values()) == Ok()


@pytest.mark.parametrize(
    ("present", "undo"),
    [(False, RemoveTree("/var/lib/etcd")), (True, EmptyTree("/var/lib/etcd"))],
)
def test_what_etcd_writes_goes_with_its_manifest(present: bool, undo: object) -> None:
    host = machine()
    if present:
        host.dirs["/var/lib/etcd"] = Dir(0o700)
    assert undo in all_steps()["etcd/manifest"].undo(view(host))


# --- readiness --------------------------------------------------------------------------------------------


def mirror(inputs: str) -> dict[str, object]:
    meta = {"name": "kube-apiserver-cp-1", "namespace": "kube-system"}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {**meta, "annotations": {pod_manifest.INPUTS: inputs}},
    }


def ready_machine() -> FakeHost:
    host = machine()
    contract.converges(all_steps()["control-plane/kube-apiserver"], host)
    return host


@pytest.mark.parametrize(
    ("running", "expected"),
    [
        (None, None),
        ("same", None),
        ("0" * 32, "the API server still runs with its old manifest"),
    ],
)
def test_ready_means_the_api_server_that_the_manifest_asks_for(
    running: str | None, expected: str | None
) -> None:
    host, api = ready_machine(), FakeApi()
    if running:
        api.put(mirror(annotation(host) if running == "same" else running))
    assert ApiServerReady("cp-1").look(view(host, api), Values()) == expected


def test_not_ready_says_what_was_seen() -> None:
    api = FakeApi()
    api.unavailable = "connection refused"
    assert ApiServerReady("cp-1").look(view(ready_machine(), api), Values()) == "connection refused"


@pytest.mark.parametrize(
    ("error", "last"),
    [(ApiRefused("not allowed", status=403), None), (ApiUnavailable("gone again"), "gone again")],
)
def test_credentials_that_may_not_read_pods_yet_are_no_reason_to_wait(
    error: ApiUnavailable, last: str | None
) -> None:
    class Raises(FakeApi):
        def get(self, api_version: str, kind: str, name: str, namespace: str | None = None) -> None:
            raise error

    assert ApiServerReady("cp-1").look(view(ready_machine(), Raises()), Values()) == last


def test_after_the_deadline_the_last_words_are_told() -> None:
    host = FakeHost("cp-1")
    host.journals["kubelet.service"] = ["failed to pull"]
    log = "/var/log/pods/kube-system_kube-apiserver-cp-1_abc/kube-apiserver"
    host.write(f"{log}/2.log", b"2026-11-20T21:43:01.1Z stderr F old\n")
    host.write(
        f"{log}/10.log", b"2026-11-20T21:43:01.1Z stderr F one\n2026-11-20T21:43:02.1Z stderr F last words\n"
    )
    told = ApiServerReady("cp-1").explain(view(host))
    assert "kube-apiserver:\none\nlast words" in told
    assert "kubelet:\nfailed to pull" in told and "old" not in told


def test_logs_of_another_machines_pod_are_not_ours() -> None:
    host = FakeHost("cp-1")
    host.write("/var/log/pods/kube-system_etcd-cp-10_abc/etcd/0.log", b"t stderr F theirs\n")
    assert pod_logs.tail(host, "cp-1", "etcd") == ""


def test_haproxys_pod_follows_its_config_and_not_what_somebody_wrote_there() -> None:
    step = all_steps()["load-balancer/manifest"]
    assert isinstance(step, EnsureStaticPod) and haproxy.BASE not in step.pod.inputs
    other = dataclasses.replace(NODE, timeout_scale=NODE.timeout_scale + 2)
    assert load_balancer.pod(SPEC, other, step.pod.image) != step.pod
    assert "load-balancer/servers" in step.after
    assert "load-balancer/config" in all_steps()["load-balancer/servers"].after


def test_servers_that_the_timer_has_not_found_yet_are_its_affair() -> None:
    backends = [("cp-1", "192.0.2.11", 6443), ("cp-2", "192.0.2.12", 6443), ("cp-3", "192.0.2.13", 6443)]
    there = ("192.0.2.13:6443",)
    assert haproxy.servers(NODE, backends, there).split()[1::4] == [*there, "192.0.2.11:6443"]
    worker = dataclasses.replace(NODE, name="w-1", role="worker")
    assert haproxy.servers(worker, backends, there).split() == ["server", *there * 2]
    assert haproxy.servers(worker, backends).count("server ") == 3


def test_who_knows_dead_servers_alone_is_told_of_those_that_live() -> None:
    worker, gone = dataclasses.replace(NODE, name="w-1", role="worker"), "192.0.2.9:6443"
    backends = [("cp-1", "192.0.2.11", 6443), ("cp-2", "192.0.2.12", 6443)]
    told = haproxy.servers(worker, backends, (gone,)).split()[1::3]
    assert told == [gone, "192.0.2.11:6443", "192.0.2.12:6443"]


def test_servers_that_the_timer_has_found_stay_and_a_new_base_takes_them_along() -> None:
    host, step = machine(), all_steps()["load-balancer/servers"]
    base = haproxy.config(SPEC, NODE).encode()
    found = b"    server 192.0.2.12:6443 192.0.2.12:6443 backup\n    server 192.0.2.11:6443 192.0.2.11:6443\n"
    host.files[haproxy.CONFIG] = File(base + found)
    assert step.check(view(host), Values()) == Ok()
    host.files[haproxy.CONFIG] = File(b"# another base\n" + found)
    assert isinstance(step.check(view(host), Values()), Drift)
    step.apply(Target(host, NoApi()), Values())
    assert host.files[haproxy.CONFIG].data == base + found
