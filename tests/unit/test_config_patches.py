"""Patches: the three kinds, what each cannot do, the files that they come from."""

from __future__ import annotations

import copy
import pathlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubeboot import errors, render
from kubeboot.config import named_files, patching
from kubeboot.config.patching import json_patch, strategic
from kubeboot.config.spec import ClusterSpec, Patch

POD: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "kube-apiserver", "namespace": "kube-system", "labels": {"a": "b"}},
    "spec": {
        "containers": [
            {
                "name": "kube-apiserver",
                "command": ["kube-apiserver", "--v=2"],
                "env": [{"name": "A", "value": "1"}],
                "ports": [{"containerPort": 6443, "name": "probe-port"}],
                "volumeMounts": [{"mountPath": "/pki", "name": "pki", "readOnly": True}],
            }
        ],
        "volumes": [{"name": "pki", "hostPath": {"path": "/pki", "type": "Directory"}}],
        "tolerations": [{"operator": "Exists"}],
    },
}


def patch(text: str, kind: str = "strategic", target: str = "kube-apiserver") -> Patch:
    return Patch.model_validate({"target": target, "type": kind, "patch": text})


def patched(text: str, kind: str = "strategic") -> dict[str, Any]:
    before = copy.deepcopy(POD)
    made = patching.apply(POD, [patch(text, kind)])
    assert before == POD, "a patch leaves its target as it was"
    return made


def container(made: dict[str, Any]) -> dict[str, Any]:
    (only,) = made["spec"]["containers"]
    assert isinstance(only, dict)
    return only


def test_named_items_are_merged_and_new_ones_added() -> None:
    made = container(
        patched(
            """
spec:
  containers:
  - name: kube-apiserver
    env: [{name: A, value: "2"}, {name: B, value: "3"}]
    ports: [{containerPort: 6443, hostPort: 6443}, {containerPort: 9000}]
    volumeMounts: [{mountPath: /pki, readOnly: false}]
"""
        )
    )
    assert made["env"] == [{"name": "A", "value": "2"}, {"name": "B", "value": "3"}]
    assert made["ports"] == [
        {"containerPort": 6443, "name": "probe-port", "hostPort": 6443}, {"containerPort": 9000},
    ]  # fmt: skip
    assert made["volumeMounts"] == [{"mountPath": "/pki", "name": "pki", "readOnly": False}]
    assert made["command"] == ["kube-apiserver", "--v=2"]


STRATEGIC: list[tuple[str, str, object]] = [
    ("metadata: {labels: {c: d}}", "metadata.labels", {"a": "b", "c": "d"}),
    ("metadata: {labels: {a: null}}", "metadata.labels", {}),
    ("metadata: {labels: {$patch: replace, x: y}}", "metadata.labels", {"x": "y"}),
    ("metadata: {labels: {$patch: delete}}", "metadata.labels", None),
    ("spec: {volumes: [{name: pki, $patch: delete}]}", "spec.volumes", []),
    ("spec: {volumes: [{name: no, $patch: delete}]}", "spec.volumes", POD["spec"]["volumes"]),
    ("spec: {volumes: [{$patch: replace}, {name: n}]}", "spec.volumes", [{"name": "n"}]),
    (
        "spec: {volumes: [{name: pki, emptyDir: {}, $retainKeys: [name, emptyDir]}]}",
        "spec.volumes", [{"name": "pki", "emptyDir": {}}],
    ),
    ("spec: {tolerations: [{key: a}]}", "spec.tolerations", [{"key": "a"}]),
    ("spec: {dnsPolicy: Default}", "spec.dnsPolicy", "Default"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "path", "wanted"), STRATEGIC, ids=lambda v: str(v)[:50])
def test_strategic(text: str, path: str, wanted: object) -> None:
    found: Any = patched(text)
    for part in path.split("."):
        found = found.get(part)
    assert found == wanted


REFUSED = [
    ("strategic", "spec: {containers: [{image: x}]}", "every item of the patch needs its `name`"),
    ("strategic", "spec: {containers: [x]}", "every item of the patch needs its `name`"),
    ("strategic", "spec: {$setElementOrder/containers: []}", "is not supported; use a patch of type json"),
    ("strategic", "metadata: {labels: {$patch: merge2}}", "`$patch: merge2` is not possible here"),
    ("strategic", "spec: {newThing: {$patch: replace}}", "`$patch` has nothing to act on"),
    ("strategic", "spec: {volumes: [{name: pki, $retainKeys: name}]}", "is a list of fields"),
    ("strategic", "[]", "a strategic patch is a mapping"),
    ("merge", "[]", "a merge patch is a mapping"),
    ("merge", "metadata: {name: other}", "it changes metadata.name"),
    ("merge", "metadata: null", "it changes metadata.name"),
    ("json", "a: b", "a JSON patch is a list of operations"),
    ("json", "[a]", "operation 1: is not a mapping"),
    ("json", "[{op: put, path: /a}]", "`put` is not one of add, remove"),
    ("json", "[{op: add, path: a, value: 1}]", "is not a pointer"),
    ("json", "[{op: add, path: /a}]", "has no `value`"),
    ("json", "[{op: remove, path: /spec/no}]", "there is no `no`"),
    ("json", "[{op: remove, path: ''}]", "the whole document cannot be removed"),
    ("json", "[{op: replace, path: /spec/no, value: 1}]", "there is no `no`"),
    ("json", "[{op: add, path: /spec/containers/2, value: 1}]", "`2` is no place in a list of 1"),
    ("json", "[{op: add, path: /spec/containers/01, value: 1}]", "`01` is no place"),
    ("json", "[{op: add, path: /kind/a, value: 1}]", "`a` has nothing to be put into"),
    ("json", "[{op: move, from: /spec, path: /spec/a}]", "cannot be moved into itself"),
    ("json", "[{op: test, path: /kind, value: Node}]", "operation 1: `/kind` is not what `test` expects"),
    ("json", "[{op: replace, path: /kind, value: Node}]", "it changes kind"),
]


@pytest.mark.parametrize(("kind", "text", "message"), REFUSED, ids=lambda v: str(v)[:40])
def test_what_cannot_be_done_is_said(kind: str, text: str, message: str) -> None:
    with pytest.raises(errors.ConfigInvalid) as caught:
        patched(text, kind)
    assert message in caught.value.message
    assert caught.value.message.startswith(f"the {kind} patch of kube-apiserver cannot be applied: ")
    assert caught.value.reason == "KB_PATCH"


def test_ports_of_two_protocols_are_not_guessed_at() -> None:
    ports = [{"containerPort": 53, "protocol": "UDP"}, {"containerPort": 53, "protocol": "TCP"}]
    with pytest.raises(ValueError, match="2 items have `containerPort: 53`; use a patch of type json"):
        strategic.merge({"ports": ports}, {"ports": [{"containerPort": 53}]}, strategic.POD)


def test_lists_in_the_kubelets_settings_are_replaced() -> None:
    before = {"apiVersion": "a", "kind": "b", "allowedUnsafeSysctls": ["x"], "env": [{"name": "a"}]}
    made = patching.apply(before, [patch("env: [{name: b}]", target="kubeletconfiguration")])
    assert made["env"] == [{"name": "b"}] and made["allowedUnsafeSysctls"] == ["x"]


def test_several_documents_are_several_patches() -> None:
    made = patched("metadata: {labels: {a: c}}\n---\nmetadata: {labels: {d: e}}\n", "merge")
    assert made["metadata"]["labels"] == {"a": "c", "d": "e"}


RFC_6902 = [
    ({"a": [1]}, [{"op": "add", "path": "/a/-", "value": 2}], {"a": [1, 2]}),
    ({"a": [1]}, [{"op": "add", "path": "/a/0", "value": 2}], {"a": [2, 1]}),
    ({"a/b": 1, "m~n": 2}, [{"op": "remove", "path": "/a~1b"}, {"op": "remove", "path": "/m~0n"}], {}),
    ({"a": 1}, [{"op": "move", "from": "/a", "path": "/b"}], {"b": 1}),
    ({"a": {"b": [1]}}, [{"op": "copy", "from": "/a/b", "path": "/c"}], {"a": {"b": [1]}, "c": [1]}),
    ({"a": 1}, [{"op": "replace", "path": "", "value": [1]}], [1]),
    (
        {"a": [1, 2]},
        [{"op": "test", "path": "/a/1", "value": 2}, {"op": "remove", "path": "/a/1"}],
        {"a": [1]},
    ),
    ({"": 1}, [{"op": "replace", "path": "/", "value": 2}], {"": 2}),
]


@pytest.mark.parametrize(("target", "operations", "wanted"), RFC_6902, ids=range(len(RFC_6902)))
def test_json_patch(target: object, operations: object, wanted: object) -> None:
    assert json_patch.patch(target, operations) == wanted


RFC_7386 = [
    ({"a": "b"}, {"a": "c"}, {"a": "c"}),
    ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
    ({"a": "b"}, {"a": None}, {}),
    ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
    ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
    ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
    (["a", "b"], ["c", "d"], ["c", "d"]),
    ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
    ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
    ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
]
"""The RFC's own table."""


@pytest.mark.parametrize(("target", "changes", "wanted"), RFC_7386, ids=range(len(RFC_7386)))
def test_json_merge_patch(target: object, changes: object, wanted: object) -> None:
    assert json_patch.merge(target, changes) == wanted


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["name", "spec", "env", "$patch", "a"]), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(json_values, st.sampled_from(["strategic", "merge", "json"]))
def test_any_patch_is_applied_or_refused_in_words(change: object, kind: str) -> None:
    try:
        patching.apply(POD, [patch(render.dump({"spec": change}) if kind != "json" else str([change]), kind)])
    except errors.ConfigInvalid as error:
        assert error.reason == "KB_PATCH"


def files(tmp_path: pathlib.Path, **texts: str) -> ClusterSpec:
    for name, text in texts.items():
        (tmp_path / name.replace("__", "+").replace("_", ".")).write_text(text)
    return ClusterSpec.model_validate({"patches": {"directory": str(tmp_path)}})


def test_a_directory_as_kubeadm_has_it(tmp_path: pathlib.Path) -> None:
    spec = files(
        tmp_path,
        etcd_yaml="a: b", etcd1__json_json="[]", README_md="x", corednsdeployment__merge_yaml="spec: {}",
    )  # fmt: skip
    found, problems, warnings = named_files.read(spec)
    assert [(p.target, p.type) for p in found.patches.inline] == [
        ("corednsdeployment", "merge"), ("etcd", "strategic"), ("etcd", "json"),
    ]  # fmt: skip
    assert found.patches.directory is None and problems == []
    assert [pathlib.Path(w.split(" ")[0]).name for w in warnings] == ["README.md"]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("etcd__merge2_yaml", "a: b", "etcd+merge2.yaml: `merge2` is not one of strategic, merge, json"),
        ("etcd_yaml", "[]", "etcd.yaml: a strategic patch is a mapping"),
        ("etcd__json_yaml", "a: b", "etcd+json.yaml: a json patch is a list of operations"),
        ("etcd_yaml", "", "etcd.yaml: is empty"),
        ("etcd_yaml", "a: [", "etcd.yaml: not YAML"),
        ("etcd_yaml", "a: 2026-11-21", "etcd.yaml: is a date in YAML"),
    ],
)
def test_files_that_are_no_patches(tmp_path: pathlib.Path, name: str, text: str, message: str) -> None:
    _, problems, _ = named_files.read(files(tmp_path, **{name: text}))
    assert [str(p) for p in problems if message in str(p)], problems


def test_a_directory_that_is_not_there() -> None:
    spec = ClusterSpec.model_validate({"patches": {"directory": "/nonexistent"}})
    (problem,) = named_files.read(spec)[1]
    assert str(problem) == "patches.directory: /nonexistent cannot be read: no such file or directory"
