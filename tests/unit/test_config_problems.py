"""Problems in words, and what the description says of the fields."""

from __future__ import annotations

import pytest

from kubeboot.config import describe
from kubeboot.config.problems import Origin, Problem, dotted, meant, printable
from kubeboot.config.spec import ClusterSpec
from kubeboot.config.validate import fields


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
