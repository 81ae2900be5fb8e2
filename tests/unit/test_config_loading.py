"""Files, directories, flags and defaults as one configuration: the last word wins and is named."""

from __future__ import annotations

import json
import pathlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubeboot import render
from kubeboot.config import describe, layers, loader, rules
from kubeboot.config.layers import Layer, Setting
from kubeboot.config.loader import Sources
from kubeboot.config.problems import InvalidConfig, Origin
from kubeboot.config.spec import ClusterSpec
from tests.unit.config_support import load
from tests.unit.malformed import HEAD


def _spec(**changes: Any) -> ClusterSpec:
    return ClusterSpec.model_validate(changes)


def test_the_defaults_break_no_rule() -> None:
    assert rules.check(ClusterSpec()) == []


def test_arguments_that_say_what_is_so_anyway_or_more_are_taken() -> None:
    same = {
        "apiServer": {
            "anonymous-auth": "true",
            "authorization-mode": "Node,RBAC,Webhook",
            "secure-port": "6443",
        },
        "controllerManager": {
            "controllers": "*,bootstrapsigner,tokencleaner,-ttl",
            "cluster-cidr": "10.244.0.0/16",
            "allocate-node-cidrs": "true",
        },
        "scheduler": {"secure-port": "10259"},
    }
    lines = [
        f"{section}: {{extraArgs: {json.dumps([{'name': n, 'value': v} for n, v in flags.items()])}}}"
        for section, flags in same.items()
    ]
    assert rules.check(load("\n".join((HEAD, *lines))).spec) == []


def test_a_file_that_says_everything() -> None:
    text = f"""{HEAD}
clusterName: prod
kubernetesVersion: "1.37"
controlPlaneEndpoint: k8s.example.org:8443
single: true
networking: {{podSubnet: 10.10.0.0/16, serviceSubnet: 10.20.0.0/16, dnsDomain: corp.local}}
apiServer:
  bindPort: 7443
  certSANs: [a.example.org, "*.example.org", 10.9.9.9, "fd00::1"]
  extraArgs: [{{name: v, value: "4"}}, {{name: v, value: ""}}]
  extraEnvs: [{{name: A.b-c, value: d}}]
  extraVolumes: [{{name: a, hostPath: /a, mountPath: /b, readOnly: false, pathType: DirectoryOrCreate}}]
controllerManager: {{}}
etcd: {{dataDir: /data/etcd}}
loadBalancer: {{port: 9443}}
certificates: {{algorithm: RSA-4096, validityDays: 30, caValidityDays: 3650}}
artifacts: {{bundle: /b, imageRepository: "registry.example.org:5000/k8s"}}
node:
  name: cp-1.example.org
  advertiseAddress: 10.0.0.11
  labels: {{example.org/disk: ssd, node.kubernetes.io/pool: a, empty: ""}}
  taints: [{{key: a, effect: NoSchedule}}]
"""
    spec = load(text).spec
    assert (spec.cluster_name, spec.kubernetes_version, spec.single) == ("prod", "v1.37.1", True)
    assert spec.api_server.cert_sans == ("a.example.org", "*.example.org", "10.9.9.9", "fd00::1")
    assert spec.api_server.extra_volumes[0].path_type == "DirectoryOrCreate"
    assert spec.node.taints is not None
    printed = render.dump(describe.document(spec))
    assert load(printed).spec == spec


def test_json_is_read_too(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "c.json"
    path.write_text(json.dumps(describe.document(_spec(cluster_name="j"))))
    assert loader.load(Sources(files=[str(path)])).spec.cluster_name == "j"


def test_a_directory_is_its_files_in_order(tmp_path: pathlib.Path) -> None:
    for name, cluster in (("20-b.yaml", "b"), ("10-a.yml", "a"), (".hidden.yaml", "h"), ("c.txt", "t")):
        (tmp_path / name).write_text(f"{HEAD}clusterName: {cluster}\n")
    found = loader.load(Sources(files=[str(tmp_path)]))
    assert found.spec.cluster_name == "b"
    assert [pathlib.Path(s).name for s in found.sources] == ["10-a.yml", "20-b.yaml"]


def test_documents_of_one_file_are_laid_over_each_other() -> None:
    text = f"{HEAD}networking: {{podSubnet: 10.1.0.0/16}}\n---\n{HEAD}networking: {{dnsDomain: a.local}}\n"
    spec = load(text).spec
    assert (spec.networking.pod_subnet, spec.networking.dns_domain) == ("10.1.0.0/16", "a.local")


def test_problems_are_of_the_file_and_line_that_won(tmp_path: pathlib.Path) -> None:
    first, second = tmp_path / "1.yaml", tmp_path / "2.yaml"
    first.write_text(f"{HEAD}clusterName: A\nnetworking: {{dnsDomain: B}}\n")
    second.write_text(f"{HEAD}\n\nclusterName: C\n")
    with pytest.raises(InvalidConfig) as caught:
        loader.load(Sources(files=[str(first), str(second)]))
    assert [str(p.origin) for p in caught.value.problems] == [f"{first}:4", f"{second}:5"]


@pytest.mark.parametrize("server", ["10.0.0.53:", "10.0.0.53:²", f"10.0.0.53:{'9' * 5000}"], ids=range(3))
def test_a_name_server_with_a_port_that_is_none_is_refused(server: str) -> None:
    with pytest.raises(InvalidConfig) as caught:
        load(f"{HEAD}dns: {{upstream: ['{server}']}}\n")
    assert "is not a name server's address" in str(caught.value.problems[0])


def test_the_default_file_may_be_absent_and_counts_when_it_is_there(tmp_path: pathlib.Path) -> None:
    default = tmp_path / "cluster.yaml"
    assert loader.load(Sources(default=default)).spec == ClusterSpec()
    default.write_text(f"{HEAD}clusterName: d\n")
    assert loader.load(Sources(default=default)).sources == (str(default),)


def test_flags_alone_are_a_matter_of_usage_and_files_of_configuration() -> None:
    flag = Setting(("clusterName",), "A_B", Origin("--x", field="--x", command_line=True))
    with pytest.raises(InvalidConfig) as caught:
        loader.load(Sources(flags=[flag]))
    assert (caught.value.exit_code, str(caught.value.problems[0])[:4]) == (2, "--x:")
    with pytest.raises(InvalidConfig) as caught:
        load(f"{HEAD}networking: {{dnsDomain: B}}\n", flags=[flag])
    assert (caught.value.exit_code, len(caught.value.problems)) == (4, 2)


def _layer(data: dict[str, Any], name: str) -> Layer:
    def paths(value: Any, at: tuple[str | int, ...]) -> dict[tuple[str | int, ...], Origin]:
        found = {at: Origin(name)} if at else {}
        for key, inner in value.items() if isinstance(value, dict) else ():
            found |= paths(inner, (*at, key))
        return found

    return Layer(data, paths(data, ()))


def test_mappings_are_merged_and_lists_replaced() -> None:
    lower = _layer({"a": {"x": 1, "y": (1, 2)}, "b": 1}, "low")
    upper = _layer({"a": {"y": (3,), "z": 4}}, "up")
    merged = layers.over(lower, upper)
    assert merged.data == {"a": {"x": 1, "y": (3,), "z": 4}, "b": 1}
    assert {p: o.source for p, o in merged.origins.items() if len(p) == 2} == {
        ("a", "x"): "low", ("a", "y"): "up", ("a", "z"): "up",
    }  # fmt: skip


TREES = st.recursive(
    st.integers() | st.text(max_size=3),
    lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
).filter(lambda t: isinstance(t, dict))


@given(TREES, TREES)
def test_the_upper_layer_wins_and_laying_it_over_again_changes_nothing(
    a: dict[str, Any], b: dict[str, Any]
) -> None:
    lower, upper = _layer(a, "a"), _layer(b, "b")
    once = layers.over(lower, upper)
    assert layers.over(once, upper).data == once.data
    assert layers.over(lower, Layer()).data == a
    assert layers.over(Layer(), upper).data == b


@given(TREES, TREES)
def test_every_value_that_is_left_has_the_origin_that_it_came_from(
    a: dict[str, Any], b: dict[str, Any]
) -> None:
    merged = layers.over(_layer(a, "a"), _layer(b, "b"))

    def look(value: Any, at: tuple[str | int, ...]) -> None:
        for key, inner in value.items() if isinstance(value, dict) else ():
            look(inner, (*at, key))
        if at and not isinstance(value, dict):
            origin = merged.origins[at].source
            source: Any = {"a": a, "b": b}[origin]
            for part in at:
                source = source[part]
            assert source == value

    look(merged.data, ())
