"""What control planes share: its way through the cluster, and onto a machine that may have another."""

from __future__ import annotations

import datetime
from collections.abc import Mapping

import pytest

from kubeboot import errors
from kubeboot.engine.step import Blocked, Ok, Target
from kubeboot.engine.values import Secret, Values
from kubeboot.fleet import shared as access
from kubeboot.kube import uploads
from kubeboot.kube.api import ApiRefused, NoApi
from kubeboot.pki import build, pem, sealed, table
from kubeboot.steps import shared_keys
from tests.fakes.api import FakeApi
from tests.fakes.entries import File
from tests.fakes.host import FakeHost
from tests.sim.contract import converges

AT = datetime.datetime(2026, 11, 21, tzinfo=datetime.UTC)
KEY = sealed.new_key()


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


def test_a_missing_upload_and_a_forbidden_one_have_the_same_hint() -> None:
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
def test_another_clusters_keys_are_never_replaced(step: shared_keys.EnsureGiven) -> None:
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
