"""Versions and durations: which texts are one, and which versions of Kubernetes go together."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubeboot.config import durations, versions


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("v1.37.1", "v1.37.1"),
        ("1.37.1", "v1.37.1"),
        ("v1.37", "v1.37.1"),
        ("1.36", "v1.36.4"),
        ("v1.36.0", "v1.36.0"),
        ("nonsense", "nonsense"),
        ("1.35", "v1.35.0"),
    ],
)
def test_canonical_versions(text: str, version: str) -> None:
    assert versions.canonical(text) == version


def test_every_supported_minor_has_a_newest_patch_of_its_own() -> None:
    for minor, release in versions.RELEASES.items():
        found = versions.parse(release.version)
        assert found is not None
        assert (found.minor, versions.is_supported(found)) == (minor, True)


def _v(text: str) -> versions.Version:
    found = versions.parse(text)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("apiserver", "kubelet", "fits"),
    [
        ("v1.37.1", "v1.37.9", True),
        ("v1.37.1", "v1.34.0", True),
        ("v1.37.1", "v1.33.9", False),
        ("v1.36.9", "v1.37.0", False),
    ],
)
def test_kubelet_skew(apiserver: str, kubelet: str, fits: bool) -> None:
    assert (versions.kubelet_skew(_v(apiserver), _v(kubelet)) is None) is fits


@pytest.mark.parametrize(
    ("one", "other", "fits"),
    [("v1.37.1", "v1.36.0", True), ("v1.36.0", "v1.37.1", True), ("v1.37.1", "v1.35.9", False)],
)
def test_control_plane_skew(one: str, other: str, fits: bool) -> None:
    assert (versions.control_plane_skew(_v(one), _v(other)) is None) is fits


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        ("0s", 0),
        ("24h", 86400),
        ("1h30m", 5400),
        ("8760h0m0s", 31536000),
        ("1.5h", 5400),
        ("2d", 172800),
        ("500ms", 0.5),
    ],
)
def test_durations(text: str, seconds: float) -> None:
    found = durations.parse(text)
    assert found is not None
    assert found.total_seconds() == seconds


@pytest.mark.parametrize(
    "text", ["", "1", "h", "1 h", "-1h", "1h-", "1y", "\u0661h", "1e3s", "99999999999h", "1h\n"]
)
def test_what_is_no_duration(text: str) -> None:
    assert durations.parse(text) is None


@given(st.integers(0, 10**8))
def test_durations_in_words_are_durations(seconds: int) -> None:
    import datetime

    length = datetime.timedelta(seconds=seconds)
    back = durations.parse(durations.words(length))
    assert back is not None
    assert abs(back - length) < datetime.timedelta(minutes=1)
