"""The engine's order: values from giver to taker, slots, references, and looking alone."""

from __future__ import annotations

import dataclasses

import pytest

from kubeboot.engine.events import Event
from kubeboot.engine.inspect import inspect
from kubeboot.engine.plan import edges, remaining
from kubeboot.engine.step import Check, Later, Ok, Slot, Step, Target, View
from kubeboot.engine.values import Secret, Values
from kubeboot.kube.api import NoApi
from tests.fakes.host import FakeHost
from tests.sim.engine_steps import COLOUR, Put, Says, go, plan, put, states


def test_values_flow_from_giver_to_taker() -> None:
    seen: list[str | None] = []

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class Taker(Step):
        def check(self, see: View, vals: Values) -> Check:
            seen.append(vals.get(COLOUR))
            return Ok()

    giver = dataclasses.replace(put("a"), gives=frozenset({COLOUR}))
    go(FakeHost(), Taker(id="t", title="T", on="cp-1", needs=frozenset({COLOUR})), giver)
    assert seen == ["x"]


@pytest.mark.parametrize("room", [1, 3])
def test_no_more_run_at_once_than_a_slot_has_room_for(room: int) -> None:
    inside: list[str] = []
    most: list[int] = []

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class Alone(Put):
        def apply(self, do: Target, vals: Values) -> None:
            inside.append(self.id)
            most.append(len(inside))
            super().apply(do, vals)
            inside.remove(self.id)

    slot = frozenset({Slot("host", "disk", room)})
    go(FakeHost(), *(Alone(id=f"s{n}", title="", on="cp-1", path=f"/etc/s{n}", holds=slot) for n in range(9)))
    assert len(most) == 9 and max(most) <= room


def test_looking_changes_nothing_and_knows_later_from_drift() -> None:
    host = FakeHost()
    before = host.snapshot()
    events: list[Event] = []
    view = View(host, NoApi())
    later = Says(id="z", title="Z", on="cp-1", answer=Later("the API server"))
    same = inspect(plan(put("b", "a"), put("a"), later), {"cp-1": view}, events.append)
    assert not same
    assert host.snapshot() == before and host.changes == []
    assert states(events) == {"a": "drift", "b": "drift", "z": "later"}


def test_looking_after_a_run_says_that_nothing_would_change() -> None:
    host = FakeHost()
    go(host, put("a"), put("b"))
    assert inspect(plan(put("a"), put("b")), {"cp-1": View(host, NoApi())}, lambda event: None)


def test_a_ref_to_nothing_is_refused_but_not_to_a_skipped_step() -> None:
    with pytest.raises(ValueError, match="'nobody'"):
        edges(plan(put("a", "nobody")))
    assert edges(plan(put("a", "b"), put("b")).without(["b"])) == {("cp-1", "a"): frozenset()}


def test_refs_reach_prefixes_roles_and_the_cluster() -> None:
    steps = (
        put("pki/ca"),
        put("pki/leaf"),
        put("x", "pki/"),
        put("y", "control_plane:x", "cp-1:pki/ca"),
        Says(id="obj", title="", on="@cluster", after=frozenset({"x"})),
        put("last", "@cluster:obj", "obj"),
    )
    found = edges(plan(*steps))
    assert found["cp-1", "x"] == {("cp-1", "pki/ca"), ("cp-1", "pki/leaf")}
    assert found["cp-1", "y"] == {("cp-1", "x"), ("cp-1", "pki/ca")}
    assert found["@cluster", "obj"] == {("cp-1", "x")}
    assert found["cp-1", "last"] == {("@cluster", "obj")}


def test_two_steps_with_one_id_are_a_bug() -> None:
    with pytest.raises(ValueError, match="two steps"):
        edges(plan(put("a"), put("a")))


def test_the_longest_remaining_path_counts_followers() -> None:
    steps = plan(put("a", cost=1.0), put("b", "a", cost=5.0), put("c", cost=2.0))
    assert remaining(steps, edges(steps)) == {("cp-1", "a"): 6.0, ("cp-1", "b"): 5.0, ("cp-1", "c"): 2.0}


def test_secrets_do_not_show() -> None:
    secret = Secret(b"hush")
    assert (repr(secret), str(secret), f"{secret}") == ("***", "***", "***")
    assert secret.reveal() == b"hush"
    assert secret == Secret(b"hush") and secret != Secret(b"other") and secret != b"hush"
