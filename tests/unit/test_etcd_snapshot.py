"""Snapshots: read by our own reader as etcd 3.7.3 wrote them, saved whole or not at all."""

from __future__ import annotations

import base64
import errno
import gzip
import json
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kubeboot import errors
from kubeboot.fleet.etcd import here as etcd_here
from kubeboot.fleet.etcd import snapshot as etcd_snapshot
from kubeboot.fleet.orders_etcd import EtcdSnapshotSaveOptions
from kubeboot.host import durable
from kubeboot.kube import etcd, etcd_client, etcd_db
from kubeboot.steps.etcd.local import Local
from tests.fakes import tls
from tests.fakes.tls import Reply, Request, Server

RECORDED = gzip.decompress((Path(__file__).parent / "golden" / "etcd-snapshot.db.gz").read_bytes())
"""Of one member with 401 keys; `etcdutl snapshot status` says revision 402, 155648 bytes."""
CA = tls.authority("etcd-ca")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = tmp_path / "etcd.db"
    made.write_bytes(RECORDED)
    return made


def test_a_snapshot_tells_its_revision_and_where_it_is_from(file: Path) -> None:
    found = etcd_snapshot.status(str(file))
    assert (found.revision, found.size, found.members) == (402, 155648, ("cp-1",))
    assert etcd_snapshot.authority(str(file)) == b""


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda data: data[:-100], "cut off"),
        (lambda data: data[:-32], "cut off"),
        (lambda data: b"", "cut off"),
        (lambda data: data[:9000] + b"!" + data[9001:], "sum"),
        (lambda data: b"x" * 1024 + b"y" * 32, "sum"),
    ],
)
def test_a_damaged_snapshot_is_none(file: Path, damage: Callable[[bytes], bytes], says: str) -> None:
    file.write_bytes(damage(RECORDED))
    with pytest.raises(errors.KubebootError, match=says) as raised:
        etcd_snapshot.status(str(file))
    assert raised.value.reason == "KB_SNAPSHOT"


@pytest.mark.parametrize("length", [0, 40, 4096, 9000])
def test_what_is_no_database_is_said_so(file: Path, length: int) -> None:
    file.write_bytes(RECORDED[16 : 16 + length])
    with pytest.raises(etcd_db.NotEtcd, match="not a database"):
        etcd_db.read(str(file))
    with pytest.raises(errors.KubebootError, match="not a database"):
        etcd_snapshot.authority(str(file))


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(errors.KubebootError, match="no such file"):
        etcd_snapshot.status(str(tmp_path / "gone.db"))


def test_an_etcd_that_serves_nobody_is_read_from_its_file(tmp_path: Path) -> None:
    mine = Local("cp-1", "image", str(tmp_path), "", "https://192.0.2.11:2380")
    silent = etcd_client.Client(etcd_client.identity(CA), ["https://127.0.0.1:1"])
    assert etcd_here.members(mine, silent) == ()
    (tmp_path / "member" / "snap").mkdir(parents=True)
    (tmp_path / "member" / "snap" / "db").write_bytes(RECORDED[:-32])
    assert [member.name for member in etcd_here.members(mine, silent)] == ["cp-1"]


def chunks(size: int = 32768) -> Iterator[bytes]:
    """The sum comes by itself."""
    body = RECORDED[:-32]
    yield from (body[at : at + size] for at in range(0, len(body), size))
    yield RECORDED[-32:]


@pytest.mark.parametrize("size", [1000, 32768])
def test_what_comes_whole_is_passed_on(size: int) -> None:
    assert b"".join(etcd_snapshot.whole(chunks(size))) == RECORDED


@pytest.mark.parametrize("data", [RECORDED[:-1], RECORDED[1:], b""])
def test_what_does_not_come_whole_is_refused(data: bytes) -> None:
    with pytest.raises(errors.KubebootError, match="did not arrive complete"):
        list(etcd_snapshot.whole(iter([data])))


def gateway(request: Request) -> Reply:
    """As etcd's gateway streams: a line for every 32 KiB, the sum in the last one."""
    if request.path.endswith("status"):
        return tls.reply({"leader": "0"})
    if request.path.endswith("list"):
        return tls.reply({"members": []})
    lines = (json.dumps({"result": {"blob": base64.b64encode(part).decode()}}) for part in chunks())
    return Reply(200, "\n".join([*lines, ""]).encode())


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    with tls.serving(gateway, "localhost", signer=CA, clients=CA.certificate) as made:
        mine = Local("cp-1", "image", "/var/lib/etcd", made.url, "https://192.0.2.11:2380")
        monkeypatch.setattr(etcd_here, "local", lambda see: mine)
        client = etcd_client.Client(etcd_client.identity(CA), [made.url])
        monkeypatch.setattr(etcd_here, "client", lambda see: client)
        yield made
        client.close()


def save(path: Path, *, force: bool = False) -> list[object]:
    said: list[object] = []
    found = etcd_snapshot.save(EtcdSnapshotSaveOptions(str(path), force), said.append)
    assert (found.revision, found.path) == (402, str(path))
    return said


def test_a_member_without_a_leader_is_saved_with_a_warning(server: Server, tmp_path: Path) -> None:
    path = tmp_path / "new" / "etcd.db"
    assert "has no leader" in str(save(path))
    assert (path.read_bytes(), stat.S_IMODE(path.stat().st_mode)) == (RECORDED, 0o600)


def test_a_file_that_is_there_is_overwritten_by_force_alone(server: Server, file: Path) -> None:
    file.write_bytes(b"precious")
    with pytest.raises(errors.UsageProblem, match="there already"):
        save(file)
    assert file.read_bytes() == b"precious"
    save(file, force=True)
    assert file.read_bytes() == RECORDED
    with pytest.raises(errors.UsageProblem, match="not a plain file"):
        save(file.parent, force=True)


def test_a_full_disk_leaves_nothing(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(fd: int, data: bytes) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(durable, "_write_all", full)
    with pytest.raises(errors.KubebootError, match="no space left on device") as raised:
        save(tmp_path / "etcd.db")
    assert raised.value.reason == "KB_DISK"
    assert list(tmp_path.iterdir()) == []


def test_a_stream_that_breaks_off_leaves_nothing(server: Server, tmp_path: Path) -> None:
    def breaks(request: Request) -> Reply:
        found = gateway(request)
        return Reply(found.status, found.body[:-60]) if request.path.endswith("snapshot") else found

    server.answer = breaks
    with pytest.raises(errors.KubebootError, match="etcd says"):
        save(tmp_path / "etcd.db")
    assert list(tmp_path.iterdir()) == []


def test_no_member_at_all(server: Server, tmp_path: Path) -> None:
    server.answer = lambda request: tls.reply({"message": "etcdserver: no leader"}, 503)
    with pytest.raises(etcd.EtcdUnavailable, match="nothing to take a snapshot of"):
        save(tmp_path / "etcd.db")
    assert list(tmp_path.iterdir()) == []
