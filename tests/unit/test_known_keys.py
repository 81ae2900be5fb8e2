"""Host keys as a cluster keeps them: what is added, what goes, and what is not believed."""

from __future__ import annotations

import pytest

from kubeboot.inventory import known_keys
from tests.fakes.keys import line

A, B = line("10.0.0.1"), line("10.0.0.1", "B")
ECDSA = line("10.0.0.1", kind="ecdsa-sha2-nistp256")
GATE = line("[gate]:2222")


@pytest.mark.parametrize(
    ("there", "shown", "kept"),
    [
        ((), (A,), {A}),
        ((A,), (), {A}),
        ((A,), (A,), {A}),
        ((A,), (A, GATE), {A, GATE}),
        ((A, GATE), (A,), {A, GATE}),
        ((ECDSA,), (A,), {A, ECDSA}),
        ((A, ECDSA), (B,), {B}),
        ((A,), (line("my/alias"),), {A}),
    ],
)
def test_what_is_kept_once_a_machine_has_shown_its_keys(
    there: tuple[str, ...], shown: tuple[str, ...], kept: set[str]
) -> None:
    found = known_keys.merged(there, shown)
    assert set(found) == kept and len(found) == len(kept)
    assert known_keys.merged(found, shown) == found


def test_keys_are_found_by_the_names_of_machines_and_gateways() -> None:
    found = known_keys.by_name({"w-1": (A, GATE), "w-2": (B, GATE), "w-3": (ECDSA,)})
    assert found.keys() == {"10.0.0.1", "[gate]:2222"}
    assert found["[gate]:2222"] == (GATE.partition(" ")[2],)
    assert len(found["10.0.0.1"]) == 3


@pytest.mark.parametrize(
    "name", ["10.0.0.1", "[10.0.0.1]:2222", "2001:db8::1", "[2001:db8::1]:22", "web.example"]
)
def test_names_as_ssh_writes_them_are_believed(name: str) -> None:
    assert known_keys.believed([line(name)]) == (line(name),)


@pytest.mark.parametrize(
    "bad",
    [
        line("*"),
        line("a,b"),
        line("|1|x|y"),
        line("[a]:x"),
        line("[a"),
        f"@revoked {A}",
        f"{A} comment",
        "a ssh-ed25519 AAAA",
        "a ssh-rsa " + A.rpartition(" ")[2],
        "",
    ],
)
def test_what_is_no_key_of_one_host_is_refused(bad: str) -> None:
    with pytest.raises(ValueError):
        known_keys.believed([bad])
