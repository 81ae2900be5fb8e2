"""Files of this machine: a reader, or a power cut, sees the old bytes or the new, never a mixture."""

from __future__ import annotations

import contextlib
import errno
import grp
import hashlib
import os
import pwd
import secrets
import shutil
import stat
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from kubeboot import inputs
from kubeboot.host.api import CommandFailed
from kubeboot.host.model import Stat
from kubeboot.host.sending import temporary

MOST = 256 << 20
"""Bytes that are ever read into memory: a kubeconfig may have been named that has no end."""
_CHUNK = 1 << 20
_ABSENT = (FileNotFoundError, NotADirectoryError)
FULL = "make room there (df -h), then run the same command again"


@contextlib.contextmanager
def naming(path: str) -> Iterator[None]:
    """Turn an OSError into a CommandFailed that names the path, and what mends it where that is known."""
    try:
        yield
    except OSError as err:
        hint = FULL if err.errno in (errno.ENOSPC, errno.EDQUOT) else None
        raise CommandFailed(f"{path}: {(err.strerror or str(err)).lower()}", hint=hint) from err


def read(path: str) -> bytes | None:
    """All bytes, up to MOST; None where there is no such file."""
    try:
        return inputs.read(path, MOST)
    except (*_ABSENT, IsADirectoryError):
        return None


def stat_of(path: str) -> Stat | None:
    """One directory entry, links not followed."""
    try:
        found = os.lstat(path)
    except _ABSENT:
        return None
    target = os.readlink(path) if stat.S_ISLNK(found.st_mode) else None
    return entry(found.st_mode, found.st_uid, found.st_gid, found.st_size, target)


def entry(mode: int, uid: int, gid: int, size: int, target: str | None) -> Stat:
    """A Stat from the numbers of lstat(2)."""
    permissions = stat.S_IMODE(mode)
    if stat.S_ISREG(mode):
        return Stat("file", permissions, uid, gid, size)
    if stat.S_ISDIR(mode):
        return Stat("dir", permissions, uid, gid, size)
    if stat.S_ISLNK(mode):
        return Stat("link", permissions, uid, gid, size, target)
    return Stat("other", permissions, uid, gid, size)


def sha256(path: str) -> str | None:
    """The file's sum in hex; None where there is no such file."""
    try:
        with Path(path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except (*_ABSENT, IsADirectoryError):
        return None


def listdir(path: str) -> tuple[str, ...]:
    """Sorted names; none where there is no such directory."""
    try:
        return tuple(sorted(os.listdir(path)))
    except _ABSENT:
        return ()


def nearest(path: str) -> str:
    """The path, or the first directory above it that exists."""
    while not os.path.exists(path):
        path = os.path.dirname(path)
    return path


def free_bytes(path: str) -> int:
    """Room for an ordinary user on the file system of the nearest directory that exists."""
    found = os.statvfs(nearest(path))
    return found.f_bavail * found.f_frsize


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
    with _beside(path) as (temporary, fd):
        for chunk in chunks:
            digest.update(chunk)
            with naming(path):
                _write_all(fd, chunk)
        if sum is not None and digest.hexdigest() != sum:
            raise CommandFailed(f"{path}: the bytes that came do not have the sha256 {sum}")
        with naming(path):
            _own(fd, ids)
            os.fchmod(fd, mode)
            os.fsync(fd)
            _rename(temporary, path)


def append(path: str, data: bytes, mode: int) -> None:
    """Add to a file's end and wait until it is on the disk: all of it, or on a full disk nothing."""
    with naming(path):
        _make_parents(path)
        new = not os.path.lexists(path)
        fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, mode)
        try:
            if new:
                os.fchmod(fd, mode)
            size = os.fstat(fd).st_size
            try:
                _write_all(fd, data)
                os.fsync(fd)
            except OSError:
                os.ftruncate(fd, size)
                raise
        finally:
            os.close(fd)
        if new:
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
        temporary = _temporary(path)
        Path(temporary).symlink_to(target)
        try:
            _rename(temporary, path)
        except OSError:
            Path(temporary).unlink()
            raise


def chmod(path: str, mode: int, owner: str) -> None:
    """Mode and owner of a file or directory; a link is refused."""
    ids = owner_ids(owner)

    def change(fd: int) -> None:
        _own(fd, ids)
        os.fchmod(fd, mode)

    with naming(path):
        _with_fd(path, os.O_NOFOLLOW, change)


def remove(path: str) -> None:
    """A file, a link or an empty directory."""
    with naming(path), contextlib.suppress(*_ABSENT):
        if stat.S_ISDIR(os.lstat(path).st_mode):
            Path(path).rmdir()
        else:
            Path(path).unlink()
        sync_directory(os.path.dirname(path))


def remove_tree(path: str, points: Iterable[str]) -> tuple[str, ...]:
    """Everything at and below a path, but nothing of a mount; answers the mount points that are left."""
    real = path if os.path.islink(path) else os.path.realpath(path)
    left = points_below(real, points)
    with naming(path):
        if os.path.isdir(real) and not os.path.islink(real):
            _remove_below(real, left)
        elif os.path.lexists(real) and real not in left:
            Path(real).unlink()
    return left


def points_below(real: str, points: Iterable[str]) -> tuple[str, ...]:
    """Those mount points that are at or below a path."""
    return tuple(sorted({point for point in points if point == real or point.startswith(f"{real}/")}))


def sync_directory(path: str) -> None:
    """Make renames and removals in a directory durable."""
    _with_fd(path or ".", os.O_DIRECTORY, os.fsync)


def _remove_below(path: str, left: tuple[str, ...]) -> None:
    if not any(point == path or point.startswith(f"{path}/") for point in left):
        shutil.rmtree(path)
        return
    if path in left:
        return
    for name in os.listdir(path):
        below = f"{path}/{name}"
        if os.path.isdir(below) and not os.path.islink(below):
            _remove_below(below, left)
        elif below not in left:
            Path(below).unlink()


@contextlib.contextmanager
def _beside(path: str) -> Iterator[tuple[str, int]]:
    temporary = _temporary(path)
    with naming(path):
        _make_parents(path)
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        yield temporary, fd
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
    finally:
        os.close(fd)


def _temporary(path: str) -> str:
    folder, name = os.path.split(path)
    return os.path.join(folder, temporary(name, secrets.token_hex(4)))


def _rename(temporary: str, path: str) -> None:
    os.replace(temporary, path)
    sync_directory(os.path.dirname(path))


def _make_parents(path: str) -> None:
    Path(path).parent.mkdir(mode=0o755, parents=True, exist_ok=True)


def _own(fd: int, ids: tuple[int, int] | None) -> None:
    found = os.fstat(fd)
    if ids and ids != (found.st_uid, found.st_gid):
        os.fchown(fd, *ids)


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
