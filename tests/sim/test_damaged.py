"""A control plane whose keys are damaged, as by a power cut: every command says so, and none is a bug."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import NoReturn
from unittest import mock

import pytest

from kubeboot import errors
from kubeboot.engine.events import Event, Notice
from kubeboot.engine.journal import Journal
from kubeboot.engine.undo import RemovePath
from kubeboot.fleet import access, here, leaving, reset, shared, status
from kubeboot.fleet.orders import ADMIN_CONF, ResetOptions
from kubeboot.host.facts import Facts, Nic
from kubeboot.kube.api import ApiRefused, NoApi
from kubeboot.pki import build, pem, sealed, table
from kubeboot.steps import haproxy
from tests.fakes import tls
from tests.fakes.api import FakeApi
from tests.fakes.host import FakeHost

HALVES = [f"{authority}.{half}" for authority in ("ca", "etcd/ca") for half in ("crt", "key")]
TORN = [b"", b"-----BEGIN CERTIFICATE-----\nMII\n-----END CERTIFICATE-----\n"]


@pytest.fixture(scope="module")
def keys() -> dict[str, bytes]:
    """What a control plane shares, by its names."""
    made = build.new_key()
    found = {"sa.key": pem.encode_key(made), "sa.pub": pem.encode_public(made.public_key())}
    for row in table.AUTHORITIES:
        pair = tls.authority(row.common_name)
        found |= {f"{row.file}.crt": pair.certificate, f"{row.file}.key": pair.key}
    return found


def damaged(keys: dict[str, bytes], file: str, data: bytes = b"") -> FakeHost:
    """A control plane with another one, which does not answer."""
    host = FakeHost("cp-1", Facts(hostname="cp-1", nics=(Nic("eth0", addresses=("192.0.2.11/24",)),)))
    for name in sealed.shared(False):
        host.write(f"{table.DIRECTORY}/{name}", keys[name])
    host.write(f"{table.DIRECTORY}/{file}", data)
    servers = "".join(f"    server 192.0.2.{n}:6443 192.0.2.{n}:6443\n" for n in (11, 12))
    host.write(haproxy.CONFIG, servers.encode())
    journal = Journal(host)
    journal.begin("init")
    journal.intend("kubelet/config", (RemovePath("/var/lib/kubelet/config.yaml"),))
    return host


def refused(address: str, port: int, timeout: float = 0.0) -> None:
    raise ConnectionRefusedError(111, "connection refused")


@pytest.mark.parametrize("data", TORN, ids=["empty", "torn"])
@pytest.mark.parametrize("file", HALVES)
def test_who_leaves_is_told_which_file_it_is(keys: dict[str, bytes], file: str, data: bytes) -> None:
    with pytest.raises(errors.KubebootError, match=f"/etc/kubernetes/pki/{file} is damaged") as caught:
        leaving.find(damaged(keys, file, data), refused)  # type: ignore[arg-type]
    assert caught.value.reason == "KB_CA_DAMAGED"
    assert "reset --force" in str(caught.value.hint)


def test_by_force_a_machine_is_reset_that_cannot_tell_the_cluster(keys: dict[str, bytes]) -> None:
    host, told = damaged(keys, "ca.crt"), list[Event]()
    with mock.patch.object(reset, "LocalView", lambda timeout_scale: host):
        with pytest.raises(errors.KubebootError, match=r"pki/ca\.crt is damaged"):
            reset.reset(ResetOptions(dry_run=True), told.append)
        assert told == []
        reset.reset(ResetOptions(dry_run=True, force=True), told.append)
    warned = [event.message for event in told if isinstance(event, Notice)]
    assert len(warned) == 1
    assert "ca.crt is damaged" in warned[0] and "`kubeboot node remove cp-1`" in warned[0]


@pytest.mark.parametrize("file", ["ca.crt", "ca.key", "sa.key", "sa.pub", "front-proxy-ca.key"])
def test_a_join_with_damaged_keys_is_refused(keys: dict[str, bytes], file: str) -> None:
    with pytest.raises(errors.KubebootError, match="not this cluster's certificates") as caught:
        shared.obtain(NoApi(), damaged(keys, file), None, keys["ca.crt"], None)
    assert caught.value.reason == "KB_OTHER_CLUSTER"


@pytest.mark.parametrize("data", TORN, ids=["empty", "torn"])
def test_a_damaged_kubeconfig_is_told_by_its_name(
    keys: dict[str, bytes], tmp_path: Path, data: bytes
) -> None:
    host, own = damaged(keys, "ca.crt"), tmp_path / "config"
    host.write(ADMIN_CONF, data)
    own.write_bytes(data)
    problem = here.api(host, (ADMIN_CONF,)).ready()
    assert problem == f"{ADMIN_CONF}: not a kubeconfig with a current context"
    with pytest.raises(errors.ConfigInvalid, match=f"^{own}: not a kubeconfig") as caught:
        access.administrator(str(own))
    assert "`sudo kubeboot init`" in str(caught.value.hint)


class Kubelets(FakeApi):
    """The API to a kubelet: it reads its own Node, and lists none."""

    def list(self, *asked: object, **more: object) -> NoReturn:
        raise ApiRefused("nodes is forbidden", status=403)


def test_a_worker_tells_its_own_node_and_certificates(keys: dict[str, bytes]) -> None:
    profile, key = table.kubelet_profile("worker-1"), build.new_key()
    host, now = FakeHost("its-hostname"), datetime.datetime.now(datetime.UTC)
    signer = build.Pair(keys["ca.crt"], keys["ca.key"])
    made = build.certificate(profile, key.public_key(), signer, days=1, at=now)
    host.write("/var/lib/kubelet/pki/kubelet-client-current.pem", made + pem.encode_key(key))
    ready = {"conditions": [{"type": "Ready", "status": "True"}]}
    node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "worker-1"}, "status": ready}
    found = status.look(host, Kubelets(node), now)
    assert [(one.name, one.ready) for one in found.nodes] == [("worker-1", True)]
    assert (len(found.certificates), found.problem, found.pods) == (1, None, ())


@pytest.mark.parametrize("data", TORN, ids=["empty", "torn"])
def test_a_status_has_the_others_too(keys: dict[str, bytes], data: bytes) -> None:
    now = datetime.datetime.now(datetime.UTC)
    found = status.look(damaged(keys, "etcd/ca.crt", data), NoApi(), now)
    days = {one.path.removeprefix(f"{table.DIRECTORY}/"): one.days_left for one in found.certificates}
    assert days == {"ca.crt": 0, "front-proxy-ca.crt": 0, "etcd/ca.crt": None}
    assert not found.healthy
