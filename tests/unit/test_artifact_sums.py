"""Sums: as upstreams publish them, as a lock keeps them, as a manifest names its parts."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubeboot import errors
from kubeboot.artifacts import known, manifests, resolve
from kubeboot.artifacts.known import Entry, Known
from kubeboot.artifacts.manifests import Manifest

# Sums as upstreams publish them

SUM = "5" * 64


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (SUM, SUM),
        (f"{SUM}\n", SUM),
        (SUM.upper().replace("5", "A"), "a" * 64),
        (f"{SUM}  runc.amd64\n", SUM),
        (f"{SUM} *runc.amd64\n", SUM),
        (f"{'1' * 64}  runc.amd64.asc\n{SUM}  ./bin/runc.amd64\n", SUM),
        (f"{'1' * 64}  runc.arm64\n", None),
        (f"{'1' * 64}\n{SUM}\n", None),
        ("", None),
        ("404: Not Found", None),
        ("<html>", None),
        (f"{SUM}5", None),
        (f"{SUM[1:]}  runc.amd64", None),
    ],
)
def test_a_published_sum_is_found_or_not(text: str, found: str | None) -> None:
    assert resolve.published_sum(text, "https://h/v1/runc.amd64?x=y") == found


@given(st.text(max_size=200))
def test_a_published_sum_is_a_sum(text: str) -> None:
    found = resolve.published_sum(text, "https://h/kubelet")
    assert found is None or (len(found) == 64 and found in text.lower())


# Locks

ENTRIES = st.builds(
    Entry,
    st.text("0123456789abcdef", min_size=64, max_size=64),
    st.integers(0, 1 << 40),
    st.dictionaries(
        st.text("ab/", min_size=1), st.builds(Entry, st.just(SUM), st.integers(1, 9)), max_size=2
    ),
)
LOCKS = st.builds(
    Known,
    st.dictionaries(st.text(min_size=1, max_size=9), ENTRIES, max_size=3),
    st.dictionaries(
        st.text(min_size=1, max_size=9),
        st.dictionaries(st.sampled_from(["amd64", "arm64"]), ENTRIES, min_size=1),
        max_size=3,
    ),
)


@given(LOCKS)
def test_a_lock_is_what_was_written(lock: Known) -> None:
    assert known.parse(json.loads(json.dumps(known.plain(lock)))) == lock


@given(LOCKS, LOCKS)
def test_together_both_hold_or_neither(one: Known, other: Known) -> None:
    try:
        both = one.over(other)
    except errors.ConfigInvalid as error:
        assert "contradict" in error.message
        return
    assert both == other.over(one)
    for part in (one, other):
        assert part.over(both) == both


def test_sizes_and_members_add_up() -> None:
    one = Entry(SUM, 0, {"a": Entry("1" * 64)})
    other = Entry(SUM, 7, {"b": Entry("2" * 64)})
    assert one.over(other) == Entry(SUM, 7, {"a": Entry("1" * 64), "b": Entry("2" * 64)})


# Manifests


def test_a_manifest_knows_its_parts_once() -> None:
    part = {"mediaType": "m", "digest": f"sha256:{SUM}", "size": 3}
    data = json.dumps({"schemaVersion": 2, "config": part, "layers": [part, part]}).encode()
    found: Manifest = manifests.parse(data)
    assert len(found.blobs) == 1
    assert found.size == len(data) + 3


@pytest.mark.parametrize(
    "digest", ["sha256:../../etc/passwd", "sha256:", f"sha256:{SUM}\n", f"sha512:{SUM}", 7, None]
)
def test_a_digest_is_never_a_path(digest: object) -> None:
    part = {"mediaType": "m", "digest": digest, "size": 3}
    with pytest.raises(ValueError, match="not an image's manifest"):
        manifests.parse(json.dumps({"schemaVersion": 2, "config": part, "layers": []}).encode())
