"""Whatever is generated as a configuration: a valid one, or problems that say where."""

from __future__ import annotations

from typing import Any

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from kubeboot import render
from kubeboot.config import component_fields, document, rules
from kubeboot.config.problems import InvalidConfig
from kubeboot.config.validate import fields
from tests.unit.config_support import load
from tests.unit.malformed import HEAD

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
        found = load(text)
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
    assert load(LONG).spec.cluster_name == "prod"


@given(st.integers(1, 400))
def test_depth_never_exhausts_the_stack(depth: int) -> None:
    for text in ("[" * depth + "]" * depth, "{a: " * depth + "b" + "}" * depth, "- " * depth + "a"):
        documents, problems = document.parse(text.encode(), "x")
        assert bool(problems) is (depth > render.MAX_DEPTH)
        assert bool(documents) is not bool(problems)
