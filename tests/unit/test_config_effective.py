"""What follows from the description: flags, volumes, files and settings, where they arrive."""

from __future__ import annotations

import dataclasses
import pathlib
import re
from typing import Any

import pytest

from kubeboot import errors, render
from kubeboot.config import component_fields, effective
from kubeboot.config.node import NodeSettings
from kubeboot.config.rules import components as rules_components
from kubeboot.config.spec import ClusterSpec
from kubeboot.kube import configmaps
from kubeboot.steps import api_server_files, basic, control_plane, dns, etcd, kubelet, proxy, runtime
from kubeboot.steps.kubelet import settings as kubelet_config
from tests.fakes.source import FakeSource

NODE = NodeSettings("cp-1", "10.0.0.11", "control_plane")
POLICY = {"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "rules": [{"level": "Metadata"}]}
PLUGINS = {
    "apiVersion": "apiserver.config.k8s.io/v1",
    "kind": "AdmissionConfiguration",
    "plugins": [{"name": "PodSecurity", "path": "/p.yaml"}],
}


def spec(**fields: Any) -> ClusterSpec:
    return ClusterSpec.model_validate(fields, strict=False, by_alias=True, by_name=False)


def words(found: ClusterSpec, name: str) -> tuple[str, ...]:
    made = {
        "kube-apiserver": control_plane.apiserver(found, NODE, "i"),
        "kube-controller-manager": control_plane.controller_manager(found, "i"),
        "kube-scheduler": control_plane.scheduler(found, "i"),
        "etcd": etcd.pod(found, NODE, "i"),
    }
    return made[name].command


def test_gates_are_shared_and_each_components_own() -> None:
    found = spec(
        featureGates={"B": True, "A": False},
        scheduler={"featureGates": {"A": True, "C": True}},
        etcd={"featureGates": {"D": True}},
        kubelet={"featureGates": {"B": False}},
    )
    assert "--feature-gates=A=false,B=true" in words(found, "kube-apiserver")
    assert "--feature-gates=A=false,B=true" in words(found, "kube-controller-manager")
    assert "--feature-gates=A=true,B=true,C=true" in words(found, "kube-scheduler")
    assert [w for w in words(found, "etcd") if "gates" in w] == [
        "--feature-gates=D=true,InitialCorruptCheck=true"
    ]
    assert kubelet_config.kubelet_config(found)["featureGates"] == {"A": False, "B": False}
    assert proxy_config(found)["featureGates"] == {"A": False, "B": True}


def test_without_gates_there_is_no_flag() -> None:
    assert not any("feature-gates" in w for w in words(spec(), "kube-apiserver"))
    assert "featureGates" not in kubelet_config.kubelet_config(spec())


def test_audit_and_admission_are_flags_volumes_and_files() -> None:
    found = spec(audit={"policy": POLICY, "log": {"maxAgeDays": 7}}, admission={"config": PLUGINS})
    pod = control_plane.apiserver(found, NODE, "i")
    assert {
        "--audit-policy-file=/etc/kubernetes/audit/policy.yaml",
        "--audit-log-path=/var/log/kubernetes/audit/audit.log",
        "--audit-log-maxage=7",
        "--audit-log-maxbackup=10",
        "--audit-log-maxsize=100",
        "--admission-control-config-file=/etc/kubernetes/admission/config.yaml",
    } <= set(pod.command)
    mounts = {v.name: (v.mount_path, v.read_only, v.kind) for v in pod.volumes}
    assert mounts["audit-policy"] == (effective.AUDIT_POLICY, True, "File")
    assert mounts["audit-log"] == ("/var/log/kubernetes/audit", False, "DirectoryOrCreate")
    assert mounts["admission-config"] == (effective.ADMISSION_CONFIG, True, "File")
    assert {effective.AUDIT_POLICY, effective.ADMISSION_CONFIG} <= set(pod.inputs), "a change restarts it"
    files = {step.path: render.load(step.data) for step in files_of(found)}
    assert files == {effective.AUDIT_POLICY: POLICY, effective.ADMISSION_CONFIG: PLUGINS}


def files_of(found: ClusterSpec) -> list[basic.EnsureFile]:
    return [s for s in api_server_files.steps(found, NODE) if isinstance(s, basic.EnsureFile)]


def test_the_api_servers_manifest_waits_for_its_files() -> None:
    found = spec(audit={"policy": POLICY}, admission={"config": PLUGINS})
    made = {step.id: step for step in control_plane.steps(found, NODE, FakeSource().catalog())}
    wanted = {"control-plane/audit-policy", "control-plane/admission-config", "control-plane/audit-log"}
    assert wanted <= made["control-plane/kube-apiserver"].after & set(made)


def test_an_audit_log_on_standard_output_has_no_directory() -> None:
    found = spec(audit={"policy": POLICY, "log": {"path": "-"}})
    assert "--audit-log-path=-" in words(found, "kube-apiserver")
    assert not any("maxage" in w for w in words(found, "kube-apiserver"))
    assert [step.id for step in api_server_files.steps(found, NODE)] == ["control-plane/audit-policy"]


def test_nothing_follows_from_nothing() -> None:
    assert effective.api_server(spec()) == spec().api_server
    assert effective.etcd(spec()) == spec().etcd
    assert api_server_files.steps(spec(), NODE) == ()
    assert effective.proxy_variables(spec(), NODE.address) == ()


def test_kubeadm_config_mirrors_every_flag() -> None:
    found = spec(audit={"policy": POLICY}, featureGates={"A": True})
    server = configmaps.cluster_configuration(found, "e:1")["apiServer"]
    assert {"name": "feature-gates", "value": "A=true"} in server["extraArgs"]
    assert {"audit-policy", "audit-log"} == {v["name"] for v in server["extraVolumes"]}


def test_the_kubelets_settings_are_merged() -> None:
    found = spec(kubelet={"maxPods": 55, "authentication": {"anonymous": {"enabled": True}}})
    made = kubelet_config.kubelet_config(found)
    assert made["maxPods"] == 55
    assert made["authentication"]["anonymous"] == {"enabled": True}
    assert made["authentication"]["webhook"]["enabled"] is True


def test_what_all_machines_share_is_not_decided_by_each_again() -> None:
    node = dataclasses.replace(NODE, cgroup_v2=False)
    assert kubelet_config.node_config(node)["failCgroupV1"] is False
    shared = {"resolvConf": "/r", "failCgroupV1": True}
    assert {"resolvConf", "failCgroupV1"}.isdisjoint(kubelet_config.node_config(node, shared))


def test_a_kubelet_has_the_clusters_settings_and_its_patches() -> None:
    source = FakeSource()
    found = spec(patches={"inline": [{"target": "kubeletconfiguration", "patch": "maxPods: 9"}]})
    made = kubelet.steps(found, NODE, source.catalog(), source, "kind: K\nmaxPods: 5\nother: 1\n")
    (config,) = [s for s in made if s.id == "kubelet/config" and isinstance(s, basic.EnsureFile)]
    assert render.load(config.data) == {"kind": "K", "maxPods": 9, "other": 1}
    plain = kubelet.steps(spec(), NODE, source.catalog(), source, "kind: K\nmaxPods: 5\n")
    (config,) = [s for s in plain if s.id == "kubelet/config" and isinstance(s, basic.EnsureFile)]
    assert config.data == b"kind: K\nmaxPods: 5\n", "byte for byte as the cluster has it"


def test_the_kubelets_own_flags_come_last() -> None:
    node = dataclasses.replace(NODE, kubelet_arguments=(("v", "4"),))
    assert kubelet_config.flags(node).rstrip().endswith(' --v=4"')


def proxy_config(found: ClusterSpec) -> dict[str, Any]:
    (config,) = [o for o in proxy.load(found, "i") if o["kind"] == "ConfigMap"]
    loaded: dict[str, Any] = render.load(config["data"]["config.conf"])
    return loaded


def test_kube_proxys_settings_are_merged() -> None:
    made = proxy_config(spec(kubeProxy={"nodePortAddresses": ["10.0.0.0/8"]}))
    assert (made["nodePortAddresses"], made["mode"]) == (["10.0.0.0/8"], "nftables")
    assert proxy_config(spec())["nodePortAddresses"] == ["primary"]


def test_coredns() -> None:
    more = "corp.example.org:53 {\n    forward . 10.9.9.9\n}\n"
    found = spec(
        dns={"replicas": 3, "upstream": ["10.0.0.53"], "extraCorefile": more},
        patches={"inline": [
            {"target": "corednsdeployment", "type": "merge", "patch": "spec: {minReadySeconds: 5}"},
        ]},
    )  # fmt: skip
    made = {obj["kind"]: obj for obj in dns.load(found, "i")}
    assert (made["Deployment"]["spec"]["replicas"], made["Deployment"]["spec"]["minReadySeconds"]) == (3, 5)
    corefile = made["ConfigMap"]["data"]["Corefile"]
    assert "forward . 10.0.0.53 {" in corefile and corefile.endswith(f"}}\n{more}")


def test_a_patch_that_does_not_fit_is_refused_before_anything_is_changed() -> None:
    found = spec(
        patches={"inline": [{"target": "etcd", "type": "json", "patch": "[{op: remove, path: /no}]"}]}
    )
    with pytest.raises(errors.ConfigInvalid, match="the json patch of etcd cannot be applied"):
        etcd.steps(found, NODE, FakeSource().catalog())


def test_containerds_proxies_are_in_its_unit_and_its_digest() -> None:
    found = spec(containerd={"httpsProxy": "http://p:3128", "noProxy": ["r.example.org"]})
    catalog = FakeSource().catalog()
    node = dataclasses.replace(NODE, proxy_variables=effective.proxy_variables(found, NODE.address))
    unit = runtime.unit(node, catalog)
    assert 'Environment="HTTPS_PROXY=http://p:3128"\n' in unit and "HTTP_PROXY=" not in unit.replace(
        "HTTPS_", ""
    )
    (never,) = re.findall(r'Environment="NO_PROXY=(.*)"', unit)
    assert never == (
        "localhost,127.0.0.1,10.0.0.11,10.244.0.0/16,10.96.0.0/12,.svc,.cluster.local,r.example.org"
    )
    assert "Environment" not in runtime.unit(NODE, catalog)


KUBERNETES = pathlib.Path.home() / "go/pkg/mod/k8s.io"
SOURCES = (
    ("kubelet@v0.37.1/config/v1beta1/types.go", "KubeletConfiguration", component_fields.KUBELET),
    ("kube-proxy@v0.37.1/config/v1alpha1/types.go", "KubeProxyConfiguration", component_fields.PROXY),
)


@pytest.mark.parametrize(("path", "kind", "known"), SOURCES, ids=lambda v: v if isinstance(v, str) else "")
def test_the_known_fields_are_those_of_the_source(path: str, kind: str, known: dict[str, str]) -> None:
    if not (KUBERNETES / path).exists():
        pytest.skip("Kubernetes' source is not here")
    text = (KUBERNETES / path).read_text().split(f"type {kind} struct {{")[1].split("\n}\n")[0]
    assert set(re.findall(r'`json:"(\w+)', text)) == set(known)


def test_what_kubeboot_sets_is_what_it_owns_or_what_a_user_may_change() -> None:
    ours = kubelet_config.kubelet_config(spec())
    settings = {k: v for k, v in ours.items() if k not in ("apiVersion", "kind")}
    assert not list(rules_components._kubelet(spec(kubelet=settings))), "our own settings break no rule"
    assert set(settings) <= set(component_fields.KUBELET)
    assert {f.split(".")[0] for f in rules_components.owned_by_kubelet(spec())} <= set(
        component_fields.KUBELET
    )
    assert {f.split(".")[0] for f in rules_components.owned_by_proxy(spec())} <= set(component_fields.PROXY)
