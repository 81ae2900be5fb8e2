"""Names, endpoints, ranges and phases: whatever the text, it is taken apart or refused with a fix."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubeboot.config import names, phases
from kubeboot.pki import endpoint


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a.b:1", ("a.b", 1)),
        ("a", ("a", 8443)),
        ("[::1]:2", ("::1", 2)),
        ("[::1]", ("::1", 8443)),
        ("10.0.0.1:65535", ("10.0.0.1", 65535)),
    ],
)
def test_endpoints(text: str, found: tuple[str, int]) -> None:
    assert names.split_endpoint(text, 8443) == found


@given(st.text(max_size=40))
def test_an_endpoint_is_taken_apart_or_refused(text: str) -> None:
    try:
        host, port = names.split_endpoint(text)
    except ValueError as wrong:
        assert str(wrong)
    else:
        assert names.host(host) is None
        assert port is None or 1 <= port <= 65535


@pytest.mark.parametrize("port", ["0", "65536", "²", "9" * 5000, "+1", " 1", "", "1\n"])
def test_what_is_no_port(port: str) -> None:
    assert not names.is_port(port)
    with pytest.raises(ValueError):
        names.split_endpoint(f"10.0.0.1:{port}")
    assert not endpoint.is_place(f"10.0.0.1:{port}")


@given(st.text(max_size=30))
def test_no_text_breaks_a_name_rule(text: str) -> None:
    rules_ = (
        names.label, names.subdomain, names.label_key, names.label_value, names.variable, names.host,
        names.san, names.absolute, names.token_id, names.cidr, names.repository, names.ip,
    )  # fmt: skip
    for rule in rules_:
        rule(text)


@given(st.ip_addresses(v=4), st.integers(0, 32))
def test_a_range_is_taken_when_it_is_canonical_and_its_fix_always_is(address: Any, prefix: int) -> None:
    _, wrong, fix = names.cidr(f"{address}/{prefix}")
    if wrong is not None:
        assert fix is not None
        assert names.cidr(fix.removeprefix("write it as "))[1] is None


@pytest.mark.parametrize(
    ("names_", "found"),
    [
        (["dns"], {"dns"}),
        (["dns/answers"], {"dns/answers"}),
        (["addon/coredns"], {"dns"}),
        (["addon"], {"dns", "proxy"}),
        (["upload-certs"], set()),
        (["mark-control-plane", "preflight"], {"node/mark", "preflight"}),
    ],
)
def test_phases(names_: list[str], found: set[str]) -> None:
    assert phases.resolve(names_) == (found, [])


def test_unknown_phases_are_all_named() -> None:
    _, wrong = phases.resolve(["dnss", "nonsense", "dns"])
    assert wrong[0].fix == "did you mean `dns`?"
    assert len(wrong) == 2


def test_the_groups_are_those_of_the_steps() -> None:
    """Every group can be skipped by name; `kubeadm init`'s phases each have an answer."""
    known = (
        "preflight", "certs", "kubeconfig", "etcd", "control-plane", "kubelet-start", "wait-control-plane",
        "upload-config", "upload-certs", "mark-control-plane", "bootstrap-token", "kubelet-finalize",
        "addon", "show-join-command",
    )  # fmt: skip
    for phase in known:
        assert phases.resolve([phase])[1] == []
