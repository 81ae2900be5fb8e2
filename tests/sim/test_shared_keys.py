"""What control planes share: its way through the cluster, and onto a machine that may have another."""

from __future__ import annotations

import datetime
import threading
import time
from collections.abc import Mapping

import pytest

from kubeboot import errors
from kubeboot.engine.step import Blocked, Ok, Target
from kubeboot.engine.values import Secret, Values
from kubeboot.fleet import shared as access
from kubeboot.kube import lease, uploads
from kubeboot.kube.api import ApiRefused, NoApi, Object
from kubeboot.pki import build, pem, sealed, table
from kubeboot.steps import shared_keys
from tests.fakes.api import FakeApi
from tests.fakes.clock import Clock
from tests.fakes.entries import File
from tests.fakes.host import FakeHost
from tests.sim.contract import converges

AT = datetime.datetime(2026, 11, 21, tzinfo=datetime.UTC)
KEY = sealed.new_key()
ROUNDS = 200


def shared() -> dict[str, bytes]:
    made: dict[str, bytes] = {}
    for row in table.AUTHORITIES:
        key = build.new_key()
        made[f"{row.file}.crt"] = build.authority(row.common_name, key, days=10, at=AT)
        made[f"{row.file}.key"] = pem.encode_key(key)
    key = build.new_key()
    return made | {"sa.pub": pem.encode_public(key.public_key()), "sa.key": pem.encode_key(key)}


GIVEN = shared()


def test_what_is_uploaded_comes_down_again_and_goes_after_two_hours() -> None:
    api = FakeApi()
    uploads.upload(api, GIVEN, KEY, lambda: AT)
    assert uploads.download(api, KEY) == GIVEN
    secret = api.get("v1", "Secret", uploads.NAME, "kube-system")
    assert secret is not None
    [owner] = secret["metadata"]["ownerReferences"]
    token = api.get("v1", "Secret", owner["name"], "kube-system")
    assert token is not None and token["metadata"]["uid"] == owner["uid"]
    assert b"PRIVATE" not in str(secret).encode()


def test_a_fresh_upload_makes_the_old_key_useless() -> None:
    api = FakeApi()
    uploads.upload(api, GIVEN, KEY, lambda: AT)
    uploads.upload(api, GIVEN, sealed.new_key(), lambda: AT)
    with pytest.raises(errors.KubebootError) as raised:
        uploads.download(api, KEY)
    assert raised.value.reason == "KB_CERTIFICATE_KEY"


def test_no_secret_and_no_right_to_it_are_the_same_to_who_joins() -> None:
    class Refusing(FakeApi):
        def get(self, *_: object) -> None:  # type: ignore[override]
            raise ApiRefused("no", status=403)

    for api in (FakeApi(), Refusing()):
        with pytest.raises(errors.Unreachable) as raised:
            uploads.download(api, KEY)
        assert "kubeboot certs upload" in str(raised.value.hint)


@pytest.mark.parametrize("step", shared_keys.steps("cp-2", GIVEN), ids=lambda step: step.id)
def test_each_pair_is_installed_and_taken_back(step: shared_keys.EnsureGiven) -> None:
    converges(step, FakeHost("cp-2"))
    assert "PRIVATE" not in repr(step)


@pytest.mark.parametrize("step", shared_keys.steps("cp-2", GIVEN), ids=lambda step: step.id)
def test_another_clusters_is_never_replaced(step: shared_keys.EnsureGiven) -> None:
    host, other = FakeHost("cp-2"), shared()
    name = step.files.certificate.removeprefix(f"{table.DIRECTORY}/")
    host.files[step.files.certificate] = File(other[name])
    found = step.check(Target(host, NoApi()).see, Values())
    assert isinstance(found, Blocked) and found.reason == "KB_OTHER_CLUSTER"


def test_a_half_written_pair_is_completed() -> None:
    host, step = FakeHost("cp-2"), shared_keys.steps("cp-2", GIVEN)[0]
    assert isinstance(step, shared_keys.EnsureGiven)
    host.files[step.files.key] = File(GIVEN["ca.key"], 0o600)
    step.apply(Target(host, NoApi()), Values())
    assert step.check(Target(host, NoApi()).see, Values()) == Ok()


@pytest.mark.parametrize("file", ["ca.key", "etcd/ca.key", "sa.key"])
def test_halves_of_different_pairs_are_noticed(file: str) -> None:
    assert shared_keys.mismatched(GIVEN) == ()
    assert len(shared_keys.mismatched(GIVEN | {file: shared()[file]})) == 1


def joining(given: dict[str, bytes], authority: bytes) -> Mapping[str, bytes]:
    """What a machine without any gets from the cluster."""
    api = FakeApi()
    uploads.upload(api, given, KEY, lambda: AT)
    return access.obtain(api, FakeHost("cp-2"), Secret(KEY), authority, None)


def test_a_machine_that_joins_gets_what_the_others_have() -> None:
    assert joining(GIVEN, GIVEN["ca.crt"]) == GIVEN


@pytest.mark.parametrize("file", ["ca.key", "front-proxy-ca.key", "etcd/ca.crt", "sa.key", "sa.pub"])
def test_an_upload_of_another_clusters_keys_is_refused_before_anything_is_done(file: str) -> None:
    with pytest.raises(errors.KubebootError, match="not this cluster's") as raised:
        joining(GIVEN | {file: shared()[file]}, GIVEN["ca.crt"])
    assert raised.value.reason == "KB_OTHER_CLUSTER"


def test_an_upload_of_another_cluster_altogether_is_refused() -> None:
    with pytest.raises(errors.KubebootError, match=r"ca\.crt is another authority") as raised:
        joining(shared(), GIVEN["ca.crt"])
    assert raised.value.reason == "KB_OTHER_CLUSTER"


def test_what_lies_on_the_machine_already_must_be_whole() -> None:
    api, host = FakeApi(), FakeHost("cp-2")
    with pytest.raises(errors.UsageProblem) as raised:
        access.obtain(api, host, None, GIVEN["ca.crt"], None)
    assert raised.value.reason == "KB_CERTIFICATE_KEY"
    host.files |= {f"{table.DIRECTORY}/{name}": File(data) for name, data in GIVEN.items()}
    assert access.obtain(api, host, None, GIVEN["ca.crt"], None) == GIVEN


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
