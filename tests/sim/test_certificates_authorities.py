"""Authorities and ServiceAccount keys: what the cluster depends on is never replaced."""

from __future__ import annotations

import pytest

from kubeboot.config.node import NodeSettings
from kubeboot.engine.step import Blocked, Ok, Step
from kubeboot.pki import pem
from kubeboot.steps import authorities, certificates
from tests.fakes.host import FakeHost
from tests.fakes.pki import AT, authority
from tests.sim.contract import converges
from tests.sim.pki_support import DAY, PKI, check, pki, run, steps


@pytest.fixture
def host() -> FakeHost:
    return FakeHost("cp-1")


@pytest.fixture
def done(host: FakeHost) -> FakeHost:
    run(host, steps())
    return host


@pytest.mark.parametrize("file", ["ca", "etcd/ca", "front-proxy-ca"])
def test_an_authority_without_its_key_is_not_replaced(done: FakeHost, file: str) -> None:
    done.remove(f"{PKI}/{file}.key")
    found = check(done, steps()[f"pki/{file.replace('/', '-')}"])
    assert isinstance(found, Blocked)
    assert found.reason == "KB_CA_KEY_MISSING"
    assert f"{PKI}/{file}.key" in (found.hint or "")


def test_a_lost_authority_is_not_replaced_while_its_leaves_are_there(done: FakeHost) -> None:
    done.remove(f"{PKI}/etcd/ca.crt")
    done.remove(f"{PKI}/etcd/ca.key")
    found = check(done, steps()["pki/etcd-ca"])
    assert isinstance(found, Blocked)
    assert found.message == f"{PKI}/etcd/ca.crt, which signed etcd/server.crt, is missing"
    assert "restore it from a backup" in (found.hint or "")


def test_a_lost_certificate_is_made_again_from_its_key(done: FakeHost) -> None:
    """The same key and name: everything that it signed, and every pin of it, stays good."""
    done.remove(f"{PKI}/ca.crt")
    assert converges(steps()["pki/ca"], done).summary == "create /etc/kubernetes/pki/ca.crt and its key"
    assert {found for name, found in run(done, steps())[1].items() if name != "pki/ca"} == {Ok()}


def test_a_key_of_somebody_else_does_not_make_an_authority(done: FakeHost) -> None:
    done.remove(f"{PKI}/ca.crt")
    done.write(f"{PKI}/ca.key", authority().key, 0o600)
    assert isinstance(check(done, steps()["pki/ca"]), Blocked)


@pytest.mark.parametrize(
    ("file", "data", "told"),
    [
        ("ca.crt", b"rubbish", "ca.crt is not a readable certificate"),
        ("ca.key", b"rubbish", "ca.crt does not belong to its private key"),
        ("ca.key", authority().key, "ca.crt does not belong to its private key"),
    ],
)
def test_a_damaged_authority_is_not_replaced(done: FakeHost, file: str, data: bytes, told: str) -> None:
    done.write(f"{PKI}/{file}", data, 0o600)
    found = check(done, steps()["pki/ca"])
    assert isinstance(found, Blocked)
    assert found.message == f"{PKI}/{told}"


def test_a_broken_key_without_certificate_is_not_replaced(host: FakeHost) -> None:
    host.write(f"{PKI}/ca.key", b"rubbish", 0o600)
    assert isinstance(check(host, steps()["pki/ca"]), Blocked)


@pytest.mark.parametrize(("days", "told"), [(3650, "expired on"), (-1, "is not valid before")])
def test_an_authority_out_of_its_time_is_not_replaced(done: FakeHost, days: int, told: str) -> None:
    found = check(done, steps(at=AT + days * DAY)["pki/ca"])
    assert isinstance(found, Blocked)
    assert told in found.message


def test_an_exposed_authority_key_is_closed(done: FakeHost) -> None:
    done.chmod(f"{PKI}/ca.key", 0o640)
    assert converges(steps()["pki/ca"], done).change == "change"


def test_the_authority_is_given_as_a_secret(done: FakeHost) -> None:
    vals, _ = run(done, steps())
    assert repr(vals.need(authorities.CA)) == "***"
    assert vals.need(authorities.CA).reveal().certificate == done.read(f"{PKI}/ca.crt")


def test_a_lost_public_half_is_derived(done: FakeHost) -> None:
    public = done.read(f"{PKI}/sa.pub")
    done.remove(f"{PKI}/sa.pub")
    assert converges(steps()["pki/sa"], done).summary == "create /etc/kubernetes/pki/sa.pub"
    assert done.read(f"{PKI}/sa.pub") == public


def test_a_second_public_key_is_left_in_place(done: FakeHost) -> None:
    old = pem.encode_public(pem.private_key(authority().key).public_key())
    done.write(f"{PKI}/sa.pub", old + (done.read(f"{PKI}/sa.pub") or b""), 0o600)
    assert check(done, steps()["pki/sa"]) == Ok()


@pytest.mark.parametrize(
    ("file", "data", "told"),
    [
        ("sa.key", None, "sa.pub is there without sa.key"),
        ("sa.key", b"rubbish", "sa.key is not a private key"),
        ("sa.key", authority().key, "sa.pub does not hold the public half of sa.key"),
        ("sa.pub", b"rubbish", "sa.pub does not hold the public half of sa.key"),
    ],
)
def test_token_keys_are_never_replaced(done: FakeHost, file: str, data: bytes | None, told: str) -> None:
    done.remove(f"{PKI}/{file}")
    if data is not None:
        done.write(f"{PKI}/{file}", data, 0o600)
    found = check(done, steps()["pki/sa"])
    assert isinstance(found, Blocked)
    assert found.message == f"{PKI}/{told}"


CA, OTHER = authority().certificate, authority().certificate


def _worker(data: bytes = CA) -> Step:
    (step,) = certificates.worker_steps(NodeSettings("w-1", "10.0.0.21", "worker"), data)
    return step


def test_a_worker_gets_the_certificate_and_nothing_else(host: FakeHost) -> None:
    assert converges(_worker(), host).change == "create"
    assert list(pki(host)) == ["ca.crt"]
    assert check(host, _worker()) == Ok()


def test_a_bundle_that_has_it_is_left_alone(host: FakeHost) -> None:
    host.write(f"{PKI}/ca.crt", OTHER + CA)
    assert check(host, _worker()) == Ok()


def test_a_bundle_that_lacks_a_new_authority_is_replaced(host: FakeHost) -> None:
    host.write(f"{PKI}/ca.crt", CA)
    assert converges(_worker(CA + OTHER), host).summary == "ca.crt lacks an authority of the cluster"


@pytest.mark.parametrize(("data", "reason"), [(OTHER, "KB_OTHER_CLUSTER"), (b"rubbish", "KB_PKI")])
def test_a_machine_of_another_cluster_is_not_taken_over(host: FakeHost, data: bytes, reason: str) -> None:
    host.write(f"{PKI}/ca.crt", data)
    found = check(host, _worker())
    assert isinstance(found, Blocked)
    assert found.reason == reason


def test_a_writable_certificate_is_closed(host: FakeHost) -> None:
    host.write(f"{PKI}/ca.crt", CA, 0o666)
    assert converges(_worker(), host).summary == "ca.crt has mode 0666 instead of 0644"
