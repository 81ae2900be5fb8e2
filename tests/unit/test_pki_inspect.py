"""What is wrong with a certificate, in words that name it."""

from __future__ import annotations

import dataclasses
import datetime

import pytest

from kubeboot.pki import build, inspect, pem
from kubeboot.pki.table import Profile, Usage
from tests.fakes.pki import AT, authority, leaf

CA = authority()
WANTED = Profile("kube-apiserver", ("ops",), (Usage.SERVER,), ("kubernetes", "10.0.0.5", "::1"))
GOOD = leaf(WANTED, CA)
DAY = datetime.timedelta(days=1)


def problems(
    pair: build.Pair = GOOD,
    wanted: Profile = WANTED,
    signer: bytes = CA.certificate,
    at: datetime.datetime = AT,
    renew_days: int = 0,
) -> tuple[str, ...]:
    return inspect.problems(pair.certificate, pair.key, wanted, signer, at=at, renew_days=renew_days)


def test_a_good_one_has_none() -> None:
    assert problems() == ()


def test_more_names_than_wanted_are_fine() -> None:
    assert problems(wanted=dataclasses.replace(WANTED, names=("kubernetes",))) == ()


def test_names_are_compared_as_what_they_mean() -> None:
    assert problems(wanted=dataclasses.replace(WANTED, names=("KUBERNETES", "0:0:0:0:0:0:0:1"))) == ()


def test_a_usage_more_is_fine_and_one_less_is_not() -> None:
    both = leaf(dataclasses.replace(WANTED, usages=(Usage.SERVER, Usage.CLIENT)), CA)
    assert problems(both) == ()
    wanted = dataclasses.replace(WANTED, usages=(Usage.SERVER, Usage.CLIENT))
    assert problems(wanted=wanted) == ("is not meant for client auth",)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"names": ("kubernetes", "10.0.0.6")}, "lacks the name 10.0.0.6"),
        ({"names": ("b.example", "a.example")}, "lacks the names a.example, b.example"),
        ({"common_name": "etcd"}, "has the common name 'kube-apiserver' instead of 'etcd'"),
        ({"organizations": ()}, "has the organizations ops instead of none"),
        ({"organizations": ("a", "ops")}, "has the organizations ops instead of a, ops"),
    ],
)
def test_what_it_says_must_be_what_is_wanted(change: dict[str, tuple[str, ...]], told: str) -> None:
    assert problems(wanted=dataclasses.replace(WANTED, **change)) == (told,)  # type: ignore[arg-type]


def test_another_authority_of_the_same_name_is_noticed() -> None:
    assert problems(signer=authority().certificate) == ("is not signed by the authority kubernetes",)


def test_any_authority_of_a_bundle_may_have_signed() -> None:
    assert problems(signer=authority().certificate + CA.certificate) == ()


def test_another_key_is_noticed() -> None:
    other = build.Pair(GOOD.certificate, pem.encode_key(build.new_key()))
    assert problems(other) == ("does not belong to its private key",)
    assert problems(build.Pair(GOOD.certificate, b"rubbish")) == ("does not belong to its private key",)


def test_a_missing_key_is_noticed() -> None:
    found = inspect.problems(GOOD.certificate, None, WANTED, CA.certificate, at=AT)
    assert found == ("has no private key",)


@pytest.mark.parametrize(
    ("days", "renew", "told"),
    [
        (300, 30, ()),
        (336, 30, ("expires in 29 days",)),
        (364, 30, ("expires in 1 day",)),
        (364, 0, ()),
        (365, 0, ("expired on 2027-06-01",)),
        (-1, 0, ("is not valid before 2026-06-01 11:50 UTC",)),
    ],
)
def test_time(days: int, renew: int, told: tuple[str, ...]) -> None:
    assert problems(at=AT + days * DAY, renew_days=renew) == told


def test_a_certificate_that_ends_with_its_authority_cannot_be_renewed() -> None:
    """Else a run in the authority's last month would sign anew every time, and never be content."""
    key = build.new_key()
    old = build.Pair(build.authority("kubernetes", key, days=10, at=AT), pem.encode_key(key))
    assert problems(leaf(WANTED, old), signer=old.certificate, renew_days=30) == ()


def test_an_authority_is_no_leaf() -> None:
    assert "is an authority's certificate" in problems(CA, Profile("kubernetes", usages=()))


@pytest.mark.parametrize("data", [b"", b"-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n"])
def test_unreadable_files(data: bytes) -> None:
    assert problems(build.Pair(data, GOOD.key)) == ("is not a readable certificate",)
    assert inspect.authority_problems(data, GOOD.key, at=AT) == ("is not a readable certificate",)
    assert not inspect.is_issued(GOOD.certificate, data)


def test_authorities() -> None:
    assert inspect.authority_problems(CA.certificate, CA.key, at=AT) == ()
    assert inspect.authority_problems(CA.certificate, GOOD.key, at=AT) == (
        "does not belong to its private key",
    )
    assert inspect.authority_problems(GOOD.certificate, GOOD.key, at=AT) == (
        "is not an authority's certificate",
    )
    later = inspect.authority_problems(CA.certificate, CA.key, at=AT + 3650 * DAY)
    assert later == ("expired on 2036-05-29",)


def test_a_renewed_authority_with_the_same_key_still_verifies_its_leaves() -> None:
    again = build.authority("kubernetes", pem.private_key(CA.key), days=3650, at=AT + DAY)
    assert again != CA.certificate
    assert problems(signer=again, at=AT + DAY) == ()


def test_days_left() -> None:
    assert inspect.days_left(GOOD.certificate, AT) == 365
    assert inspect.days_left(GOOD.certificate, AT + 364.5 * DAY) == 0
    assert inspect.days_left(GOOD.certificate, AT + 366 * DAY) == -1
