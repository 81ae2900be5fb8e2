"""Single files out of archives and image layers, as streams."""

from __future__ import annotations

import hashlib
import posixpath
import tarfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from kubeboot.artifacts.api import CHUNK
from kubeboot.artifacts.known import Entry
from kubeboot.artifacts.trouble import refused

_DAMAGED = (tarfile.TarError, EOFError, zlib.error, OSError)


def member(paths: Sequence[Path], name: str) -> Iterator[bytes]:
    """One regular file out of the first of these archives that has it, compressed with gzip or not at all."""
    for path in paths:
        try:
            with tarfile.open(path, "r|*") as tar:
                for each in tar:
                    if each.isreg() and posixpath.normpath(each.name) == name:
                        yield from _content(tar, each)
                        return
        except _DAMAGED as error:
            raise refused(f"{path} is not a readable archive: {error}") from None
    raise refused(f"{' '.join(map(str, paths))} has no file {name}", "is this the expected version?")


def _content(tar: tarfile.TarFile, info: tarfile.TarInfo) -> Iterator[bytes]:
    file = tar.extractfile(info)
    while file is not None and (chunk := file.read(CHUNK)):
        yield chunk


def sums(paths: Sequence[Path], names: Sequence[str]) -> dict[str, Entry]:
    """What these files inside are."""
    return {name: _sum(member(paths, name)) for name in names}


def _sum(data: Iterator[bytes]) -> Entry:
    total, size = hashlib.sha256(), 0
    for chunk in data:
        total.update(chunk)
        size += len(chunk)
    return Entry(total.hexdigest(), size)
