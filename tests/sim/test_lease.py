"""The lease on etcd's members: one machine holds it, free when that is dead, never taken from a live one."""

from __future__ import annotations

import threading
import time

import pytest

from kubeboot import errors
from kubeboot.kube import lease
from kubeboot.kube.api import Object
from tests.fakes.api import FakeApi
from tests.fakes.clock import Clock

ROUNDS = 200


def holder(api: FakeApi) -> str:
    found = api.get(*lease.LEASE, lease.ETCD, "kube-system")
    return str(found["spec"]["holderIdentity"]) if found else ""


def test_a_lease_is_held_and_given_back() -> None:
    api, clock = FakeApi(), Clock()
    for _ in range(2):
        with lease.held(api, "cp-2", lease.Wait(pause=clock.wait, clock=clock)):
            assert holder(api) == "cp-2"
        assert holder(api) == ""
    assert clock.now == 0


def test_a_dead_holder_is_waited_for_by_watching_it_not_by_comparing_clocks() -> None:
    api, clock = FakeApi(), Clock()
    lease._take(api, "cp-3", None)
    with lease.held(api, "cp-2", lease.Wait(pause=clock.wait, clock=clock)):
        assert holder(api) == "cp-2"
    assert lease.DURATION <= clock.now <= lease.DURATION + 1


def test_who_waits_is_told_once_for_whom_and_how_long() -> None:
    api, clock, said = FakeApi(), Clock(), list[str]()
    lease._take(api, "cp-3", None)
    with lease.held(api, "cp-2", lease.Wait(tell=said.append, pause=clock.wait, clock=clock)):
        [told] = said
    assert "waiting for cp-3" in told and f"{lease.DURATION:.0f} s" in told
    with lease.held(api, "cp-2", lease.Wait(tell=said.append, pause=clock.wait, clock=clock)):
        assert said == [told]


def test_what_an_earlier_run_of_this_machine_held_is_its_own() -> None:
    api, clock = FakeApi(), Clock()
    lease._take(api, "cp-2", None)
    with lease.held(api, "cp-2", lease.Wait(pause=clock.wait, clock=clock)):
        assert clock.now == 0


def test_a_holder_that_lives_is_not_robbed() -> None:
    api, clock = FakeApi(), Clock()
    lease._take(api, "cp-3", None)

    def renewed(seconds: float) -> None:
        clock.wait(seconds)
        lease._take(api, "cp-3", api.get(*lease.LEASE, lease.ETCD, "kube-system"))

    with (
        pytest.raises(errors.Occupied, match=r"cp-3 \(since 20"),
        lease.held(api, "cp-2", lease.Wait(pause=renewed, clock=clock)),
    ):
        pass


class Slow(FakeApi):
    """Others come between an answer and what is made of it."""

    def get(self, api_version: str, kind: str, name: str, namespace: str | None = None) -> Object | None:
        found = super().get(api_version, kind, name, namespace)
        time.sleep(0.0005)
        return found


def test_of_two_machines_at_once_exactly_one_holds_the_lease() -> None:
    api, inside, most = Slow(), [], []

    def change(name: str) -> None:
        for _ in range(ROUNDS):
            with lease.held(api, name, lease.Wait(pause=lambda seconds: time.sleep(0))):
                inside.append(name)
                most.append(len(inside))
                time.sleep(0.0005)
                inside.remove(name)

    threads = [threading.Thread(target=change, args=(name,)) for name in ("cp-2", "cp-3")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] * (2 * ROUNDS)
