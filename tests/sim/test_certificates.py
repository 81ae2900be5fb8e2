"""The PKI's steps: nothing is keyed twice, nothing that the cluster depends on is replaced."""

from __future__ import annotations

import datetime

import pytest

from kubeboot.config import spec as specs
from kubeboot.config.components import ApiServer
from kubeboot.config.node import NodeSettings
from kubeboot.engine.step import Blocked, Check, Drift, Later, Ok, Step, Target
from kubeboot.engine.values import Values
from kubeboot.host.api import CommandFailed
from kubeboot.kube.api import NoApi
from kubeboot.pki import inspect, pem
from kubeboot.steps import authorities, certificates
from tests.fakes.entries import File
from tests.fakes.host import FakeHost
from tests.fakes.pki import AT, authority
from tests.sim.contract import converges

SPEC = specs.ClusterSpec(control_plane_endpoint="api.example.org:8443")
NODE = NodeSettings("cp-1", "10.0.0.11", "control_plane")
PKI = "/etc/kubernetes/pki"
DAY = datetime.timedelta(days=1)


def steps(
    spec: specs.ClusterSpec = SPEC, at: datetime.datetime = AT, node: NodeSettings = NODE
) -> dict[str, Step]:
    return {step.id: step for step in certificates.init_steps(spec, node, clock=lambda: at)}


def run(host: FakeHost, todo: dict[str, Step]) -> tuple[Values, dict[str, Check]]:
    """As the engine does, without the journal: what each step's check said, and the values."""
    vals, target, found = Values(), Target(host, NoApi()), {}
    for name, step in todo.items():
        found[name] = step.check(target.see, vals)
        if isinstance(found[name], Drift):
            step.apply(target, vals)
            assert step.check(target.see, vals) == Ok(), name
        if isinstance(step.check(target.see, vals), Ok):
            for key in step.gives:
                vals.put(key, step.read(target.see, key))
    return vals, found


def pki(host: FakeHost) -> dict[str, File]:
    """The files below the pki directory."""
    return {path.removeprefix(f"{PKI}/"): file for path, file in host.files.items() if path.startswith(PKI)}


def check(host: FakeHost, step: Step, vals: Values | None = None) -> Check:
    return step.check(Target(host, NoApi()).see, vals or Values())


@pytest.fixture
def host() -> FakeHost:
    return FakeHost("cp-1")


@pytest.fixture
def done(host: FakeHost) -> FakeHost:
    run(host, steps())
    return host


def test_ids_are_what_others_wait_for() -> None:
    assert list(steps()) == [
        "pki/ca", "pki/front-proxy-ca", "pki/etcd-ca", "pki/sa", "pki/apiserver",
        "pki/apiserver-kubelet-client", "pki/front-proxy-client", "pki/etcd-server", "pki/etcd-peer",
        "pki/etcd-healthcheck-client", "pki/apiserver-etcd-client",
    ]  # fmt: skip


def test_every_step_converges_and_is_taken_back() -> None:
    vals = Values()
    host = FakeHost("cp-1")
    for step in steps().values():
        assert converges(step, host, vals).change == "create"
        for key in step.gives:
            vals.put(key, step.read(Target(host, NoApi()).see, key))


def test_the_layout_is_kubeadms(done: FakeHost) -> None:
    modes = {name: file.mode for name, file in pki(done).items()}
    pairs = (
        "ca", "front-proxy-ca", "etcd/ca", "apiserver", "apiserver-kubelet-client", "front-proxy-client",
        "etcd/server", "etcd/peer", "etcd/healthcheck-client", "apiserver-etcd-client",
    )  # fmt: skip
    wanted = {f"{name}.crt": 0o644 for name in pairs} | {f"{name}.key": 0o600 for name in pairs}
    assert modes == wanted | {"sa.key": 0o600, "sa.pub": 0o600}


def test_the_apiserver_answers_to_every_name_of_the_design(done: FakeHost) -> None:
    found = pem.certificates(done.read(f"{PKI}/apiserver.crt") or b"")[0]
    assert inspect.names(found) == {
        "127.0.0.1", "::1", "localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc",
        "kubernetes.default.svc.cluster.local", "cp-1", "10.0.0.11", "10.96.0.1", "api.example.org",
    }  # fmt: skip


def test_a_second_run_changes_nothing(done: FakeHost) -> None:
    before, writes = done.snapshot(), len(done.changes)
    _, found = run(done, steps(at=AT + 300 * DAY))
    assert set(found.values()) == {Ok()}
    assert (done.snapshot(), len(done.changes)) == (before, writes)


def test_steps_show_no_secret_and_no_clock() -> None:
    text = repr(tuple(steps().values()))
    assert "PRIVATE" not in text
    assert "clock" not in text


@pytest.mark.parametrize("after", [False, True], ids=["before the write", "after the write"])
@pytest.mark.parametrize("write", range(1, 23))
def test_killed_anywhere_the_next_run_keeps_every_key(host: FakeHost, write: int, after: bool) -> None:
    host.fail_at(write, CommandFailed("killed"), after=after)
    with pytest.raises(CommandFailed):
        run(host, steps())
    host.faults.clear()
    keys = {name: file for name, file in pki(host).items() if name.endswith(".key")}
    run(host, steps())
    assert len(pki(host)) == 22
    assert {name: pki(host)[name] for name in keys} == keys
    assert set(run(host, steps())[1].values()) == {Ok()}


# --- leaves ------------------------------------------------------------------------------------------------


def _reissued(host: FakeHost, step_id: str, todo: dict[str, Step], file: str) -> str:
    """The summary of what `todo` finds wrong; the key stays, the certificate is new, all is well after."""
    key, old = host.read(f"{PKI}/{file}.key"), host.read(f"{PKI}/{file}.crt")
    vals, _ = run(host, {name: step for name, step in todo.items() if step.gives})
    found = converges(todo[step_id], host, vals)
    assert found.change == "change"
    assert (host.read(f"{PKI}/{file}.key"), host.read(f"{PKI}/{file}.crt") == old) == (key, False)
    return found.summary


def test_a_new_name_is_signed_for_the_same_key(done: FakeHost) -> None:
    api_server = ApiServer(cert_sans=("10.0.0.5", "vip.example.org"))
    todo = steps(SPEC.model_copy(update={"api_server": api_server}))
    told = _reissued(done, "pki/apiserver", todo, "apiserver")
    assert told == "apiserver.crt lacks the names 10.0.0.5, vip.example.org"


def test_a_moved_machine_gets_new_names(done: FakeHost) -> None:
    moved = steps(node=NodeSettings("cp-1", "10.0.0.99", "control_plane"))
    assert _reissued(done, "pki/etcd-peer", moved, "etcd/peer") == "etcd/peer.crt lacks the name 10.0.0.99"


def test_names_that_are_no_longer_wanted_do_no_harm(host: FakeHost) -> None:
    run(host, steps(SPEC.model_copy(update={"api_server": ApiServer(cert_sans=("10.0.0.5",))})))
    assert set(run(host, steps())[1].values()) == {Ok()}


@pytest.mark.parametrize(
    ("days", "told"),
    [(340, "apiserver.crt expires in 25 days"), (400, "apiserver.crt expired on 2027-06-01")],
)
def test_an_old_certificate_is_renewed(done: FakeHost, days: int, told: str) -> None:
    assert _reissued(done, "pki/apiserver", steps(at=AT + days * DAY), "apiserver") == told


def test_a_short_life_is_renewed_in_its_last_third(host: FakeHost) -> None:
    certificates_ = specs.Certificates(validity_days=6)
    spec = SPEC.model_copy(update={"certificates": certificates_})
    run(host, steps(spec))
    assert set(run(host, steps(spec, AT + 4 * DAY))[1].values()) == {Ok()}
    assert isinstance(run(host, steps(spec, AT + 4.5 * DAY))[1]["pki/apiserver"], Drift)


def test_one_day_certificates_can_be_made(host: FakeHost) -> None:
    spec = SPEC.model_copy(update={"certificates": specs.Certificates(validity_days=1)})
    run(host, steps(spec))
    assert set(run(host, steps(spec))[1].values()) == {Ok()}


def test_another_algorithm_leaves_what_is_there(done: FakeHost) -> None:
    spec = SPEC.model_copy(update={"certificates": specs.Certificates(algorithm="RSA-2048")})
    assert set(run(done, steps(spec))[1].values()) == {Ok()}


def test_the_algorithm_is_the_configurations(host: FakeHost) -> None:
    run(host, steps(SPEC.model_copy(update={"certificates": specs.Certificates(algorithm="ECDSA-P384")})))
    assert {pem.private_key(f.data).key_size for name, f in pki(host).items() if name.endswith(".key")} == {
        384
    }


@pytest.mark.parametrize("data", [b"", b"rubbish"])
def test_a_broken_certificate_is_made_anew(done: FakeHost, data: bytes) -> None:
    done.write(f"{PKI}/etcd/server.crt", data)
    told = _reissued(done, "pki/etcd-server", steps(), "etcd/server")
    assert told == "etcd/server.crt is not a readable certificate"


def test_a_lost_key_is_made_anew_with_its_certificate(done: FakeHost) -> None:
    vals, _ = run(done, steps())
    done.remove(f"{PKI}/apiserver.key")
    found = converges(steps()["pki/apiserver"], done, vals)
    assert found.summary == "apiserver.crt has no private key"


def test_an_exposed_key_is_closed_and_not_copied(done: FakeHost) -> None:
    vals, _ = run(done, steps())
    done.chmod(f"{PKI}/apiserver.key", 0o644)
    step = steps()["pki/apiserver"]
    assert converges(step, done, vals).summary == "apiserver.key has mode 0644 instead of 0600"
    done.chmod(f"{PKI}/apiserver.key", 0o600, "etcd:root")
    assert converges(step, done, vals).summary == "apiserver.key belongs to user 990 instead of root"


def test_stricter_modes_are_left_alone(done: FakeHost) -> None:
    for name in pki(done):
        done.chmod(f"{PKI}/{name}", 0o400)
    assert set(run(done, steps())[1].values()) == {Ok()}


def test_a_leaf_cannot_be_judged_before_its_authority_is_known(done: FakeHost) -> None:
    assert check(done, steps()["pki/apiserver"]) == Later("the authority ca")
    assert isinstance(check(FakeHost("cp-1"), steps()["pki/apiserver"]), Drift)


# --- authorities -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("file", ["ca", "etcd/ca", "front-proxy-ca"])
def test_an_authority_without_its_key_is_not_replaced(done: FakeHost, file: str) -> None:
    done.remove(f"{PKI}/{file}.key")
    found = check(done, steps()[f"pki/{file.replace('/', '-')}"])
    assert isinstance(found, Blocked)
    assert found.reason == "KB_CA_KEY_MISSING"
    assert f"{PKI}/{file}.key" in (found.hint or "")


def test_a_lost_authority_is_not_replaced_while_its_leaves_are_there(done: FakeHost) -> None:
    done.remove(f"{PKI}/etcd/ca.crt")
    done.remove(f"{PKI}/etcd/ca.key")
    found = check(done, steps()["pki/etcd-ca"])
    assert isinstance(found, Blocked)
    assert found.message == f"{PKI}/etcd/ca.crt, which signed etcd/server.crt, is missing"
    assert "restore it from a backup" in (found.hint or "")


def test_a_lost_certificate_is_made_again_from_its_key(done: FakeHost) -> None:
    """The same key and name: everything that it signed, and every pin of it, stays good."""
    done.remove(f"{PKI}/ca.crt")
    assert converges(steps()["pki/ca"], done).summary == "create /etc/kubernetes/pki/ca.crt and its key"
    assert {found for name, found in run(done, steps())[1].items() if name != "pki/ca"} == {Ok()}


def test_a_key_of_somebody_else_does_not_make_an_authority(done: FakeHost) -> None:
    done.remove(f"{PKI}/ca.crt")
    done.write(f"{PKI}/ca.key", authority().key, 0o600)
    assert isinstance(check(done, steps()["pki/ca"]), Blocked)


@pytest.mark.parametrize(
    ("file", "data", "told"),
    [
        ("ca.crt", b"rubbish", "ca.crt is not a readable certificate"),
        ("ca.key", b"rubbish", "ca.crt does not belong to its private key"),
        ("ca.key", authority().key, "ca.crt does not belong to its private key"),
    ],
)
def test_a_damaged_authority_is_not_replaced(done: FakeHost, file: str, data: bytes, told: str) -> None:
    done.write(f"{PKI}/{file}", data, 0o600)
    found = check(done, steps()["pki/ca"])
    assert isinstance(found, Blocked)
    assert found.message == f"{PKI}/{told}"


def test_a_broken_key_without_certificate_is_not_replaced(host: FakeHost) -> None:
    host.write(f"{PKI}/ca.key", b"rubbish", 0o600)
    assert isinstance(check(host, steps()["pki/ca"]), Blocked)


@pytest.mark.parametrize(("days", "told"), [(3650, "expired on"), (-1, "is not valid before")])
def test_an_authority_out_of_its_time_is_not_replaced(done: FakeHost, days: int, told: str) -> None:
    found = check(done, steps(at=AT + days * DAY)["pki/ca"])
    assert isinstance(found, Blocked)
    assert told in found.message


def test_an_exposed_authority_key_is_closed(done: FakeHost) -> None:
    done.chmod(f"{PKI}/ca.key", 0o640)
    assert converges(steps()["pki/ca"], done).change == "change"


def test_the_authority_is_given_as_a_secret(done: FakeHost) -> None:
    vals, _ = run(done, steps())
    assert repr(vals.need(authorities.CA)) == "***"
    assert vals.need(authorities.CA).reveal().certificate == done.read(f"{PKI}/ca.crt")


# --- ServiceAccount keys -----------------------------------------------------------------------------------


def test_a_lost_public_half_is_derived(done: FakeHost) -> None:
    public = done.read(f"{PKI}/sa.pub")
    done.remove(f"{PKI}/sa.pub")
    assert converges(steps()["pki/sa"], done).summary == "create /etc/kubernetes/pki/sa.pub"
    assert done.read(f"{PKI}/sa.pub") == public


def test_a_second_public_key_is_left_in_place(done: FakeHost) -> None:
    old = pem.encode_public(pem.private_key(authority().key).public_key())
    done.write(f"{PKI}/sa.pub", old + (done.read(f"{PKI}/sa.pub") or b""), 0o600)
    assert check(done, steps()["pki/sa"]) == Ok()


@pytest.mark.parametrize(
    ("file", "data", "told"),
    [
        ("sa.key", None, "sa.pub is there without sa.key"),
        ("sa.key", b"rubbish", "sa.key is not a private key"),
        ("sa.key", authority().key, "sa.pub does not hold the public half of sa.key"),
        ("sa.pub", b"rubbish", "sa.pub does not hold the public half of sa.key"),
    ],
)
def test_token_keys_are_never_replaced(done: FakeHost, file: str, data: bytes | None, told: str) -> None:
    done.remove(f"{PKI}/{file}")
    if data is not None:
        done.write(f"{PKI}/{file}", data, 0o600)
    found = check(done, steps()["pki/sa"])
    assert isinstance(found, Blocked)
    assert found.message == f"{PKI}/{told}"


# --- workers -----------------------------------------------------------------------------------------------

CA, OTHER = authority().certificate, authority().certificate


def _worker(data: bytes = CA) -> Step:
    (step,) = certificates.worker_steps(NodeSettings("w-1", "10.0.0.21", "worker"), data)
    return step


def test_a_worker_gets_the_certificate_and_nothing_else(host: FakeHost) -> None:
    assert converges(_worker(), host).change == "create"
    assert list(pki(host)) == ["ca.crt"]
    assert check(host, _worker()) == Ok()


def test_a_bundle_that_has_it_is_left_alone(host: FakeHost) -> None:
    host.write(f"{PKI}/ca.crt", OTHER + CA)
    assert check(host, _worker()) == Ok()


def test_a_bundle_that_lacks_a_new_authority_is_replaced(host: FakeHost) -> None:
    host.write(f"{PKI}/ca.crt", CA)
    assert converges(_worker(CA + OTHER), host).summary == "ca.crt lacks an authority of the cluster"


@pytest.mark.parametrize(("data", "reason"), [(OTHER, "KB_OTHER_CLUSTER"), (b"rubbish", "KB_PKI")])
def test_a_machine_of_another_cluster_is_not_taken_over(host: FakeHost, data: bytes, reason: str) -> None:
    host.write(f"{PKI}/ca.crt", data)
    found = check(host, _worker())
    assert isinstance(found, Blocked)
    assert found.reason == reason


def test_a_writable_certificate_is_closed(host: FakeHost) -> None:
    host.write(f"{PKI}/ca.crt", CA, 0o666)
    assert converges(_worker(), host).summary == "ca.crt has mode 0666 instead of 0644"
