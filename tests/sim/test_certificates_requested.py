"""A worker's kubelet certificate: asked for once, with the join token, and signed by the cluster."""

from __future__ import annotations

import base64
import datetime
from typing import Any

import pytest
from cryptography import x509

from kubeboot import errors
from kubeboot.config.node import NodeSettings
from kubeboot.config.spec import ClusterSpec
from kubeboot.engine.step import Drift, Ok, Step, Target
from kubeboot.engine.values import Values
from kubeboot.host.api import CommandFailed
from kubeboot.kube.api import ApiUnavailable
from kubeboot.pki import build, table
from kubeboot.steps import undoing
from kubeboot.steps.kubelet import csr, requested
from kubeboot.steps.kubelet.identity import CURRENT, OURS
from tests.fakes.api import FakeApi
from tests.fakes.host import FakeHost
from tests.fakes.pki import AT, authority
from tests.sim.contract import converges
from tests.sim.pki_support import check

SPEC = ClusterSpec()
WORKER = NodeSettings("w-1", "10.0.0.21", "worker")
CA = authority()


def sign(api: FakeApi, obj: dict[str, Any]) -> None:
    """What kube-controller-manager does: approve, and sign for 90 days."""
    asked = x509.load_pem_x509_csr(base64.b64decode(obj["spec"]["request"]))
    assert asked.is_signature_valid
    profile = table.kubelet_profile("w-1")
    assert asked.subject.rfc4514_string() == "CN=system:node:w-1,O=system:nodes"
    made = build.certificate(profile, asked.public_key(), CA, days=90, at=AT)  # type: ignore[arg-type]
    status = {"conditions": [{"type": "Approved"}], "certificate": base64.b64encode(made).decode()}
    api.put({**obj, "status": status})


def cluster(signs: bool = True) -> FakeApi:
    api = FakeApi()
    if signs:
        api.reactions.append(lambda api, op, obj: sign(api, obj))
    return api


def worker(authority_: bytes = CA.certificate, at: datetime.datetime = AT) -> tuple[Step, Step]:
    asked, stored = requested.worker_steps(SPEC, WORKER, authority_, clock=lambda: at)
    return asked, stored


def only(api: FakeApi) -> dict[str, Any]:
    (obj,) = api.objects.values()
    return obj


def look(host: FakeHost, api: FakeApi, step: Step) -> str | None:
    assert step.settle is not None
    return step.settle.look(Target(host, api).see, Values())


def join(host: FakeHost, api: FakeApi) -> None:
    asked, stored = worker()
    for step in (asked, stored):
        if isinstance(check(host, step, api=api), Drift):
            step.apply(Target(host, api), Values())
        assert check(host, step, api=api) == Ok()
        if step.settle is not None:
            assert look(host, api, step) is None


def test_the_request_is_what_the_clusters_signer_approves_by_itself() -> None:
    """pkg/apis/certificates/helpers.go, ValidateKubeletClientCSR."""
    api = cluster()
    worker()[0].apply(Target(FakeHost("w-1"), api), Values())
    spec = only(api)["spec"]
    assert spec["signerName"] == "kubernetes.io/kube-apiserver-client-kubelet"
    assert spec["usages"] == ["digital signature", "client auth"]
    assert spec["expirationSeconds"] == 365 * 86400
    assert list(x509.load_pem_x509_csr(base64.b64decode(spec["request"])).extensions) == []


def test_asking_converges_and_is_taken_back() -> None:
    drift = converges(worker()[0], FakeHost("w-1"), api=cluster())
    assert drift.summary == "the kubelet has not asked for a certificate yet"


def test_a_worker_gets_its_certificate_and_keeps_no_second_key() -> None:
    host, api = FakeHost("w-1"), cluster()
    join(host, api)
    assert host.symlinks == {CURRENT: OURS}
    assert requested.KEY not in host.files
    assert [change.op for change in api.changes] == ["create"]


def test_everything_is_taken_back() -> None:
    host, api = FakeHost("w-1"), cluster()
    before, changes = host.snapshot(), []
    for step in worker():
        changes += step.undo(Target(host, api).see)
        step.apply(Target(host, api), Values())
    for change in reversed(changes):
        undoing.perform(change, Target(host, api))
    assert host.snapshot() == before


def test_a_second_run_asks_nobody() -> None:
    host = FakeHost("w-1")
    join(host, cluster())
    asked, stored = worker()
    assert (check(host, asked), check(host, stored)) == (Ok(), Ok())
    assert look(host, FakeApi(), asked) is None


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("write", range(1, 5))
def test_killed_anywhere_on_the_machine_the_same_request_is_used(write: int, after: bool) -> None:
    host, api = FakeHost("w-1"), cluster()
    host.fail_at(write, CommandFailed("killed"), after=after)
    with pytest.raises(CommandFailed):
        join(host, api)
    host.faults.clear()
    join(host, api)
    assert [change.op for change in api.changes] == ["create"]
    assert requested.KEY not in host.files


def test_a_lost_answer_to_the_request_does_not_make_a_second_one() -> None:
    host, api = FakeHost("w-1"), cluster()
    api.reactions.append(_answer_is_lost)
    with pytest.raises(ApiUnavailable):
        worker()[0].apply(Target(host, api), Values())
    del api.reactions[1:]
    assert check(host, worker()[0], api=api) == Ok()
    join(host, api)
    assert len(api.objects) == 1


def _answer_is_lost(api: FakeApi, op: str, obj: dict[str, Any]) -> None:
    raise ApiUnavailable("connection reset")


@pytest.mark.parametrize(
    ("status", "told"),
    [
        ({}, "not approved yet"),
        ({"conditions": [{"type": "Approved"}]}, "approved, not signed yet"),
    ],
)
def test_the_wait_says_what_is_missing(status: dict[str, Any], told: str) -> None:
    host, api = FakeHost("w-1"), cluster(signs=False)
    asked, stored = worker()
    asked.apply(Target(host, api), Values())
    api.put({**only(api), "status": status})
    assert look(host, api, asked) == told
    assert asked.settle is not None
    assert asked.settle.deadline == 60.0
    assert only(api)["metadata"]["name"] in asked.settle.explain(Target(host, api).see)
    with pytest.raises(errors.KubebootError, match="is not issued"):
        stored.apply(Target(host, api), Values())


def test_an_api_that_is_away_is_waited_for() -> None:
    host, api = FakeHost("w-1"), cluster(signs=False)
    asked, _ = worker()
    asked.apply(Target(host, api), Values())
    api.unavailable = "booting"
    assert "booting" in (look(host, api, asked) or "")


def test_a_refusal_ends_the_wait_and_the_next_run_asks_anew() -> None:
    host, api = FakeHost("w-1"), cluster(signs=False)
    asked, _ = worker()
    asked.apply(Target(host, api), Values())
    refused = {"conditions": [{"type": "Denied", "message": "not on my watch"}]}
    api.put({**only(api), "status": refused})
    with pytest.raises(errors.KubebootError, match="denied: not on my watch"):
        look(host, api, asked)
    assert check(host, asked, api=api) == Drift(
        "the kubelet's last request was denied: not on my watch", "change"
    )
    api.reactions.append(lambda api, op, obj: sign(api, obj))
    join(host, api)
    assert len(api.objects) == 2


def test_a_request_that_was_tidied_away_is_made_again() -> None:
    host, api = FakeHost("w-1"), cluster(signs=False)
    worker()[0].apply(Target(host, api), Values())
    key = host.read(requested.KEY)
    api.objects.clear()
    assert look(host, api, worker()[0]) == "the request is gone"
    assert isinstance(check(host, worker()[0], api=api), Drift)
    worker()[0].apply(Target(host, api), Values())
    assert host.read(requested.KEY) == key


def test_a_certificate_of_another_authority_is_not_stored() -> None:
    host, api = FakeHost("w-1"), cluster()
    asked, stored = worker(authority().certificate)
    asked.apply(Target(host, api), Values())
    with pytest.raises(errors.KubebootError, match="issued is not signed by the authority"):
        stored.apply(Target(host, api), Values())
    assert OURS not in host.files


def test_a_renamed_machine_asks_under_another_name() -> None:
    key = build.new_key()
    names = {csr.request_name(table.kubelet_profile(node), key) for node in ("w-1", "w-2", "w-1")}
    assert len(names) == 2
    assert all(name.startswith("node-csr-") and len(name) < 64 for name in names)


def test_a_dry_run_on_a_fresh_machine_asks_nobody() -> None:
    assert all(isinstance(check(FakeHost("w-1"), step), Drift) for step in worker())
