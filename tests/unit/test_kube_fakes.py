"""The API in memory keeps the promises that tests build on, and an API that is found late is still one."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubeboot.kube.api import Api, ApiError, ApiUnavailable, NoApi
from kubeboot.kube.deferred import Deferred
from tests.fakes.api import Change, FakeApi, matches, merge


def pod(name: str, namespace: str = "here", **labels: str) -> dict[str, Any]:
    meta = {"name": name, "namespace": namespace, "labels": labels}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": {"a": {"b": 1}}}


def test_an_object_keeps_its_uid_and_changes_its_version() -> None:
    api = FakeApi()
    first, second = api.apply(pod("x")), api.apply(pod("x", color="red"))
    assert first["metadata"]["uid"] == second["metadata"]["uid"]
    assert first["metadata"]["resourceVersion"] != second["metadata"]["resourceVersion"]


def test_what_is_read_is_a_copy() -> None:
    api = FakeApi(pod("x"))
    found: Any = api.get("v1", "Pod", "x", "here")
    found["spec"]["a"]["b"] = 2
    assert api.get("v1", "Pod", "x", "here") != found


def test_a_dry_run_changes_nothing() -> None:
    api = FakeApi(pod("x"))
    before = api.snapshot()
    made = api.dry_run({**pod("x"), "spec": {"a": {"c": 2}}})
    assert made["spec"] == {"a": {"b": 1, "c": 2}}
    assert api.snapshot() == before and api.changes == []


def test_lists_are_of_a_namespace_or_of_all() -> None:
    api = FakeApi(pod("a", app="web"), pod("b", "there"))
    assert [p["metadata"]["name"] for p in api.list("v1", "Pod")] == ["a", "b"]
    assert [p["metadata"]["name"] for p in api.list("v1", "Pod", "there")] == ["b"]
    assert [p["metadata"]["name"] for p in api.list("v1", "Pod", labels="app=web")] == ["a"]


@pytest.mark.parametrize(
    ("selector", "fits"),
    [
        ("a=1", True),
        ("a==1", True),
        ("a=2", False),
        ("a", True),
        ("!a", False),
        ("!b,a=1", True),
        (None, True),
    ],
)
def test_selectors(selector: str | None, fits: int) -> None:
    assert matches(pod("x", a="1"), selector) is bool(fits)


def test_what_is_there_cannot_be_created_and_what_is_not_cannot_be_patched() -> None:
    api = FakeApi(pod("x"))
    with pytest.raises(ApiError) as caught:
        api.create(pod("x"))
    assert caught.value.status == 409
    with pytest.raises(ApiError) as caught:
        api.patch_merge("v1", "Pod", "y", {}, "here")
    assert caught.value.status == 404


def test_it_fails_on_request_and_before_it_writes() -> None:
    api = FakeApi()
    api.fail_at(2)
    api.apply(pod("x"))
    with pytest.raises(ApiUnavailable):
        api.apply(pod("y"))
    assert api.get("v1", "Pod", "y", "here") is None
    api.fail_at("Pod here/z", ValueError("z"))
    with pytest.raises(ValueError, match="z"):
        api.create(pod("z"))
    assert api.changes == [Change("apply", "Pod here/x")]


def test_controllers_react_to_writes() -> None:
    api = FakeApi()
    api.reactions.append(lambda api, op, obj: op == "apply" and api.put(pod("made-by-controller")) and None)
    api.apply(pod("x"))
    assert api.get("v1", "Pod", "made-by-controller", "here")
    assert len(api.changes) == 1


VALUES = st.recursive(
    st.none() | st.integers() | st.lists(st.integers(), max_size=2),
    lambda inner: st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
)
OBJECTS = st.dictionaries(st.sampled_from("ab"), VALUES, max_size=2)


@given(OBJECTS, OBJECTS)
def test_merging_twice_is_merging_once(live: dict[str, Any], obj: dict[str, Any]) -> None:
    once = merge(live, obj)
    assert merge(once, obj) == once
    assert merge(obj, once) == once


CALLS = [
    lambda api: api.get("v1", "Pod", "x", "here"),
    lambda api: api.list("v1", "Pod"),
    lambda api: api.dry_run(pod("x")),
    lambda api: api.apply(pod("x")),
    lambda api: api.create(pod("y")),
    lambda api: api.patch_merge("v1", "Pod", "x", {"spec": None}, "here"),
    lambda api: api.delete("v1", "Pod", "x", "here"),
]


@pytest.mark.parametrize("call", CALLS)
def test_an_api_without_credentials_is_found_when_they_are_there(call: Any) -> None:
    found: list[Api] = []
    asked: list[int] = []

    def find() -> Api | None:
        asked.append(1)
        return found[0] if found else None

    late = Deferred(find)
    assert late.ready() is not None
    with pytest.raises(ApiUnavailable):
        call(late)
    with pytest.raises(ApiUnavailable):
        call(NoApi())
    found.append(FakeApi(pod("x")))
    assert late.ready() is None
    assert call(late) == call(FakeApi(pod("x")))
    assert len(asked) == 3
