"""EnsureObject: create, change, leave alone; and what it shows of itself."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubeboot.engine.step import CLUSTER, Drift, Later, Ok, Target, View
from kubeboot.engine.values import Values
from kubeboot.kube.api import ApiRefused, NoApi, Object
from kubeboot.steps import objects
from tests.fakes.api import Change, FakeApi
from tests.fakes.host import FakeHost
from tests.sim.contract import converges

NONE = Values()


def config_map(**data: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "motd", "namespace": "kube-system"},
        "data": data,
    }


def on(api: FakeApi) -> Target:
    return Target(FakeHost(), api)


def test_it_converges_and_a_second_run_writes_nothing() -> None:
    api = FakeApi()
    found = converges(objects.ensure(config_map(a="1")), FakeHost(), api=api)
    assert (found.summary, found.change) == ("create ConfigMap kube-system/motd", "create")
    assert found.diff is not None and "+  a: '1'" in found.diff


def test_its_id_and_place() -> None:
    step = objects.ensure(config_map(), "proxy", ("control-plane/ready",))
    assert (step.id, step.on, step.after) == ("proxy/configmap-motd", CLUSTER, {"control-plane/ready"})


def test_a_change_shows_what_and_how() -> None:
    api = FakeApi(config_map(a="1"))
    found = objects.ensure(config_map(a="2")).check(on(api).see, NONE)
    assert isinstance(found, Drift)
    assert (found.summary, found.change) == ("change ConfigMap kube-system/motd: data.a", "change")
    assert found.diff is not None and "-  a: '1'\n+  a: '2'" in found.diff
    assert api.changes == []


def test_what_others_own_is_left_alone() -> None:
    live = config_map(a="1", theirs="2")
    live["metadata"] |= {"labels": {"x": "y"}, "managedFields": [{}], "generation": 3}
    api = FakeApi({**live, "status": {"seen": True}})
    assert objects.ensure(config_map(a="1")).check(on(api).see, NONE) == Ok()


def test_a_status_counts_where_it_is_asked_for() -> None:
    wanted = {**config_map(), "status": {"phase": "b"}}
    api = FakeApi({**config_map(), "status": {"phase": "a"}})
    assert isinstance(objects.ensure(wanted).check(on(api).see, NONE), Drift)


def test_a_secret_is_never_shown() -> None:
    secret = {**config_map(key="c2VjcmV0"), "kind": "Secret"}
    other = {**config_map(key="b3RoZXI="), "kind": "Secret"}
    for api in (FakeApi(), FakeApi(other)):
        found = objects.ensure(secret).check(on(api).see, NONE)
        assert isinstance(found, Drift) and found.diff is None
    assert "c2VjcmV0" not in repr(objects.ensure(secret))


def test_a_step_may_declare_its_object_secret() -> None:
    step = objects.EnsureObject(id="x", title="x", on=CLUSTER, obj=config_map(a="1"), secret=True)
    found = step.check(on(FakeApi()).see, NONE)
    assert isinstance(found, Drift) and found.diff is None


@pytest.mark.parametrize("api", [NoApi(), FakeApi()])
def test_without_an_api_it_is_for_later(api: Any) -> None:
    if isinstance(api, FakeApi):
        api.unavailable = "connection refused"
    assert objects.ensure(config_map()).check(Target(FakeHost(), api).see, NONE) == Later("the API server")


class Refusing(FakeApi):
    """Answers, but not to these credentials."""

    def get(self, api_version: str, kind: str, name: str, namespace: str | None = None) -> Object | None:
        raise ApiRefused("not to you", status=403)


def test_a_refusal_is_not_taken_for_an_api_that_is_not_there_yet() -> None:
    with pytest.raises(ApiRefused):
        objects.ensure(config_map()).check(on(Refusing()).see, NONE)


def test_applying_is_one_write() -> None:
    api = FakeApi()
    objects.ensure(config_map()).apply(on(api), NONE)
    assert api.changes == [Change("apply", "ConfigMap kube-system/motd")]


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.sampled_from("abc"),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("xyz"), inner, max_size=3),
    max_leaves=8,
)
FIELDS = st.dictionaries(st.sampled_from(["spec", "data", "x"]), PLAIN, max_size=3)


@given(FIELDS, FIELDS)
def test_differences_are_named_exactly_when_there_are_any(has: dict[str, Any], wants: dict[str, Any]) -> None:
    named = objects.differences(has, wants)
    assert bool(named) == (has != wants)
    assert {name.split(".")[0] for name in named} == {
        k for k in {*has, *wants} if has.get(k, ...) != wants.get(k, ...)
    }


@given(FIELDS, FIELDS)
def test_once_applied_any_object_is_ok_for_ever(before: dict[str, Any], fields: dict[str, Any]) -> None:
    obj = {**copy.deepcopy(fields), **{k: v for k, v in config_map().items() if k != "data"}}
    api = FakeApi({**copy.deepcopy(before), **obj})
    step = objects.ensure(obj)
    step.apply(on(api), NONE)
    assert step.check(on(api).see, NONE) == Ok()


def test_what_a_controller_writes_between_two_looks_is_no_drift() -> None:
    class Racing(FakeApi):
        """The deployment controller notes a revision just after the object was read, once."""

        raced = False

        def get(self, api_version: str, kind: str, name: str, namespace: str | None = None) -> Object | None:
            found = super().get(api_version, kind, name, namespace)
            if found is not None and not self.raced:
                self.raced = True
                self.patch_merge(
                    api_version, kind, name, {"metadata": {"annotations": {"revision": "1"}}}, namespace
                )
            return found

    api = Racing()
    obj = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "a", "namespace": "b"},
        "data": {"k": "v"},
    }
    step = objects.ensure(obj)
    api.apply(obj)
    assert step.check(View(FakeHost(), api), Values()) == Ok()
    assert api.raced
