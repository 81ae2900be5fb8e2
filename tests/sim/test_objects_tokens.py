"""The token of init, and those of `kubeboot token`."""

from __future__ import annotations

import base64
import contextlib
import datetime
from typing import Any

import pytest

from kubeboot import errors
from kubeboot.engine.step import Drift, Ok, Step
from kubeboot.engine.values import Secret, Values
from kubeboot.kube import bootstrap, configmaps
from kubeboot.kube.api import ApiAway, Object
from kubeboot.pki import tokens
from kubeboot.steps import tokens as token_steps
from tests.fakes import tls
from tests.fakes.api import FakeApi
from tests.fakes.cluster import CP, GIVEN, NOON, WHERE, made, on, run, sign


def token_step(given: tokens.BootstrapToken | None = None, at: datetime.datetime = NOON, **more: Any) -> Step:
    [step] = token_steps.steps(CP, Secret(given) if given else None, clock=lambda: at, **more)
    return step


def held(api: FakeApi, step: Step) -> bootstrap.Token:
    found: Secret[bootstrap.Token] = step.read(on(api).see, token_steps.TOKEN)
    return found.reveal()


def test_a_second_init_keeps_the_first_ones_token() -> None:
    api = FakeApi()
    step = token_step()
    assert isinstance(step.check(on(api).see, Values()), Drift)
    step.apply(on(api), Values())
    assert step.check(on(api).see, Values()) == Ok()
    first = held(api, step)
    assert first.expires == NOON + datetime.timedelta(hours=24)
    later = token_step(at=NOON + datetime.timedelta(hours=23))
    assert later.check(on(api).see, Values()) == Ok()
    assert held(api, later) == first


def test_after_it_has_expired_there_is_a_new_one() -> None:
    api = FakeApi()
    token_step().apply(on(api), Values())
    tomorrow = token_step(at=NOON + datetime.timedelta(hours=24))
    assert isinstance(tomorrow.check(on(api).see, Values()), Drift)
    tomorrow.apply(on(api), Values())
    assert len(bootstrap.listing(api)) == 2


def test_a_token_that_somebody_else_made_is_not_inits() -> None:
    api = FakeApi(bootstrap.encode(bootstrap.Token(GIVEN, description="mine")))
    assert isinstance(token_step().check(on(api).see, Values()), Drift)


def test_a_given_token_is_that_token_and_lives_on_when_it_had_expired() -> None:
    api = FakeApi(bootstrap.encode(bootstrap.Token(GIVEN, NOON - datetime.timedelta(hours=1))))
    step = token_step(GIVEN, ttl=datetime.timedelta(hours=2))
    assert isinstance(step.check(on(api).see, Values()), Drift)
    step.apply(on(api), Values())
    assert (held(api, step).token, held(api, step).expires) == (GIVEN, NOON + datetime.timedelta(hours=2))


def test_a_token_may_last_for_ever() -> None:
    api = FakeApi()
    step = token_step(GIVEN, ttl=datetime.timedelta(0))
    step.apply(on(api), Values())
    assert held(api, step).expires is None


def test_another_secret_under_the_same_id_is_not_overwritten() -> None:
    other = tokens.parse("abcdef.fedcba9876543210")
    api = FakeApi(bootstrap.encode(bootstrap.Token(other)))
    with pytest.raises(errors.KubebootError) as caught:
        token_step(GIVEN).apply(on(api), Values())
    assert caught.value.reason == "KB_TOKEN_EXISTS"
    assert other.secret not in str(caught.value) and GIVEN.secret not in str(caught.value)


def test_it_is_settled_when_the_present_cluster_info_is_signed() -> None:
    api = FakeApi()
    step = token_step(GIVEN)
    assert step.settle is not None
    assert step.settle.look(on(api).see, Values()) == "the token is gone"
    step.apply(on(api), Values())
    assert step.settle.look(on(api).see, Values()) == "there is no cluster-info yet"
    run(made(), api)
    assert step.settle.look(on(api).see, Values()) == "cluster-info is not signed for token abcdef yet"
    sign(api, GIVEN)
    assert step.settle.look(on(api).see, Values()) is None
    moved = configmaps.cluster_info(tls.authority().certificate, "10.0.0.99:8443")
    api.apply(moved)
    assert (
        step.settle.look(on(api).see, Values()) == "cluster-info's signature for token abcdef is an old one"
    )
    api.unavailable = "gone"
    assert "gone" in str(step.settle.look(on(api).see, Values()))


def test_no_step_shows_a_token() -> None:
    api = FakeApi()
    step = token_step(GIVEN)
    found = step.check(on(api).see, Values())
    step.apply(on(api), Values())
    shown = repr(step) + repr(found) + repr(held(api, step))
    assert GIVEN.secret not in shown


def test_tokens_are_listed_by_expiry() -> None:
    def token(name: str, expires: datetime.datetime | None) -> Object:
        return bootstrap.encode(bootstrap.Token(tokens.parse(f"{name}.0123456789abcdef"), expires))

    junk = {**token("broken", None), "data": {"token-id": base64.b64encode(b"x").decode()}}
    other = {**junk, "type": "Opaque", "metadata": {"name": "a", "namespace": "kube-system"}}
    hour = datetime.timedelta(hours=1)
    api = FakeApi(token("never1", None), token("later1", NOON + hour), token("sooner", NOON), junk, other)
    assert [found.token.id for found in bootstrap.listing(api)] == ["sooner", "later1", "never1"]


def test_create_and_delete() -> None:
    api = FakeApi()
    bootstrap.create(api, bootstrap.Token(GIVEN))
    with pytest.raises(errors.KubebootError, match="there is a token abcdef already"):
        bootstrap.create(api, bootstrap.Token(GIVEN))
    assert bootstrap.find(api, "abcdef") == bootstrap.Token(GIVEN)
    assert bootstrap.delete(api, "abcdef")
    assert not bootstrap.delete(api, "abcdef")


@pytest.mark.parametrize("done", [True, False])
def test_a_token_whose_answer_was_lost_is_looked_for(done: bool) -> None:
    class Cut(FakeApi):
        def create(self, obj: Object) -> Object:
            if done:
                super().create(obj)
            raise ApiAway("connection closed", seen=True)

    api = Cut()
    with contextlib.nullcontext() if done else pytest.raises(ApiAway):
        bootstrap.create(api, bootstrap.Token(GIVEN))
    assert (bootstrap.find(api, "abcdef") is not None) is done


def test_create_returns_when_machines_can_join() -> None:
    api = FakeApi()
    run(made(), api)
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 2:
            sign(api, GIVEN)

    bootstrap.await_signed(api, GIVEN, pause=pause)
    assert len(pauses) == 2
    with pytest.raises(errors.TimedOut, match="not signed for token zzzzzz"):
        bootstrap.await_signed(api, tokens.parse("zzzzzz.0123456789abcdef"), within=-1)


def test_the_join_command() -> None:
    api = FakeApi()
    run(made(), api)
    words = bootstrap.join_command(api, GIVEN)
    assert words[:5] == ("kubeboot", "join", WHERE, "--token", GIVEN.text)
    assert words[5] == "--discovery-token-ca-cert-hash" and words[6].startswith("sha256:")
