"""`kubeboot etcd snapshot save` and `status`."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from kubeboot import errors
from kubeboot.engine.events import Emit, Notice
from kubeboot.fleet.etcd import here as etcd_here
from kubeboot.fleet.orders_etcd import EtcdSnapshot, EtcdSnapshotSaveOptions
from kubeboot.host import durable
from kubeboot.host.api import CommandFailed
from kubeboot.host.local import LocalView
from kubeboot.kube import etcd_db
from kubeboot.kube.etcd import EtcdUnavailable
from kubeboot.kube.etcd_client import Client

_MODE = 0o600


def save(wanted: EtcdSnapshotSaveOptions, emit: Emit) -> EtcdSnapshot:
    """From the first member that answers, this machine's own before others. A file appears whole or not."""
    path = str(Path(wanted.path).absolute())
    _refuse(path, wanted.force)
    see = LocalView()
    mine, etcd = etcd_here.local(see), etcd_here.client(see)
    server = _server(etcd, mine.client_url, emit)
    try:
        with etcd.snapshot(server) as chunks:
            durable.replace(path, whole(chunks), _MODE, None)
    except CommandFailed as error:
        raise _unwritable(path, error) from error
    return status(path, server)


def status(path: str, server: str = "") -> EtcdSnapshot:
    """What a snapshot holds. KubebootError (KB_SNAPSHOT) when it is none, or is damaged."""
    try:
        problem = etcd_db.sum_problem(path)
        if problem is not None:
            raise etcd_db.unreadable(path, problem)
        found = etcd_db.read(path)
    except OSError as error:
        raise etcd_db.unreadable(path, (error.strerror or str(error)).lower()) from error
    except etcd_db.NotEtcd as error:
        raise etcd_db.unreadable(path, str(error)) from error
    names = tuple(member.label for member in found.members)
    return EtcdSnapshot(path, _sum(path), found.revision, found.size, names, server)


def authority(path: str) -> bytes:
    """Which cluster's data a snapshot is, as `etcd_db.authority` says it. KubebootError (KB_SNAPSHOT)."""
    try:
        return etcd_db.authority(path)
    except etcd_db.NotEtcd as error:
        raise etcd_db.unreadable(path, str(error)) from error


def whole(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The chunks of a snapshot; KubebootError at its end if the sum there is not that of what came."""
    digest, held = hashlib.sha256(), b""
    for chunk in chunks:
        held += chunk
        passed, held = held[: -etcd_db.SUM], held[-etcd_db.SUM :]
        digest.update(passed)
        yield passed
    if digest.digest() != held:
        raise errors.KubebootError(
            "the snapshot did not arrive complete: its bytes do not match the sum at its end",
            hint="run the same command again; nothing was written",
            reason="KB_SNAPSHOT",
        )
    yield held


def _server(etcd: Client, own: str, emit: Emit) -> str:
    """A member without a leader is good enough: its data is what it knew last."""
    try:
        urls = [url for member in etcd.known() for url in member.client_urls[:1]]
    except EtcdUnavailable:
        urls = []
    for url in dict.fromkeys((own, *urls)):
        try:
            said = etcd.status(url)
        except errors.KubebootError:
            continue
        if str(said.get("leader", "0")) == "0":
            emit(Notice("warning", f"{url} has no leader: the snapshot may lack what others had agreed on"))
        return url
    raise EtcdUnavailable(
        "no member of etcd answers, so there is nothing to take a snapshot of",
        hint="an etcd that runs without a quorum serves no requests; `kubeboot etcd recover` keeps a copy "
        "of its data",
    )


def _refuse(path: str, force: bool) -> None:
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return
    except OSError as error:
        hint = "name a file in a directory that this user may write to, or run the same command with sudo"
        raise errors.UsageProblem(f"{path}: {(error.strerror or '').lower()}", hint=hint) from None
    if not stat.S_ISREG(found.st_mode):
        raise errors.UsageProblem(f"{path} is not a plain file", hint="name another one")
    if not force:
        raise errors.UsageProblem(
            f"{path} is there already", hint="name another file, or overwrite it with --force"
        )


def _unwritable(path: str, error: CommandFailed) -> errors.KubebootError:
    full = error.__cause__ is not None and getattr(error.__cause__, "errno", 0) in (
        errno.ENOSPC,
        errno.EDQUOT,
    )
    hint = "make room, or name a file on another disk" if full else "name a file that can be written"
    return errors.KubebootError(
        f"{error.message}; nothing was written", hint=hint, reason="KB_DISK" if full else "KB_OUTPUT"
    )


def _sum(path: str) -> str:
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
