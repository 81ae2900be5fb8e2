"""Downloads by their sum: a file under its name is whole and right, and two runs never write one together."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from kubeboot import errors
from kubeboot.artifacts.api import CHUNK
from kubeboot.artifacts.part import Part
from kubeboot.artifacts.trouble import refused

SYSTEM = Path("/var/cache/kubeboot")
ROOM = 64 << 20
"""Bytes that a download leaves free on the disk."""


def place(environ: Mapping[str, str], uid: int) -> Path:
    """Where the cache is when nothing else is said."""
    if uid == 0:
        return SYSTEM
    home = environ.get("XDG_CACHE_HOME") or str(Path(environ.get("HOME", "/nonexistent")) / ".cache")
    return Path(home) / "kubeboot"


def chunks(path: Path, sha256: str) -> Iterator[bytes]:
    """A file's bytes, one chunk held back: the last is given only after the sum is right."""
    try:
        with path.open("rb") as file:
            yield from checked(iter(lambda: file.read(CHUNK), b""), sha256, str(path))
    except OSError as error:
        raise refused(f"{path} cannot be read: {error.strerror}", "download it again") from None


def sum_of(path: Path) -> str:
    """A file's sum in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def checked(data: Iterator[bytes], sha256: str, name: str) -> Iterator[bytes]:
    """The same bytes, the last of them only when their sum is right."""
    sum_, held = hashlib.sha256(), b""
    for chunk in data:
        if held:
            yield held
        sum_.update(chunk)
        held = chunk
    if sum_.hexdigest() != sha256:
        raise refused(f"{name} is damaged: its sha256 is {sum_.hexdigest()}, and not {sha256}")
    yield held


class Cache:
    """`blobs/sha256/<hex>` below a directory."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._blobs = root / "blobs" / "sha256"

    def path(self, sha256: str) -> Path:
        """Where a blob is, or would be."""
        return self._blobs / sha256

    def has(self, sha256: str) -> bool:
        return self.path(sha256).is_file()

    def put(self, data: bytes) -> Path:
        """Keep a small document."""
        with self.claim(hashlib.sha256(data).hexdigest()) as part:
            if isinstance(part, Path):
                return part
            part.restart()
            part.write(data)
            return part.finish()

    @contextlib.contextmanager
    def claim(self, sha256: str) -> Iterator[Part | Path]:
        """The blob if it is there, else its part, which is ours alone until the end."""
        with _disk(self.root):
            self._blobs.mkdir(mode=0o755, parents=True, exist_ok=True)
            part = None if self.has(sha256) else self._part(sha256)
            if part is None:
                yield self.path(sha256)
                return
            try:
                yield part
            except OSError as error:
                if error.errno in (errno.ENOSPC, errno.EDQUOT):
                    part.drop()
                raise
            finally:
                part.close()

    def _part(self, sha256: str) -> Part | None:
        """None when someone else has just finished it."""
        path = self.path(sha256).with_suffix(".part")
        while True:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if self.has(sha256):
                self._forget(descriptor, path)
                return None
            if _same(descriptor, path):
                return Part(descriptor, path, self.path(sha256), sha256)
            os.close(descriptor)

    @staticmethod
    def _forget(descriptor: int, path: Path) -> None:
        """Our own empty part, made after the other run had finished."""
        if _same(descriptor, path):
            path.unlink(missing_ok=True)
        os.close(descriptor)

    def require_room(self, size: int) -> None:
        """KB_DISK when there is not enough of it for so many bytes more."""
        free = shutil.disk_usage(self._blobs).free
        if size and free < size + ROOM:
            raise _full(self.root, f"{size >> 20} MiB are still to come, and {free >> 20} MiB are free")


def _same(descriptor: int, path: Path) -> bool:
    try:
        return os.fstat(descriptor).st_ino == path.stat().st_ino
    except FileNotFoundError:
        return False


@contextlib.contextmanager
def _disk(root: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise _full(root, "the download was removed again") from None
        raise errors.ConfigInvalid(
            f"cache {root}: {error.strerror or error}",
            hint="set artifacts.cacheDir in the configuration to a place where downloads may be kept",
            reason="KB_CACHE",
        ) from None


def _full(root: Path, why: str) -> errors.KubebootError:
    return errors.KubebootError(
        f"the disk of {root} is full: {why}",
        hint="make room, or keep downloads elsewhere with artifacts.cacheDir",
        reason="KB_DISK",
    )
