"""Changes to this machine's files: a reader, or a power cut, sees the old bytes or the new, never both."""

from __future__ import annotations

import contextlib
import grp
import hashlib
import os
import pwd
import secrets
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from kubeboot.host.api import CommandFailed
from kubeboot.host.files import naming
from kubeboot.host.sending import temporary

_CHUNK = 1 << 20


def owner_ids(owner: str) -> tuple[int, int]:
    """`user:group`, in names or numbers, as numbers."""
    user, _, group = owner.partition(":")
    try:
        uid = int(user) if user.isdigit() else pwd.getpwnam(user).pw_uid
        gid = int(group) if group.isdigit() else grp.getgrnam(group).gr_gid
    except KeyError as err:
        raise CommandFailed(f"there is no such user or group: {owner}") from err
    return uid, gid


def replace(path: str, chunks: Iterable[bytes], mode: int, owner: str | None, sum: str | None = None) -> None:
    """Write beside the path, check the sum, then rename over it."""
    ids = owner_ids(owner) if owner else None
    digest = hashlib.sha256()
    with _beside(path) as (new, fd):
        for chunk in chunks:
            digest.update(chunk)
            with naming(path):
                _write_all(fd, chunk)
        if sum is not None and digest.hexdigest() != sum:
            raise CommandFailed(f"{path}: the bytes received do not match the sha256 {sum}")
        with naming(path):
            _own(fd, ids)
            os.fchmod(fd, mode)
            os.fsync(fd)
            _rename(new, path)


def append(path: str, data: bytes, mode: int) -> None:
    """Add to a file's end and wait until it is on the disk: all of it, or on a full disk nothing."""
    with naming(path):
        _make_parents(path)
        absent = not os.path.lexists(path)
        fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, mode)
        try:
            if absent:
                os.fchmod(fd, mode)
            _add(fd, data)
        finally:
            os.close(fd)
        if absent:
            sync_directory(os.path.dirname(path))


def mkdir(path: str, mode: int) -> None:
    """The directory and those above it; the mode is for the last one, also where it was there."""
    with naming(path):
        _make_parents(path)
        with contextlib.suppress(FileExistsError):
            Path(path).mkdir()
            sync_directory(os.path.dirname(path))
        _with_fd(path, os.O_DIRECTORY, lambda fd: os.fchmod(fd, mode))


def symlink(path: str, target: str) -> None:
    """Make the link, or point it elsewhere, in one move."""
    with naming(path):
        _make_parents(path)
        new = _name_beside(path)
        Path(new).symlink_to(target)
        try:
            _rename(new, path)
        except OSError:
            Path(new).unlink()
            raise


def chmod(path: str, mode: int, owner: str) -> None:
    """Mode and owner of a file or directory; a link is refused."""
    ids = owner_ids(owner)

    def change(fd: int) -> None:
        _own(fd, ids)
        os.fchmod(fd, mode)

    with naming(path):
        _with_fd(path, os.O_NOFOLLOW, change)


def sync_directory(path: str) -> None:
    """Make renames and removals in a directory durable."""
    _with_fd(path or ".", os.O_DIRECTORY, os.fsync)


@contextlib.contextmanager
def _beside(path: str) -> Iterator[tuple[str, int]]:
    new = _name_beside(path)
    with naming(path):
        _make_parents(path)
        fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        yield new, fd
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(new)
        raise
    finally:
        os.close(fd)


def _name_beside(path: str) -> str:
    folder, name = os.path.split(path)
    return os.path.join(folder, temporary(name, secrets.token_hex(4)))


def _rename(new: str, path: str) -> None:
    os.replace(new, path)
    sync_directory(os.path.dirname(path))


def _make_parents(path: str) -> None:
    Path(path).parent.mkdir(mode=0o755, parents=True, exist_ok=True)


def _own(fd: int, ids: tuple[int, int] | None) -> None:
    found = os.fstat(fd)
    if ids and ids != (found.st_uid, found.st_gid):
        os.fchown(fd, *ids)


def _add(fd: int, data: bytes) -> None:
    size = os.fstat(fd).st_size
    try:
        _write_all(fd, data)
        os.fsync(fd)
    except OSError:
        os.ftruncate(fd, size)
        raise


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view[:_CHUNK]) :]


def _with_fd(path: str, flags: int, act: Callable[[int], None]) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | flags)
    try:
        act(fd)
    finally:
        os.close(fd)
