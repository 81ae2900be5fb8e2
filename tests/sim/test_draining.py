"""Draining a machine in memory: what goes, what stays, who forbids it, and a machine that dies meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from kubeboot import errors
from kubeboot.engine.step import Drift, Ok, Step
from kubeboot.engine.values import Values
from kubeboot.plan import remove
from kubeboot.steps.draining import OUT_OF_SERVICE, Cordon, Detach, Detached, Drain, NoPods
from tests.fakes import cluster as clusters
from tests.fakes.api import Change, FakeApi

BUDGET = "Cannot evict pod as it would violate the pod's disruption budget. The budget web needs 2 pods"
OF_SET = {"ownerReferences": [{"kind": "ReplicaSet", "name": "web", "controller": True}]}
OF_DAEMON = {"ownerReferences": [{"kind": "DaemonSet", "name": "proxy", "controller": True}]}
MIRROR = {"annotations": {"kubernetes.io/config.mirror": "x"}}


def pod(name: str, node: str = "cp-1", phase: str = "Running", **meta: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "here", **meta},
        "spec": {"nodeName": node},
        "status": {"phase": phase},
    }


def on(step: type[Step], **more: Any) -> Any:
    return step(id="remove/x", title="", on="@cluster", node="cp-1", **more)  # type: ignore[call-arg]


def draining(pauses: Callable[[float], None] = lambda _: None, within: float = 10.0) -> Drain:
    ticks = iter(range(1000))
    made: Drain = on(Drain, within=within, pause=pauses, clock=lambda: float(next(ticks)))
    return made


def evicted(api: FakeApi) -> list[str]:
    return [change.subject for change in api.changes if change.op == "evict"]


def test_what_others_may_run_is_evicted_and_nothing_else() -> None:
    api = FakeApi(
        clusters.a_node(),
        pod("web", **OF_SET),
        pod("proxy", **OF_DAEMON),
        pod("kube-apiserver-cp-1", **MIRROR),
        pod("over", phase="Succeeded"),
        pod("elsewhere", node="cp-2", **OF_SET),
    )
    step, do = draining(), clusters.on(api)
    assert step.check(do.see, Values()) == Drift("evict here/web", "remove")
    step.apply(do, Values())
    assert evicted(api) == ["Pod here/web"]
    assert step.check(do.see, Values()) == Ok()


def test_a_pod_that_nobody_starts_again_is_named_before() -> None:
    found = draining().check(clusters.on(FakeApi(clusters.a_node(), pod("lonely"))).see, Values())
    assert isinstance(found, Drift) and found.summary.endswith("nothing will start these again: here/lonely")


def test_a_budget_is_waited_for() -> None:
    api = FakeApi(clusters.a_node(), pod("web", **OF_SET))
    api.protected["here/web"] = BUDGET
    draining(lambda _: api.protected.clear()).apply(clusters.on(api), Values())
    assert evicted(api) == ["Pod here/web"]


def test_what_holds_a_pod_for_too_long_is_said_in_the_apis_words() -> None:
    api = FakeApi(clusters.a_node(), pod("web", **OF_SET))
    api.protected["here/web"] = BUDGET
    with pytest.raises(errors.TimedOut) as caught:
        draining().apply(clusters.on(api), Values())
    assert caught.value.reason == "KB_DRAIN"
    assert caught.value.output == f"here/web: {BUDGET}"
    assert "cp-1 is not drained after 10s: here/web" in caught.value.message


def test_a_pod_that_does_not_end_is_asked_once_and_named() -> None:
    api = FakeApi(clusters.a_node(), pod("web", **OF_SET))
    api.ending = True
    with pytest.raises(errors.TimedOut) as caught:
        draining().apply(clusters.on(api), Values())
    assert evicted(api) == ["Pod here/web"]
    assert caught.value.output == "here/web: is still ending"


def test_a_machine_that_dies_meanwhile_is_not_waited_for() -> None:
    api = FakeApi(clusters.a_node(), pod("web", **OF_SET))
    api.ending = True
    step = draining(lambda _: api.put(clusters.a_node(ready="Unknown")) and None)
    step.apply(clusters.on(api), Values())
    assert step.check(clusters.on(api).see, Values()) == Ok()


@pytest.mark.parametrize("step", [on(Cordon), draining()])
def test_a_dead_machine_is_neither_cordoned_nor_drained(step: Step) -> None:
    api = FakeApi(clusters.a_node(ready="Unknown"), pod("web", **OF_SET))
    assert step.check(clusters.on(api).see, Values()) == Ok()


def test_nothing_new_comes_to_a_cordoned_machine() -> None:
    api = FakeApi(clusters.a_node())
    step, do = on(Cordon), clusters.on(api)
    assert isinstance(step.check(do.see, Values()), Drift)
    step.apply(do, Values())
    assert step.check(do.see, Values()) == Ok()


def attachment(node: str) -> dict[str, Any]:
    meta = {"name": f"csi-{node}"}
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "VolumeAttachment",
        "metadata": meta,
        "spec": {"nodeName": node},
    }


def test_volumes_of_a_dead_machine_are_given_free() -> None:
    api = FakeApi(clusters.a_node(ready="Unknown"), attachment("cp-1"), attachment("cp-2"))
    step, do = on(Detach), clusters.on(api)
    assert isinstance(step.check(do.see, Values()), Drift)
    step.apply(do, Values())
    step.apply(do, Values())
    node = api.get("v1", "Node", "cp-1")
    assert node is not None and node["spec"]["taints"] == [OUT_OF_SERVICE]
    assert Detached("cp-1").look(do.see, Values()) == "still attached: csi-cp-1"
    api.delete("storage.k8s.io/v1", "VolumeAttachment", "csi-cp-1")
    assert Detached("cp-1").look(do.see, Values()) is None
    assert step.check(do.see, Values()) == Ok()


def test_a_living_machine_detaches_its_volumes_itself() -> None:
    api = FakeApi(clusters.a_node(), attachment("cp-1"))
    assert on(Detach).check(clusters.on(api).see, Values()) == Ok()
    assert Detached("cp-1").look(clusters.on(api).see, Values()) is None


def test_what_is_left_of_it_is_forgotten_at_once() -> None:
    api = FakeApi(pod("proxy", **OF_DAEMON), pod("elsewhere", node="cp-2"))
    step, do = on(NoPods), clusters.on(api)
    assert isinstance(step.check(do.see, Values()), Drift)
    step.apply(do, Values())
    assert api.changes == [Change("delete now", "Pod here/proxy")]
    assert step.check(do.see, Values()) == Ok()


def test_by_force_nobody_is_asked() -> None:
    going = remove.Going("cp-1", (), "192.0.2.12", b"")
    forced = {s.id for s in remove.plan("cp-2", going, None).steps}
    asked = {s.id for s in remove.plan("cp-2", going, 300.0).steps}
    assert asked - forced == {"remove/cordon", "remove/drain", "remove/volumes"}
