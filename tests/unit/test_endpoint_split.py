"""An endpoint's host and port, as people write them."""

from __future__ import annotations

import pytest

from kubeboot.pki import endpoint


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("api.example.org", ("api.example.org", 8443)),
        ("api.example.org:6443", ("api.example.org", 6443)),
        ("10.0.0.1", ("10.0.0.1", 8443)),
        ("10.0.0.1:443", ("10.0.0.1", 443)),
        ("fd00::1", ("fd00::1", 8443)),
        ("[fd00::1]", ("fd00::1", 8443)),
        ("[fd00::1]:6443", ("fd00::1", 6443)),
    ],
)
def test_split(text: str, expected: tuple[str, int]) -> None:
    assert endpoint.split(text, 8443) == expected
    assert endpoint.split(endpoint.join(*expected), 1) == expected
