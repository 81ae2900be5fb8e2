"""Static pods: kubeadm 1.37.1's own manifests are the golden files, and each difference has its reason."""

from __future__ import annotations

import dataclasses
import pathlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubeboot import render
from kubeboot.config import tuning
from kubeboot.config.components import Argument, Component, HostPathMount, Variable
from kubeboot.config.node import NodeSettings
from kubeboot.config.spec import ClusterSpec
from kubeboot.kube import configmaps
from kubeboot.steps import component_flags, control_plane, etcd, load_balancer, static_pod
from kubeboot.steps.static_pod import StaticPod
from tests.unit import manifest_diff

GOLDEN = pathlib.Path(__file__).parent / "golden" / "kubeadm-1.37.1"
SPEC = ClusterSpec()
NODE = NodeSettings("cp-1", "10.0.0.11", "control_plane")
WORKER = NodeSettings("w-1", "10.0.0.21", "worker")
DEBIAN = (
    "/etc/ssl/certs",
    "/etc/ca-certificates",
    "/usr/local/share/ca-certificates",
    "/usr/share/ca-certificates",
)
COMPONENTS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")
REASONS = {
    "/metadata/annotations/kubeboot.io/inputs": "restarts the pod when a file changes that it reads at start",
    "/spec/containers/*/startupProbe/initialDelaySeconds": "seen within a second instead of ten to twenty",
    "/spec/containers/*/startupProbe/periodSeconds": "the same",
    "/spec/containers/*/startupProbe/failureThreshold": "the same four minutes in all",
    "/spec/containers/*/securityContext/*": "no more rights than it needs",
}
OWN_REASONS = {
    "etcd": {"/spec/containers/etcd/image": "the newer patch that the lock file pairs with 1.37.1"},
    "kube-controller-manager": {
        "/spec/containers/*/command/--kube-api-*": "its controllers start five seconds earlier"
    },
}
TUNED = {"kube-controller-manager": {f"--{flag}={value}" for flag, value in tuning.CONTROLLER_MANAGER}}


def pod(name: str, spec: ClusterSpec = SPEC, node: NodeSettings = NODE) -> StaticPod:
    image = f"registry.k8s.io/{name}:v1.37.1"
    match name:
        case "etcd":
            return etcd.pod(spec, node, "registry.k8s.io/etcd:3.7.3-0")
        case "kube-apiserver":
            return control_plane.apiserver(spec, node, image)
        case "kube-controller-manager":
            return control_plane.controller_manager(spec, image)
        case "kube-scheduler":
            return control_plane.scheduler(spec, image)
        case _:
            return load_balancer.pod(spec, node, "docker.io/library/haproxy:2.6.12")


def manifest(found: StaticPod, present: tuple[str, ...] = DEBIAN) -> dict[str, Any]:
    loaded: dict[str, Any] = render.load(found.render("0" * 32, present))
    return loaded


def container(found: StaticPod) -> dict[str, Any]:
    only: dict[str, Any] = manifest(found)["spec"]["containers"][0]
    return only


@pytest.mark.parametrize("name", COMPONENTS)
def test_as_kubeadm_writes_it(name: str) -> None:
    theirs = render.load((GOLDEN / f"{name}.yaml").read_text())
    theirs.pop("status")
    reasons = REASONS | OWN_REASONS.get(name, {})
    manifest_diff.explained(manifest_diff.differences(theirs, manifest(pod(name))), reasons)


@pytest.mark.parametrize("name", COMPONENTS)
def test_the_command_line_is_kubeadms_to_the_letter(name: str) -> None:
    theirs = render.load((GOLDEN / f"{name}.yaml").read_text())
    more = TUNED.get(name, set())
    ours = [word for word in pod(name).command if word not in more]
    assert ours == theirs["spec"]["containers"][0]["command"]
    assert more <= set(pod(name).command)


@pytest.mark.parametrize("name", [*COMPONENTS, "haproxy"])
def test_no_container_has_more_rights_than_named(name: str) -> None:
    context = container(pod(name))["securityContext"]
    assert "privileged" not in context
    assert context["allowPrivilegeEscalation"] is False
    assert context["capabilities"]["drop"] == ["ALL"]
    added = context["capabilities"].get("add", [])
    assert added == (["NET_BIND_SERVICE"] if name == "kube-apiserver" else [])
    assert manifest(pod(name))["spec"]["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}


def test_haproxy_is_not_root() -> None:
    context = container(pod("haproxy"))["securityContext"]
    assert context["runAsNonRoot"] and context["runAsUser"] == 99 and context["readOnlyRootFilesystem"]


def test_haproxy_sees_its_config_as_a_directory_so_that_a_replaced_file_is_seen() -> None:
    volumes = {v["name"]: v for v in manifest(pod("haproxy"))["spec"]["volumes"]}
    assert volumes["config"]["hostPath"] == {"path": "/etc/kubernetes/haproxy", "type": "Directory"}
    assert volumes["ca"]["hostPath"]["path"] == "/etc/kubernetes/pki/ca.crt"
    assert volumes["run"] == {"name": "run", "emptyDir": {"medium": "Memory"}}


@pytest.mark.parametrize("name", [*COMPONENTS, "haproxy"])
def test_every_mount_has_its_volume(name: str) -> None:
    made = manifest(pod(name))
    mounts = {m["name"] for m in made["spec"]["containers"][0]["volumeMounts"]}
    assert mounts == {v["name"] for v in made["spec"]["volumes"]}


def test_only_the_trust_directories_that_the_machine_has_are_mounted() -> None:
    made = manifest(pod("kube-apiserver"), present=("/etc/pki/tls/certs",))
    assert {v["name"] for v in made["spec"]["volumes"]} == {"etc-pki-tls-certs", "k8s-certs"}


def test_ipv6_addresses_get_brackets_and_their_own_loopback() -> None:
    node = dataclasses.replace(NODE, address="fd00::11")
    assert "--listen-client-urls=https://[::1]:2379,https://[fd00::11]:2379" in pod("etcd", node=node).command
    apiserver = pod("kube-apiserver", node=node)
    assert "--etcd-servers=https://[::1]:2379" in apiserver.command
    assert dict(apiserver.annotations) == {control_plane._ENDPOINT: "[fd00::11]:6443"}
    assert container(apiserver)["livenessProbe"]["httpGet"]["host"] == "fd00::11"


def test_what_the_user_adds_arrives() -> None:
    given_by_user = Component(
        extra_args=(Argument(name="v", value="4"), Argument(name="bind-address", value="10.9.9.9")),
        extra_envs=(Variable(name="GODEBUG", value='x="1": #no'),),
        extra_volumes=(
            HostPathMount(name="policy", host_path="/etc/p.yaml", mount_path="/p.yaml", path_type="File"),
        ),
    )
    found = pod("kube-scheduler", ClusterSpec(scheduler=given_by_user))
    assert found.command[-2:] == ("--v=4", "--bind-address=10.9.9.9")
    assert "--bind-address=127.0.0.1" not in found.command
    assert container(found)["env"] == [{"name": "GODEBUG", "value": 'x="1": #no'}]
    assert {"mountPath": "/p.yaml", "name": "policy", "readOnly": True} in container(found)["volumeMounts"]
    assert "/etc/p.yaml" in found.inputs


def test_a_users_authorization_config_takes_the_modes_away() -> None:
    argument = Argument(name="authorization-config", value="/a.yaml")
    spec = ClusterSpec.model_validate({"apiServer": {"extraArgs": [argument.model_dump()]}}, strict=False)
    names = [word.partition("=")[0] for word in pod("kube-apiserver", spec).command]
    assert "--authorization-config" in names and "--authorization-mode" not in names
    assert "authorization-mode" in dict(component_flags.apiserver(SPEC, NODE))


flags = st.from_regex(r"\A[a-z0-9][a-z0-9-]{0,12}\Z")
values = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=20)
arguments = st.lists(st.builds(Argument, name=flags, value=values), max_size=6)


@given(st.dictionaries(flags, values, max_size=6), arguments)
def test_extra_arguments_replace_defaults_by_name_and_keep_their_own_order(
    defaults: dict[str, str], extra: list[Argument]
) -> None:
    made = static_pod.command("it", tuple(defaults.items()), extra)
    given_words = [f"--{a.name}={a.value}" for a in extra]
    assert made[0] == "it"
    assert list(made[len(made) - len(extra) :]) == given_words
    kept = made[1 : len(made) - len(extra)]
    named = {a.name for a in extra}
    assert list(kept) == [f"--{n}={defaults[n]}" for n in sorted(defaults) if n not in named]


@given(
    arguments, st.lists(st.builds(Variable, name=st.from_regex(r"\A[A-Z_]{1,9}\Z"), value=values), max_size=4)
)
def test_whatever_the_user_writes_survives_the_yaml(extra: list[Argument], envs: list[Variable]) -> None:
    component = Component(extra_args=tuple(extra), extra_envs=tuple(envs))
    found = pod("kube-scheduler", ClusterSpec(scheduler=component))
    made = container(found)
    assert tuple(made["command"]) == found.command
    assert [(e["name"], e["value"]) for e in made.get("env", [])] == [(v.name, v.value) for v in envs]


def test_a_workers_haproxy_is_no_part_of_the_control_plane() -> None:
    assert manifest(pod("haproxy", node=WORKER))["metadata"]["labels"]["tier"] == "node"


@pytest.mark.parametrize("burst", ["300", "7"])
def test_kubeadm_config_names_what_kubeadm_would_not_set_itself(burst: str) -> None:
    theirs = (Argument(name="kube-api-burst", value=burst),) if burst == "7" else ()
    spec = ClusterSpec(controller_manager=Component(extra_args=theirs))
    named = configmaps.cluster_configuration(spec, "10.0.0.11:8443")["controllerManager"]["extraArgs"]
    assert {(a["name"], a["value"]) for a in named} == {("kube-api-qps", "100"), ("kube-api-burst", burst)}
