"""Certificates: kubeadm's layout and names, signed again only where they must be, and never keyed twice."""

from __future__ import annotations

import pytest

from kubeboot.config import spec as specs
from kubeboot.config.components import ApiServer
from kubeboot.config.node import NodeSettings
from kubeboot.engine.step import Drift, Later, Ok, Step, Target
from kubeboot.engine.values import Values
from kubeboot.host.api import CommandFailed
from kubeboot.kube.api import NoApi
from kubeboot.pki import inspect, pem
from tests.fakes.host import FakeHost
from tests.fakes.pki import AT
from tests.sim.contract import converges
from tests.sim.pki_support import DAY, PKI, SPEC, check, pki, run, steps


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


def test_the_algorithm_is_as_configured(host: FakeHost) -> None:
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
