"""A joining etcd gets its data before the kubelet starts it, and what runs for that has ended then."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from kubeboot import render
from kubeboot.artifacts.api import Catalog, Image
from kubeboot.config.components import Etcd, ExternalEtcd
from kubeboot.config.node import NodeSettings
from kubeboot.config.spec import ClusterSpec
from kubeboot.engine.step import Drift, Ok, Target
from kubeboot.engine.values import Values
from kubeboot.host.model import Container, Unit
from kubeboot.kube.api import NoApi
from kubeboot.steps import sweep
from kubeboot.steps.etcd import METRICS_PORT, copying, learner
from kubeboot.steps.etcd import join as etcd_join
from kubeboot.steps.static_pod import PKI
from tests.fakes.etcd import member
from tests.fakes.host import FakeHost
from tests.fakes.world import said_ready

NODE = NodeSettings("cp-2", "192.0.2.12", "control_plane")
CATALOG = Catalog("v1.37.1", "amd64", (), (Image("etcd", "registry.k8s.io/etcd:1", "sha256:0"),))
STEPS = {step.id: step for step in etcd_join.steps(ClusterSpec(), NODE, CATALOG)}
MANIFEST = "/etc/kubernetes/manifests/etcd.yaml"
COPY, COPIED = STEPS["etcd/copy"], STEPS["etcd/copied"]
ELSEWHERE = ClusterSpec(etcd=Etcd(external=ExternalEtcd(endpoints=("https://192.0.2.9:2379",))))


def on(host: FakeHost) -> Target:
    return Target(host, NoApi())


def a_machine() -> FakeHost:
    """etcd's manifest is written, and nothing runs."""
    host, vals = FakeHost("cp-2"), Values()
    for path in ("/var/lib/etcd", f"{PKI}/etcd"):
        host.mkdir(path)
    vals.put(learner.MEMBERS, (member(1), member(2, learner=True, started=False)))
    STEPS["etcd/manifest"].apply(on(host), vals)
    return host


def patched(host: FakeHost, container: dict[str, Any], pod: dict[str, Any]) -> None:
    found = render.load(host.files[MANIFEST].data)
    found["spec"] |= pod
    found["spec"]["containers"][0] |= container
    host.write(MANIFEST, render.dump(found).encode())


def look(host: FakeHost) -> str | None:
    assert COPY.settle is not None
    return COPY.settle.look(on(host).see, Values())


def takes_part(host: FakeHost, status: int) -> None:
    """What etcd's metrics port answers."""
    host.dialers["127.0.0.1", METRICS_PORT] = lambda: said_ready(status)


def test_the_kubelet_comes_after_both_and_neither_is_where_etcd_runs_elsewhere() -> None:
    assert etcd_join.before_kubelet(ClusterSpec()) == {"etcd/manifest", "etcd/copy", "etcd/copied"}
    assert STEPS["etcd/copied"].behind == {"etcd/copy"}, "it ends one that has failed to copy, too"
    assert etcd_join.before_kubelet(ELSEWHERE) == frozenset()


def test_what_the_manifest_says_runs_until_it_takes_part_and_leaves_nothing() -> None:
    host = a_machine()
    before = host.snapshot()
    assert isinstance(COPY.check(on(host).see, Values()), Drift)
    COPY.apply(on(host), Values())
    COPY.apply(on(host), Values())
    assert COPY.check(on(host).see, Values()) == Ok()
    (process,) = (p for p in host.processes() if p.name == "etcd")
    said = render.load(host.files[MANIFEST].data)["spec"]["containers"][0]
    assert list(process.cmdline) == said["command"]
    assert "refused" in str(look(host))
    takes_part(host, 200)
    assert look(host) is None
    assert isinstance(COPIED.check(on(host).see, Values()), Drift)
    COPIED.apply(on(host), Values())
    COPIED.apply(on(host), Values())
    assert COPIED.check(on(host).see, Values()) == Ok()
    assert (host.snapshot(), host.stat(copying.LOG)) == (before, None)


def test_it_sees_what_the_pod_s_volumes_are() -> None:
    made = copying.container(a_machine(), MANIFEST)
    assert made is not None and made.image == "registry.k8s.io/etcd:1"
    assert made.mounts == ((f"{PKI}/etcd",) * 2 + ("rw",), ("/var/lib/etcd",) * 2 + ("rw",))


def has_data(host: FakeHost) -> None:
    host.mkdir("/var/lib/etcd/member")


def kubelet_runs(host: FakeHost) -> None:
    host.systemd.units["kubelet.service"] = Unit("kubelet.service", active="activating")


def wants(container: dict[str, Any], pod: dict[str, Any]) -> Callable[[FakeHost], None]:
    """Its manifest is patched so."""

    def change(host: FakeHost) -> None:
        found = render.load(host.files[MANIFEST].data)
        found["spec"] |= pod
        found["spec"]["containers"][0] |= container
        host.write(MANIFEST, render.dump(found).encode())

    return change


MISSING = {
    "volumes": [{"name": name, "hostPath": {"path": "/mnt/x"}} for name in ("etcd-certs", "etcd-data")]
}
LEFT = {
    "data": has_data,
    "a kubelet": kubelet_runs,
    "variables": wants({"env": [{"name": "A", "value": "secret"}]}, {}),
    "another user": wants({}, {"securityContext": {"runAsUser": 1000}}),
    "a container's user": wants({"securityContext": {"runAsUser": 1000}}, {}),
    "another container first": wants({}, {"initContainers": [{"name": "x"}]}),
    "memory": wants({}, {"volumes": [{"name": "etcd-data", "emptyDir": {}}]}),
    "what is not there yet": wants({}, MISSING),
}


@pytest.mark.parametrize("which", LEFT)
def test_the_rest_is_left_to_the_kubelet(which: str) -> None:
    host = a_machine()
    LEFT[which](host)
    assert COPY.check(on(host).see, Values()) == Ok()
    assert look(host) is None


def test_a_dry_run_tells_of_it_before_there_is_a_manifest() -> None:
    assert isinstance(COPY.check(on(FakeHost("cp-2")).see, Values()), Drift)


@pytest.mark.parametrize("running", [True, False])
def test_what_a_killed_run_left_is_waited_for_while_it_runs_and_ended(running: bool) -> None:
    host = a_machine()
    COPY.apply(on(host), Values())
    has_data(host)
    if not running:
        host.process_table = {}
    assert COPY.check(on(host).see, Values()) == Ok()
    assert (look(host) is None) is not running
    assert isinstance(COPIED.check(on(host).see, Values()), Drift)
    COPIED.apply(on(host), Values())
    assert (host.containers(), look(host)) == ((), None)


def test_its_last_words_explain_why_it_has_nothing() -> None:
    host = a_machine()
    COPY.apply(on(host), Values())
    takes_part(host, 503)
    host.write(copying.LOG, b"".join(b"line %d\n" % n for n in range(20)))
    assert "answers 503" in str(look(host))
    assert COPY.settle is not None
    assert COPY.settle.explain(on(host).see).splitlines() == ["etcd:", *(f"line {n}" for n in range(12, 20))]


def test_a_reset_finds_the_container_of_a_run_that_died() -> None:
    host = a_machine()
    host.write("/etc/systemd/system/containerd.service", b"[Service]\nExecStart=/bin/true\n")
    host.daemon_reload()
    host.start("containerd.service")
    COPY.apply(on(host), Values())
    host.container_table["theirs"] = Container("theirs", "image")
    (pods,) = (step for step in sweep.steps("cp-2") if step.id == "sweep/pods")
    assert isinstance(pods.check(on(host).see, Values()), Drift)
    pods.apply(on(host), Values())
    assert set(host.container_table) == {"theirs"}
    assert pods.check(on(host).see, Values()) == Ok()
