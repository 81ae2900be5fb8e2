"""Layers, loading, rules, versions, names: the pieces, and that nothing generated breaks them."""

from __future__ import annotations

import io
import json
import pathlib
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from kubeboot import render
from kubeboot.config import (
    component_fields,
    describe,
    document,
    durations,
    layers,
    loader,
    names,
    phases,
    rules,
    versions,
)
from kubeboot.config.layers import Layer, Setting
from kubeboot.config.problems import InvalidConfig, Origin, Problem, dotted, meant, printable
from kubeboot.config.spec import ClusterSpec
from kubeboot.config.validate import fields
from tests.unit import malformed

HEAD = malformed.HEAD


def _load(text: str | bytes, **more: Any) -> loader.Loaded:
    return loader.load(["-"], stdin=io.BytesIO(text.encode() if isinstance(text, str) else text), **more)


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
    assert rules.check(_load("\n".join((HEAD, *lines))).spec) == []


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
    spec = _load(text).spec
    assert (spec.cluster_name, spec.kubernetes_version, spec.single) == ("prod", "v1.37.1", True)
    assert spec.api_server.cert_sans == ("a.example.org", "*.example.org", "10.9.9.9", "fd00::1")
    assert spec.api_server.extra_volumes[0].path_type == "DirectoryOrCreate"
    assert spec.node.taints is not None
    printed = render.dump(describe.document(spec))
    assert _load(printed).spec == spec


def test_json_is_read_too(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "c.json"
    path.write_text(json.dumps(describe.document(_spec(cluster_name="j"))))
    assert loader.load([str(path)]).spec.cluster_name == "j"


def test_a_directory_is_its_files_in_order(tmp_path: pathlib.Path) -> None:
    for name, cluster in (("20-b.yaml", "b"), ("10-a.yml", "a"), (".hidden.yaml", "h"), ("c.txt", "t")):
        (tmp_path / name).write_text(f"{HEAD}clusterName: {cluster}\n")
    found = loader.load([str(tmp_path)])
    assert found.spec.cluster_name == "b"
    assert [pathlib.Path(s).name for s in found.sources] == ["10-a.yml", "20-b.yaml"]


def test_documents_of_one_file_are_laid_over_each_other() -> None:
    text = f"{HEAD}networking: {{podSubnet: 10.1.0.0/16}}\n---\n{HEAD}networking: {{dnsDomain: a.local}}\n"
    spec = _load(text).spec
    assert (spec.networking.pod_subnet, spec.networking.dns_domain) == ("10.1.0.0/16", "a.local")


def test_problems_are_of_the_file_and_line_that_won(tmp_path: pathlib.Path) -> None:
    first, second = tmp_path / "1.yaml", tmp_path / "2.yaml"
    first.write_text(f"{HEAD}clusterName: A\nnetworking: {{dnsDomain: B}}\n")
    second.write_text(f"{HEAD}\n\nclusterName: C\n")
    with pytest.raises(InvalidConfig) as caught:
        loader.load([str(first), str(second)])
    assert [str(p.origin) for p in caught.value.problems] == [f"{first}:4", f"{second}:5"]


def test_the_default_file_may_be_absent_and_counts_when_it_is_there(tmp_path: pathlib.Path) -> None:
    default = tmp_path / "cluster.yaml"
    assert loader.load(default=default).spec == ClusterSpec()
    default.write_text(f"{HEAD}clusterName: d\n")
    assert loader.load(default=default).sources == (str(default),)


def test_flags_alone_are_a_matter_of_usage_and_files_of_configuration() -> None:
    flag = Setting(("clusterName",), "A_B", Origin("--x", field="--x", command_line=True))
    with pytest.raises(InvalidConfig) as caught:
        loader.load(flags=[flag])
    assert (caught.value.exit_code, str(caught.value.problems[0])[:4]) == (2, "--x:")
    with pytest.raises(InvalidConfig) as caught:
        _load(f"{HEAD}networking: {{dnsDomain: B}}\n", flags=[flag])
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


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("v1.37.1", "v1.37.1"),
        ("1.37.1", "v1.37.1"),
        ("v1.37", "v1.37.1"),
        ("1.36", "v1.36.4"),
        ("v1.36.0", "v1.36.0"),
        ("nonsense", "nonsense"),
        ("1.35", "v1.35.0"),
    ],
)
def test_canonical_versions(text: str, version: str) -> None:
    assert versions.canonical(text) == version


def test_every_supported_minor_has_a_newest_patch_of_its_own() -> None:
    for minor, release in versions.RELEASES.items():
        found = versions.parse(release.version)
        assert found is not None
        assert (found.minor, versions.is_supported(found)) == (minor, True)


def _v(text: str) -> versions.Version:
    found = versions.parse(text)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("apiserver", "kubelet", "fits"),
    [
        ("v1.37.1", "v1.37.9", True),
        ("v1.37.1", "v1.34.0", True),
        ("v1.37.1", "v1.33.9", False),
        ("v1.36.9", "v1.37.0", False),
    ],
)
def test_kubelet_skew(apiserver: str, kubelet: str, fits: bool) -> None:
    assert (versions.kubelet_skew(_v(apiserver), _v(kubelet)) is None) is fits


@pytest.mark.parametrize(
    ("one", "other", "fits"),
    [("v1.37.1", "v1.36.0", True), ("v1.36.0", "v1.37.1", True), ("v1.37.1", "v1.35.9", False)],
)
def test_control_plane_skew(one: str, other: str, fits: bool) -> None:
    assert (versions.control_plane_skew(_v(one), _v(other)) is None) is fits


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        ("0s", 0),
        ("24h", 86400),
        ("1h30m", 5400),
        ("8760h0m0s", 31536000),
        ("1.5h", 5400),
        ("2d", 172800),
        ("500ms", 0.5),
    ],
)
def test_durations(text: str, seconds: float) -> None:
    found = durations.parse(text)
    assert found is not None
    assert found.total_seconds() == seconds


@pytest.mark.parametrize(
    "text", ["", "1", "h", "1 h", "-1h", "1h-", "1y", "\u0661h", "1e3s", "99999999999h", "1h\n"]
)
def test_what_is_no_duration(text: str) -> None:
    assert durations.parse(text) is None


@given(st.integers(0, 10**8))
def test_durations_in_words_are_durations(seconds: int) -> None:
    import datetime

    length = datetime.timedelta(seconds=seconds)
    back = durations.parse(durations.words(length))
    assert back is not None
    assert abs(back - length) < datetime.timedelta(minutes=1)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a.b:1", ("a.b", 1)),
        ("a", ("a", 8443)),
        ("[::1]:2", ("::1", 2)),
        ("[::1]", ("::1", 8443)),
        ("10.0.0.1:65535", ("10.0.0.1", 65535)),
    ],
)
def test_endpoints(text: str, found: tuple[str, int]) -> None:
    assert names.split_endpoint(text, 8443) == found


@given(st.text(max_size=40))
def test_an_endpoint_is_taken_apart_or_refused(text: str) -> None:
    try:
        host, port = names.split_endpoint(text)
    except ValueError as wrong:
        assert str(wrong)
    else:
        assert names.host(host) is None
        assert port is None or 1 <= port <= 65535


@given(st.text(max_size=30))
def test_no_text_breaks_a_name_rule(text: str) -> None:
    rules_ = (
        names.label, names.subdomain, names.label_key, names.label_value, names.variable, names.host,
        names.san, names.absolute, names.token_id, names.cidr, names.repository, names.ip,
    )  # fmt: skip
    for rule in rules_:
        rule(text)


@given(st.ip_addresses(v=4), st.integers(0, 32))
def test_a_range_is_taken_when_it_is_canonical_and_its_fix_always_is(address: Any, prefix: int) -> None:
    _, wrong, fix = names.cidr(f"{address}/{prefix}")
    if wrong is not None:
        assert fix is not None
        assert names.cidr(fix.removeprefix("write it as "))[1] is None


@pytest.mark.parametrize(
    ("names_", "found"),
    [
        (["dns"], {"dns"}),
        (["dns/answers"], {"dns/answers"}),
        (["addon/coredns"], {"dns"}),
        (["addon"], {"dns", "proxy"}),
        (["upload-certs"], set()),
        (["mark-control-plane", "preflight"], {"node/mark", "preflight"}),
    ],
)
def test_phases(names_: list[str], found: set[str]) -> None:
    assert phases.resolve(names_) == (found, [])


def test_unknown_phases_are_all_named() -> None:
    _, wrong = phases.resolve(["dnss", "nonsense", "dns"])
    assert wrong[0].fix == "did you mean `dns`?"
    assert len(wrong) == 2


def test_the_groups_are_those_of_the_steps() -> None:
    """Every group can be skipped by name; `kubeadm init`'s phases each have an answer."""
    known = (
        "preflight", "certs", "kubeconfig", "etcd", "control-plane", "kubelet-start", "wait-control-plane",
        "upload-config", "upload-certs", "mark-control-plane", "bootstrap-token", "kubelet-finalize",
        "addon", "show-join-command",
    )  # fmt: skip
    for phase in known:
        assert phases.resolve([phase])[1] == []


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ((), "clusterName"),
        (("networking",), "podSubnet"),
        (("apiServer", "extraArgs", 0), "value"),
        (("node", "taints", 3), "effect"),
    ],
)
def test_fields_of_a_path(path: tuple[str | int, ...], expected: str) -> None:
    assert expected in fields(path)


@pytest.mark.parametrize(
    "path", [("node", "labels"), ("clusterName",), ("nonsense", "x"), ("apiServer", "extraArgs")]
)
def test_where_no_fields_are(path: tuple[str | int, ...]) -> None:
    assert fields(path) == []


def test_problems_in_words() -> None:
    problem = Problem(("a", 0, "b"), "is wrong", "write c", Origin("f.yaml", 3))
    assert str(problem) == "f.yaml:3: a[0].b: is wrong (write c)"
    assert str(Problem(("a",), "is wrong", None, Origin("--a", field="--a"))) == "--a: is wrong"
    assert str(Problem((), "is empty", None, Origin("f"))) == "f: is empty"
    assert dotted(("apiServer", "extraArgs", 0, "name")) == "apiServer.extraArgs[0].name"
    assert printable("a\x1b[31m\n") == "a\\x1b[31m\\n"


@pytest.mark.parametrize(
    ("word", "found"),
    [
        ("cluster_name", "did you mean `clusterName`?"),
        ("clusterNmae", "did you mean `clusterName`?"),
        ("zzz", None),
    ],
)
def test_meant(word: str, found: str | None) -> None:
    assert meant(word, ["clusterName", "networking"]) == found


def test_the_schema_takes_what_the_loader_takes() -> None:
    schema = describe.schema()
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert set(describe.document(ClusterSpec())) <= set(schema["properties"])


YAML_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12) | st.dates(),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6) | st.integers(), inner, max_size=4)
    ),
    max_leaves=12,
)


def _paths(at: tuple[str, ...] = ()) -> list[str]:
    """Every field of the description, and those of the programs in it."""
    found = []
    for name in fields(at):
        found += [".".join((*at, name)), *_paths((*at, name))]
    return found


PATHS = st.sampled_from(
    [*_paths(), "nonsense", *(f"kubelet.{n}" for n in component_fields.KUBELET),
     *(f"kubeProxy.{n}" for n in component_fields.PROXY), "kubelet.authentication.x509.clientCAFile"]
)  # fmt: skip


def _refused_or_valid(text: str | bytes) -> None:
    """The loader ends in a spec or in problems, each of which names where it is."""
    try:
        found = _load(text)
    except InvalidConfig as error:
        assert error.problems
        assert all(p.origin is not None and p.message for p in error.problems)
        assert all(line.isprintable() for line in (error.output or "").split("\n"))
    else:
        assert rules.check(found.spec) == []


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(PATHS, YAML_VALUES), max_size=3))
def test_any_values_in_any_fields(values: list[tuple[str, Any]]) -> None:
    data: dict[str, Any] = {"apiVersion": "kubeboot.io/v1alpha1", "kind": "Cluster"}
    for path, value in values:
        inner = data
        *above, last = path.split(".")
        for part in above:
            if not isinstance(inner.get(part), dict):
                inner[part] = {}
            inner = inner[part]
        inner[last] = value
    _refused_or_valid(yaml.safe_dump(data, allow_unicode=True))


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=80))
def test_any_bytes(data: bytes) -> None:
    _refused_or_valid(data)
    _refused_or_valid(HEAD.encode() + data)


@settings(max_examples=300, deadline=None)
@given(st.text("abc:-[]{}&*!|>'\"%@`#?,\n\t 01~=<", max_size=60))
def test_any_punctuation(text: str) -> None:
    _refused_or_valid(text)
    _refused_or_valid(HEAD + text)


LONG = HEAD + "\n".join(
    [
        "clusterName: prod", 'kubernetesVersion: "v1.37.1"', "networking:", "  podSubnet: 10.10.0.0/16",
        "  dnsDomain: corp.local", "apiServer:", "  certSANs: [a.example.org]", "  extraArgs:", "  - name: v",
        '    value: "4"', "etcd: {dataDir: /data/etcd}", "node:", "  labels: {a: b}",
        "  taints: [{key: a, effect: NoSchedule}]",
    ]
)  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(st.integers(0, len(LONG)), st.integers(0, 6), st.text("ab:-[]{}&*'\"\n 0~", max_size=4))
def test_a_valid_file_that_was_damaged(at: int, gone: int, instead: str) -> None:
    _refused_or_valid(LONG[:at] + instead + LONG[at + gone :])


def test_the_undamaged_file_is_valid() -> None:
    assert _load(LONG).spec.cluster_name == "prod"


@given(st.integers(1, 400))
def test_depth_never_exhausts_the_stack(depth: int) -> None:
    for text in ("[" * depth + "]" * depth, "{a: " * depth + "b" + "}" * depth, "- " * depth + "a"):
        documents, problems = document.parse(text.encode(), "x")
        assert bool(problems) is (depth > render.MAX_DEPTH)
        assert bool(documents) is not bool(problems)
