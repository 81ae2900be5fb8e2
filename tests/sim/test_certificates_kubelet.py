"""The kubelet's client certificate on a control plane: there before the kubelet, then its own affair."""

from __future__ import annotations

import datetime

import pytest

from kubeboot.config import spec as specs
from kubeboot.config.node import NodeSettings
from kubeboot.engine.step import Check, Drift, Later, Ok, Step, Target
from kubeboot.engine.values import Values
from kubeboot.host.api import CommandFailed
from kubeboot.kube.api import NoApi
from kubeboot.pki import build, pem, table
from kubeboot.steps import kubeconfigs
from kubeboot.steps.kubelet import kubeconfig as kubelet_conf
from kubeboot.steps.kubelet.identity import CURRENT, OURS, STORE
from tests.fakes.host import FakeHost
from tests.fakes.pki import AT, authority, leaf
from tests.sim.contract import converges
from tests.sim.pki_support import vals

SPEC = specs.ClusterSpec()
CA = authority()
NODE = NodeSettings("cp-1", "10.0.0.11", "control_plane")
DAY = datetime.timedelta(days=1)
ROTATED = f"{STORE}/kubelet-client-2026-09-01-10-11-12.pem"
PROFILE = table.kubelet_profile("cp-1")


def signed(at: datetime.datetime = AT) -> Step:
    """The step of a control plane."""
    return kubeconfigs.init_steps(SPEC, NODE, "x:8443", clock=lambda: at)[-1]


def check(host: FakeHost, step: Step, values: Values | None = None) -> Check:
    return step.check(Target(host, NoApi()).see, values or vals(CA))


def together(pair: build.Pair) -> bytes:
    return pair.certificate + pair.key


@pytest.fixture
def done() -> FakeHost:
    host = FakeHost("cp-1")
    signed().apply(Target(host, NoApi()), vals(CA))
    return host


def test_the_step_converges_and_is_taken_back() -> None:
    assert (
        converges(signed(), FakeHost("cp-1"), vals(CA)).summary
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
    drift = converges(signed(AT + 366 * DAY), done, vals(CA))
    assert drift.summary == "kubelet-client-current.pem expired on 2027-06-01"


def test_another_nodes_certificate_is_replaced(done: FakeHost) -> None:
    done.write(OURS, together(leaf(table.kubelet_profile("cp-2"), CA)), 0o600)
    assert "'system:node:cp-2' instead of 'system:node:cp-1'" in converges(signed(), done, vals(CA)).summary


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
        step for step in kubeconfigs.init_steps(SPEC, NODE, "x:8443") if step.id == "kubeconfig/kubelet"
    )
    step.apply(Target(done, NoApi()), vals(CA))
    started(done)
    done.chmod(kubelet_conf.PATH, 0o644)
    converges(step, done, vals(CA))
    assert done.unit("kubelet.service").active == "active"
    edited = (done.read(kubelet_conf.PATH) or b"").replace(b"10.0.0.11", b"10.0.0.99")
    done.write(kubelet_conf.PATH, edited, 0o600)
    converges(step, done, vals(CA))
    assert done.unit("kubelet.service").active == "inactive"


def test_a_link_that_leads_nowhere_is_mended(done: FakeHost) -> None:
    done.symlink(CURRENT, f"{STORE}/gone.pem")
    before = done.read(OURS)
    assert converges(signed(), done, vals(CA)).summary == "kubelet-client-current.pem leads nowhere"
    assert done.read(OURS) == before


def test_a_plain_file_becomes_a_link_to_the_same_certificate(done: FakeHost) -> None:
    held = together(leaf(PROFILE, CA))
    done.write(CURRENT, held, 0o600)
    assert "the kubelet wants a link" in converges(signed(), done, vals(CA)).summary
    assert (done.symlinks[CURRENT], done.read(OURS)) == (OURS, held)


@pytest.mark.parametrize("path", [OURS, ROTATED])
def test_an_exposed_key_is_closed(done: FakeHost, path: str) -> None:
    done.write(path, done.read(OURS) or b"", 0o644)
    done.symlink(CURRENT, path)
    assert "has mode 0644" in converges(signed(), done, vals(CA)).summary
    assert (done.symlinks[CURRENT], done.files[path].mode) == (path, 0o600)


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("write", [1, 2])
def test_killed_between_file_and_link_nothing_is_keyed_twice(write: int, after: bool) -> None:
    host = FakeHost("cp-1")
    host.fail_at(write, CommandFailed("killed"), after=after)
    with pytest.raises(CommandFailed):
        signed().apply(Target(host, NoApi()), vals(CA))
    host.faults.clear()
    before = host.read(OURS)
    signed().apply(Target(host, NoApi()), vals(CA))
    assert check(host, signed()) == Ok()
    assert before in (None, host.read(OURS))


def test_nothing_is_known_before_the_authority(done: FakeHost) -> None:
    assert check(done, signed(), Values()) == Later("the authority ca")
    assert isinstance(check(FakeHost("cp-1"), signed(), Values()), Drift)
