"""haproxy for nodes that others joined: its objects, its servers, and its script, run by a real sh."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from kubeboot import render
from kubeboot.artifacts.api import Catalog, Image
from kubeboot.config.node import NodeSettings
from kubeboot.config.spec import ClusterSpec, LoadBalancer
from kubeboot.engine import plan as plans
from kubeboot.engine.step import Drift, Later, Ok, Step, Target
from kubeboot.engine.values import Values
from kubeboot.kube.api import Object
from kubeboot.kube.facts import ClusterFacts
from kubeboot.pki import sealed
from kubeboot.plan import fleet
from kubeboot.steps import foreign_nodes, haproxy, load_balancer
from kubeboot.steps.kubelet import settings as kubelet_config
from kubeboot.steps.node import MarkNode
from tests.fakes.api import Change, FakeApi
from tests.fakes.host import FakeHost
from tests.fakes.source import FakeSource

SPEC = ClusterSpec()
FIRST = NodeSettings("cp-1", "192.0.2.11", "control_plane")
SECOND = NodeSettings("cp-2", "fd00::12", "control_plane")
CATALOG = Catalog("v1.37.1", "amd64", (), (Image("haproxy", "example.org/haproxy:1", "sha256:0"),))
SCRIPT = Path(__file__).parents[2] / "templates" / "haproxy" / "follow.sh"
CONFIG_MAP = f"ConfigMap kube-system/{foreign_nodes.NAME}"


def bring_about(steps: tuple[Step, ...], api: FakeApi) -> None:
    do = Target(FakeHost(), api)
    for step in steps:
        assert isinstance(step.check(do.see, Values()), Drift), step.id
        step.apply(do, Values())
        assert step.check(do.see, Values()) == Ok(), step.id


def servers(api: FakeApi) -> dict[str, str]:
    found = api.get("v1", "ConfigMap", foreign_nodes.NAME, "kube-system")
    assert found is not None
    return {key: text.strip() for key, text in found["data"].items() if key.endswith(".server")}


def daemon_set(spec: ClusterSpec = SPEC) -> Object:
    return foreign_nodes.load(spec, "example.org/haproxy:1")[1]


def test_control_planes_come_and_go_each_with_its_own_line() -> None:
    api = FakeApi()
    bring_about(tuple(sorted(foreign_nodes.steps(SPEC, FIRST, CATALOG), key=lambda s: len(s.after))), api)
    bring_about(foreign_nodes.server_steps(SPEC, SECOND), api)
    assert servers(api) == {
        "cp-1.server": "server 192.0.2.11:6443 192.0.2.11:6443",
        "cp-2.server": "server [fd00::12]:6443 [fd00::12]:6443",
    }
    for step in foreign_nodes.steps(SPEC, FIRST, CATALOG):
        assert step.check(Target(FakeHost(), api).see, Values()) == Ok(), f"{step.id}: a second run changes"
    bring_about((foreign_nodes.forget("leave", "cp-1", frozenset()),), api)
    assert list(servers(api)) == ["cp-2.server"]


CLUSTER = ClusterFacts(b"", SPEC, render.dump({"kind": "K"}), (("192.0.2.11", 6443),), "v1.37.1")
GIVEN = dict.fromkeys(sealed.FILES.values(), b"x")


def test_up_tells_of_every_control_plane_and_sees_to_the_objects_and_labels() -> None:
    for lead, objects in ((True, 2), (False, 0)):
        made = fleet.control_plane(SPEC, SECOND, FakeSource(), CLUSTER, GIVEN, lead=lead)
        plans.edges(made)
        ours = [step.id for step in made.steps if step.id.endswith(foreign_nodes.NAME)]
        assert len(ours) == objects and foreign_nodes.SERVER in {step.id for step in made.steps}
    worker = NodeSettings("worker-1", "192.0.2.21", "worker")
    mark = next(s for s in fleet.worker(SPEC, worker, FakeSource(), CLUSTER).steps if isinstance(s, MarkNode))
    assert mark.labels == (kubelet_config.LOCAL_LB,)


def test_no_pod_before_there_is_a_server() -> None:
    made = {step.id: step for step in foreign_nodes.steps(SPEC, FIRST, CATALOG)}
    assert foreign_nodes.SERVER in made["load-balancer/daemonset-kubeboot-local-lb"].after
    assert "load-balancer/configmap-kubeboot-local-lb" in made[foreign_nodes.SERVER].after


def test_a_cluster_that_was_made_without_it_takes_the_line_of_a_control_plane_that_joins() -> None:
    api = FakeApi()
    bring_about(foreign_nodes.server_steps(SPEC, FIRST), api)
    assert api.changes == [Change("create", CONFIG_MAP)]


def test_a_machine_that_is_no_control_plane_and_a_cluster_without_the_config_have_nothing_to_forget() -> None:
    step = foreign_nodes.forget("remove", "worker-1", frozenset())
    with_others = FakeApi()
    bring_about(foreign_nodes.server_steps(SPEC, FIRST), with_others)
    for api in (FakeApi(), with_others):
        assert step.check(Target(FakeHost(), api).see, Values()) == Ok()


def test_before_the_api_is_there_it_is_for_later() -> None:
    api = FakeApi()
    api.unavailable = "connection refused"
    (step,) = foreign_nodes.server_steps(SPEC, FIRST)
    assert isinstance(step.check(Target(FakeHost(), api).see, Values()), Later)


@pytest.mark.parametrize("mode", ["machines", "external"])
def test_where_kube_proxy_goes_by_the_endpoint_there_is_none(mode: str) -> None:
    spec = ClusterSpec(
        load_balancer=LoadBalancer.model_validate({"mode": mode}), control_plane_endpoint="k8s.example.test"
    )
    assert foreign_nodes.steps(spec, FIRST, CATALOG) == foreign_nodes.server_steps(spec, FIRST) == ()


def test_its_pods_are_where_our_kubelets_are_not() -> None:
    pod = daemon_set()["spec"]["template"]["spec"]
    (term,) = pod["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"][
        "nodeSelectorTerms"
    ]
    assert term == {"matchExpressions": [{"key": "kubeboot.io/local-lb", "operator": "DoesNotExist"}]}
    for role in ("control_plane", "worker"):
        ours = NodeSettings("n", "192.0.2.9", role)
        assert kubelet_config.LOCAL_LB in kubelet_config.own_labels(ours)
    assert kubelet_config.registrable("kubeboot.io/local-lb")
    assert pod["tolerations"] == [{"operator": "Exists"}] and pod["hostNetwork"] is True
    assert pod["priorityClassName"] == "system-node-critical"
    assert pod["automountServiceAccountToken"] is False


def test_it_has_no_more_rights_than_the_static_pod() -> None:
    worker = NodeSettings("worker-1", "192.0.2.21", "worker")
    static = render.load(load_balancer.pod(SPEC, worker, "example.org/haproxy:1").render(""))["spec"]
    pod = daemon_set()["spec"]["template"]["spec"]
    (ours,), (theirs,) = pod["containers"], static["containers"]
    assert ours["securityContext"] == theirs["securityContext"]
    assert pod["securityContext"] == static["securityContext"]
    for name in ("image", "imagePullPolicy", "resources"):
        assert ours[name] == theirs[name], name
    assert not any("hostPath" in volume for volume in pod["volumes"])


def test_its_config_is_that_of_our_workers() -> None:
    spec = ClusterSpec(load_balancer=LoadBalancer(port=9443))
    config_map = foreign_nodes.load(spec, "i")[0]
    worker = NodeSettings("worker-1", "192.0.2.21", "worker")
    assert config_map["data"]["haproxy.base.cfg"] == haproxy.config(spec, worker)
    probe = daemon_set(spec)["spec"]["template"]["spec"]["containers"][0]["livenessProbe"]["httpGet"]
    assert (probe["host"], probe["port"]) == ("127.0.0.1", 9444)


HAPROXY = """#!/bin/sh
config=$4
trap 'cat "$config" >>"$config.read"; echo . >>"$config.read"' USR2
cat "$config" >"$config.read"; echo . >>"$config.read"
while :; do sleep 0.02; done
"""


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """The pod's files, and its process with a haproxy that writes down what it reads."""
    for name in ("etc", "run", "bin"):
        (tmp_path / name).mkdir()
    (tmp_path / "bin/haproxy").write_text(HAPROXY)
    (tmp_path / "bin/haproxy").chmod(0o755)
    (tmp_path / "etc/haproxy.base.cfg").write_text("base\n")
    (tmp_path / "etc/cp-1.server").write_text("one\n")
    script = SCRIPT.read_text().replace("/etc/haproxy", f"{tmp_path}/etc").replace("sleep 5", "sleep 0.05")
    script = script.replace("/run/haproxy", f"{tmp_path}/run")
    path = {"PATH": f"{tmp_path}/bin:/usr/bin:/bin"}
    process = subprocess.Popen(["/bin/sh", "-c", script], env=path, start_new_session=True)
    yield tmp_path
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def has_read(place: Path, *configs: str) -> None:
    wanted, read, until = "".join(f"{text}.\n" for text in configs), place / "run/haproxy.cfg.read", 60.0
    began = time.monotonic()
    while (found := read.read_text() if read.exists() else "") != wanted:
        assert time.monotonic() - began < until, found
        time.sleep(0.01)


def test_haproxy_reads_its_config_again_when_the_servers_are_others(place: Path) -> None:
    has_read(place, "base\none\n")
    (place / "etc/cp-2.server").write_text("two\n")
    has_read(place, "base\none\n", "base\none\ntwo\n")
    (place / "etc/cp-1.server").unlink()
    has_read(place, "base\none\n", "base\none\ntwo\n", "base\ntwo\n")


def test_half_a_config_is_never_read(place: Path) -> None:
    has_read(place, "base\none\n")
    (place / "etc/haproxy.base.cfg").rename(place / "etc/away")
    (place / "etc/cp-2.server").write_text("two\n")
    time.sleep(0.2)  # some of its looks
    (place / "etc/away").rename(place / "etc/haproxy.base.cfg")
    has_read(place, "base\none\n", "base\none\ntwo\n")


def test_the_template_is_the_script_itself() -> None:
    """In the ConfigMap: in a container's command `$$` would be one dollar."""
    assert foreign_nodes.load(SPEC, "i")[0]["data"]["follow.sh"] == SCRIPT.read_text()
