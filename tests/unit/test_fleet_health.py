"""The gate before a control plane is changed: what it waits for, and for whom it does not."""

from __future__ import annotations

import dataclasses
import threading
from typing import Any

import pytest

from kubeboot.fleet import health
from tests.fakes.etcd import FakeEtcd, member

DEAD = {"cp-1": "cp-1 does not answer: bring it back"}


@dataclasses.dataclass
class Api:
    """An API server that knows which Nodes are not Ready, and says at first that it is not."""

    lame: set[str]
    starting: int = 0

    def ready(self) -> str | None:
        self.starting -= 1
        return "it starts" if self.starting >= 0 else None

    def list(self, *_: str, **__: Any) -> list[dict[str, Any]]:
        return [_node(name, ready=name not in self.lame) for name in ("cp-1", "cp-2", "cp-3")]


@dataclasses.dataclass(frozen=True)
class Cluster:
    api: Api


def _node(name: str, *, ready: bool) -> dict[str, Any]:
    condition = {"type": "Ready", "status": str(ready), "message": "its kubelet is silent"}
    return {"metadata": {"name": name}, "status": {"conditions": [condition]}}


@pytest.fixture
def etcd() -> FakeEtcd:
    return FakeEtcd(member(1), member(2), member(3))


def awaited(api: Api, etcd: FakeEtcd, dead: dict[str, str], scale: float = 1.0) -> str | None:
    return health.awaited(Cluster(api), threading.Event(), scale, etcd, dead)  # type: ignore[arg-type]


def test_what_gets_well_is_waited_for(etcd: FakeEtcd, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "LOOK", 0.001)
    assert awaited(Api(set(), starting=3), etcd, {}) is None


def test_what_does_not_is_told_in_the_end(etcd: FakeEtcd, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "LOOK", 0.001)
    assert awaited(Api({"cp-2"}), etcd, {}, scale=0.0001) == "Node cp-2 is not Ready: its kubelet is silent"


def test_a_machine_that_could_not_be_reached_is_not(etcd: FakeEtcd) -> None:
    """LOOK is a second here, PATIENCE three minutes: a first look must be enough."""
    stop = threading.Event()
    stop.wait = lambda *_: pytest.fail("it waited")  # type: ignore[method-assign]
    cluster = Cluster(Api({"cp-1"}, starting=1))
    said = health.awaited(cluster, stop, 1.0, etcd, DEAD)  # type: ignore[arg-type]
    assert said == f"Node cp-1 is not Ready: its kubelet is silent; {DEAD['cp-1']}"
    etcd.down.add("cp-1")
    assert awaited(Api(set()), etcd, DEAD) == f"connection refused; {DEAD['cp-1']}"


def test_one_that_is_well_all_the_same_holds_up_nobody(etcd: FakeEtcd) -> None:
    assert awaited(Api(set()), etcd, DEAD) is None
