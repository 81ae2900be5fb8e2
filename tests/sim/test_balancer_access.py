"""What a balancer may know of its cluster: its token's life, and what it may do with it."""

from __future__ import annotations

import base64
import datetime
import json
from typing import Any

import pytest

from kubeboot.config.node import NodeSettings
from kubeboot.config.spec import ClusterSpec
from kubeboot.engine.step import Drift, Ok, Step, Target
from kubeboot.engine.values import Values
from kubeboot.kube import kinds, rbac
from kubeboot.pki import kubeconfig
from kubeboot.steps import balancer_access
from tests.fakes import tls
from tests.fakes.api import FakeApi
from tests.fakes.host import FakeHost
from tests.sim import preflight_seeds as seeds
from tests.sim.contract import converges

NOON = datetime.datetime(2026, 11, 21, 12, tzinfo=datetime.UTC)
NODE = NodeSettings("lb-1", "192.0.2.31", "load_balancer")
CA = tls.authority().certificate


def token(expires: datetime.datetime, subject: str = rbac.BALANCER_USER) -> str:
    said = json.dumps({"sub": subject, "exp": int(expires.timestamp())}).encode()
    return f"e30.{base64.urlsafe_b64encode(said).rstrip(b'=').decode()}.c2lnbmF0dXJl"


def issuing(expires: datetime.datetime) -> FakeApi:
    """An API that answers every request with a token of that life."""

    def issue(api: FakeApi, op: str, obj: dict[str, Any]) -> None:
        if obj["kind"] == "TokenRequest":
            api.objects.clear()
            obj["status"] = {"token": token(expires)}

    api = FakeApi()
    api.reactions.append(issue)
    return api


def steps() -> tuple[Step, ...]:
    return balancer_access.steps(ClusterSpec(), NODE, CA, clock=lambda: NOON)


def test_both_files_come_and_go() -> None:
    for step in steps():
        converges(step, FakeHost(), api=issuing(NOON + datetime.timedelta(days=365)))


def test_a_token_that_is_good_is_kept_and_never_shown() -> None:
    host, good = FakeHost(), token(NOON + datetime.timedelta(minutes=1))
    host.write(balancer_access.TOKEN, good.encode(), 0o600)
    step, do = steps()[0], Target(host, FakeApi())
    assert step.check(do.see, Values()) == Ok()
    host.chmod(balancer_access.TOKEN, 0o644)
    found = step.check(do.see, Values())
    assert isinstance(found, Drift) and good not in repr(found) + repr(step)


@pytest.mark.parametrize(
    "held",
    [
        "",
        "x",
        "a.b.c",
        token(NOON),
        token(NOON + datetime.timedelta(1), "system:serviceaccount:kube-system:x"),
    ],
)
def test_another_is_asked_for_when_it_is_none_or_has_expired(held: str) -> None:
    host = FakeHost()
    host.write(balancer_access.TOKEN, held.encode(), 0o600)
    step, do = steps()[0], Target(host, issuing(NOON + datetime.timedelta(1)))
    assert isinstance(step.check(do.see, Values()), Drift)
    step.apply(do, Values())
    assert step.check(do.see, Values()) == Ok()


def test_the_kubeconfig_leads_through_its_own_haproxy_and_holds_no_secret() -> None:
    host = FakeHost()
    steps()[1].apply(Target(host, FakeApi()), Values())
    found = kubeconfig.decode(host.read(balancer_access.KUBECONFIG) or b"")
    assert (found.server, found.tls_server_name) == ("https://127.0.0.1:8443", "kubernetes")
    assert (found.token, found.token_file, found.key) == ("", balancer_access.TOKEN, b"")


def test_it_may_read_the_endpoints_and_ask_for_its_own_token() -> None:
    rules = [rule for obj in rbac.balancers() if obj["kind"] == "Role" for rule in obj["rules"]]
    assert [(rule["resources"], rule["resourceNames"], rule["verbs"]) for rule in rules] == [
        (["endpointslices"], ["kubernetes"], ["get"]),
        (["serviceaccounts/token"], [rbac.BALANCER], ["create"]),
    ]
    account = rbac.balancers()[0]
    assert account["automountServiceAccountToken"] is False


def test_a_token_request_is_made_below_its_account() -> None:
    part = kinds.PARTS["authentication.k8s.io/v1", "TokenRequest"]
    path = kinds.KNOWN[part.of].path("kube-system", rbac.BALANCER)
    assert f"{path}/{part.name}" == f"/api/v1/namespaces/kube-system/serviceaccounts/{rbac.BALANCER}/token"


def test_a_fit_machine_is_fit_to_be_a_balancer() -> None:
    assert seeds.Stage(seeds.fit(), role="load_balancer").findings() == ()
