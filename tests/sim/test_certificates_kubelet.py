"""The kubelet's client certificate: there before the kubelet, and then the kubelet's own affair."""

from __future__ import annotations

import base64
import datetime
from typing import Any

import pytest
from cryptography import x509

from kubeboot import errors
from kubeboot.config import spec as specs
from kubeboot.config.node import NodeSettings
from kubeboot.engine.step import Check, Drift, Later, Ok, Step, Target
from kubeboot.engine.values import Secret, Values
from kubeboot.host.api import CommandFailed
from kubeboot.kube.api import ApiUnavailable, NoApi
from kubeboot.pki import build, pem, table
from kubeboot.steps import authorities, kubeconfigs, undoing
from kubeboot.steps.kubelet import csr as kubelet_csr
from kubeboot.steps.kubelet import kubeconfig as kubelet_conf
from kubeboot.steps.kubelet.identity import CURRENT, OURS, STORE
from tests.fakes.api import FakeApi
from tests.fakes.host import FakeHost
from tests.fakes.pki import AT, authority, leaf
from tests.sim.contract import converges

SPEC = specs.ClusterSpec()
CA = authority()
CP, WORKER = NodeSettings("cp-1", "10.0.0.11", "control_plane"), NodeSettings("w-1", "10.0.0.21", "worker")
DAY = datetime.timedelta(days=1)
ROTATED = f"{STORE}/kubelet-client-2026-09-01-10-11-12.pem"
PROFILE = table.kubelet_profile("cp-1")


def vals(pair: build.Pair = CA) -> Values:
    values = Values()
    values.put(authorities.CA, Secret(pair))
    return values


def signed(at: datetime.datetime = AT) -> Step:
    """The step of a control plane."""
    return kubeconfigs.init_steps(SPEC, CP, "x:8443", clock=lambda: at)[-1]


def check(host: FakeHost, step: Step, values: Values | None = None, api: Any = None) -> Check:
    return step.check(Target(host, api or NoApi()).see, values or vals())


def together(pair: build.Pair) -> bytes:
    return pair.certificate + pair.key


@pytest.fixture
def done() -> FakeHost:
    host = FakeHost("cp-1")
    signed().apply(Target(host, NoApi()), vals())
    return host


def test_the_step_converges_and_is_taken_back() -> None:
    assert (
        converges(signed(), FakeHost("cp-1"), vals()).summary
        == "create /var/lib/kubelet/pki/kubelet-client-current.pem"
    )


def test_it_is_as_the_kubelets_store_expects(done: FakeHost) -> None:
    """client-go util/certificate: a link with an absolute target, leaf first, then the key, for root only."""
    assert done.symlinks == {CURRENT: OURS}
    data = done.files[OURS].data
    assert data.index(b"BEGIN CERTIFICATE") < data.index(b"BEGIN EC PRIVATE KEY")
    assert OURS.startswith(f"{STORE}/kubelet-client-")
    assert done.files[OURS].mode == 0o600
    assert pem.certificates(data)[0].subject.rfc4514_string() == "CN=system:node:cp-1,O=system:nodes"


def test_a_second_run_changes_nothing(done: FakeHost) -> None:
    assert check(done, signed(AT + 360 * DAY)) == Ok()


@pytest.mark.parametrize("target", [ROTATED, ROTATED.removeprefix(f"{STORE}/")])
def test_what_the_kubelet_rotated_is_accepted(done: FakeHost, target: str) -> None:
    """A file of its own name, a lifetime that kubeboot did not choose, and a link that may be relative."""
    done.write(ROTATED, together(leaf(PROFILE, CA, AT + 250 * DAY)), 0o600)
    done.symlink(CURRENT, target)
    assert check(done, signed(AT + 500 * DAY)) == Ok()


def test_an_expired_one_is_replaced(done: FakeHost) -> None:
    drift = converges(signed(AT + 366 * DAY), done, vals())
    assert drift.summary == "kubelet-client-current.pem expired on 2027-06-01"


def test_another_nodes_certificate_is_replaced(done: FakeHost) -> None:
    done.write(OURS, together(leaf(table.kubelet_profile("cp-2"), CA)), 0o600)
    assert "'system:node:cp-2' instead of 'system:node:cp-1'" in converges(signed(), done, vals()).summary


def test_another_clusters_certificate_is_replaced(done: FakeHost) -> None:
    drift = converges(signed(), done, vals(authority()))
    assert drift.summary == "kubelet-client-current.pem is not signed by the authority kubernetes"


def started(host: FakeHost) -> None:
    host.write("/etc/systemd/system/kubelet.service", b"[Service]\nExecStart=/usr/local/bin/kubelet\n")
    host.start("kubelet.service")


def test_a_kubelet_that_runs_as_somebody_else_ends_first_and_is_started_later(done: FakeHost) -> None:
    started(done)
    assert check(done, signed()) == Ok() and done.unit("kubelet.service").active == "active"
    before, other = len(done.changes), vals(authority())
    signed().apply(Target(done, NoApi()), other)
    order = [(change.op, change.subject) for change in done.changes[before:]]
    assert order[:2] == [("stop", "kubelet.service"), ("write", OURS)]
    assert done.unit("kubelet.service").active == "inactive"
    done.start("kubelet.service")
    converges(signed(), done, vals(authority()))


def test_a_kubelet_whose_kubeconfig_was_edited_ends_and_one_whose_mode_was_changed_does_not(
    done: FakeHost,
) -> None:
    step = next(
        step for step in kubeconfigs.init_steps(SPEC, CP, "x:8443") if step.id == "kubeconfig/kubelet"
    )
    step.apply(Target(done, NoApi()), vals())
    started(done)
    done.chmod(kubelet_conf.PATH, 0o644)
    converges(step, done, vals())
    assert done.unit("kubelet.service").active == "active"
    edited = (done.read(kubelet_conf.PATH) or b"").replace(b"10.0.0.11", b"10.0.0.99")
    done.write(kubelet_conf.PATH, edited, 0o600)
    converges(step, done, vals())
    assert done.unit("kubelet.service").active == "inactive"


def test_a_link_that_leads_nowhere_is_mended(done: FakeHost) -> None:
    done.symlink(CURRENT, f"{STORE}/gone.pem")
    before = done.read(OURS)
    assert converges(signed(), done, vals()).summary == "kubelet-client-current.pem leads nowhere"
    assert done.read(OURS) == before


def test_a_plain_file_becomes_a_link_to_the_same_certificate(done: FakeHost) -> None:
    held = together(leaf(PROFILE, CA))
    done.write(CURRENT, held, 0o600)
    assert "the kubelet wants a link" in converges(signed(), done, vals()).summary
    assert (done.symlinks[CURRENT], done.read(OURS)) == (OURS, held)


@pytest.mark.parametrize("path", [OURS, ROTATED])
def test_an_exposed_key_is_closed(done: FakeHost, path: str) -> None:
    done.write(path, done.read(OURS) or b"", 0o644)
    done.symlink(CURRENT, path)
    assert "has mode 0644" in converges(signed(), done, vals()).summary
    assert (done.symlinks[CURRENT], done.files[path].mode) == (path, 0o600)


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("write", [1, 2])
def test_killed_between_file_and_link_nothing_is_keyed_twice(write: int, after: bool) -> None:
    host = FakeHost("cp-1")
    host.fail_at(write, CommandFailed("killed"), after=after)
    with pytest.raises(CommandFailed):
        signed().apply(Target(host, NoApi()), vals())
    host.faults.clear()
    before = host.read(OURS)
    signed().apply(Target(host, NoApi()), vals())
    assert check(host, signed()) == Ok()
    assert before in (None, host.read(OURS))


def test_nothing_is_known_before_the_authority(done: FakeHost) -> None:
    assert check(done, signed(), Values()) == Later("the authority ca")
    assert isinstance(check(FakeHost("cp-1"), signed(), Values()), Drift)


# --- workers: by a request and the join token --------------------------------------------------------------


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
    asked, stored = kubelet_csr.worker_steps(SPEC, WORKER, authority_, clock=lambda: at)
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
    assert kubelet_csr.KEY not in host.files
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
    assert kubelet_csr.KEY not in host.files


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
    key = host.read(kubelet_csr.KEY)
    api.objects.clear()
    assert look(host, api, worker()[0]) == "the request is gone"
    assert isinstance(check(host, worker()[0], api=api), Drift)
    worker()[0].apply(Target(host, api), Values())
    assert host.read(kubelet_csr.KEY) == key


def test_a_certificate_of_another_authority_is_not_stored() -> None:
    host, api = FakeHost("w-1"), cluster()
    asked, stored = worker(authority().certificate)
    asked.apply(Target(host, api), Values())
    with pytest.raises(errors.KubebootError, match="issued is not signed by the authority"):
        stored.apply(Target(host, api), Values())
    assert OURS not in host.files


def test_a_renamed_machine_asks_under_another_name() -> None:
    key = build.new_key()
    names = {kubelet_csr.request_name(table.kubelet_profile(node), key) for node in ("w-1", "w-2", "w-1")}
    assert len(names) == 2
    assert all(name.startswith("node-csr-") and len(name) < 64 for name in names)


def test_a_dry_run_on_a_fresh_machine_asks_nobody() -> None:
    assert all(isinstance(check(FakeHost("w-1"), step), Drift) for step in worker())
