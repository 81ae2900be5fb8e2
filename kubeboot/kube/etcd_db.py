"""What an etcd database says of itself, read from its file: a snapshot's revision, the members, the sum.

etcd keeps its keys in a bbolt file: pages, of which one of the first two leads to a tree of buckets.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
import struct
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from kubeboot import errors
from kubeboot.kube.etcd import Member

SUM = 32
"""Bytes of a sha256; a snapshot ends with that of all before it."""
_MAGIC = 0xED0CDAED
_BRANCH, _LEAF = 1, 2
_HEADER = struct.Struct("<QHHI")
_META = struct.Struct("<IIIIQQQQQ")
_PAGE_SIZES = (4096, 8192, 16384, 32768, 65536)
_BLOCK = 512
_CHUNK = 1 << 20
_INFO = b"/configmaps/kube-public/cluster-info"
_AUTHORITY = b"certificate-authority-data:"
_DEPTH = 64
"""More than a tree of pages ever has."""


@dataclasses.dataclass(frozen=True)
class Contents:
    """The last revision, and the members that the database names (a snapshot's restore forgets them)."""

    revision: int
    members: tuple[Member, ...]
    size: int


class NotEtcd(ValueError):
    """The file is no database of etcd, or is cut off."""


def sum_problem(path: str) -> str | None:
    """Why the file is not a whole snapshot, by the sum at its end; None when it is one."""
    size = Path(path).stat().st_size
    if size < SUM or size % _BLOCK != SUM:
        return "it does not end with a sum, so it is not a snapshot, or one that was cut off"
    digest, left = hashlib.sha256(), size - SUM
    with Path(path).open("rb") as file:
        while left and (chunk := file.read(min(left, _CHUNK))):
            digest.update(chunk)
            left -= len(chunk)
        return None if digest.digest() == file.read(SUM) else "its bytes do not match the sum at its end"


def read(path: str) -> Contents:
    """What is in a database that nobody writes. NotEtcd says what is wrong with it."""
    with _opened(path) as found:
        size = Path(path).stat().st_size
        return Contents(_revision(found), tuple(_members(found)), size - size % _BLOCK)


@contextlib.contextmanager
def _opened(path: str) -> Iterator[_File]:
    try:
        with Path(path).open("rb") as file:
            yield _File(file)
    except (
        struct.error,
        LookupError,
        ValueError,
        TypeError,
        AttributeError,
        MemoryError,
        OverflowError,
    ) as error:
        raise NotEtcd(f"{path} is not a database of etcd: {error}") from error


def authority(path: str) -> bytes:
    """The CA (base64 of PEM) of the cluster whose data this is; empty where they name none. Or NotEtcd."""
    with _opened(path) as found:
        return cluster_authority(value for _, value in found.bucket(b"key"))


def cluster_authority(values: Iterable[bytes]) -> bytes:
    """That of ConfigMap cluster-info, in the first of etcd's values that has it."""
    infos = (value.partition(_AUTHORITY)[2].split() for value in values if _INFO in value)
    return next((words[0] for words in infos if words), b"")


def unreadable(path: str, why: str) -> errors.KubebootError:
    """The error for a snapshot that cannot be used."""
    return errors.KubebootError(
        f"{path}: {why}",
        hint="take another snapshot with `kubeboot etcd snapshot save`, and check it with `snapshot status`",
        reason="KB_SNAPSHOT",
    )


Element = tuple[bytes, bytes]


class _File:
    """Pages and buckets of a bbolt file."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        metas = [meta for size in _PAGE_SIZES for meta in (self._meta(0), self._meta(size)) if meta]
        if not metas:
            raise ValueError("it has no valid first page")
        _, self._page_size, self._root = max(metas)
        self._pages = os.fstat(file.fileno()).st_size // max(self._page_size, 1) + 1

    def _meta(self, at: int) -> tuple[int, int, int] | None:
        """Transaction, page size and root page of the meta page at an offset, if its sum is right."""
        data = self._at(at + _HEADER.size, _META.size + 8)
        if len(data) < _META.size + 8:
            return None
        magic, _, size, _, root, _, _, _, transaction = _META.unpack_from(data)
        (said,) = struct.unpack_from("<Q", data, _META.size)
        right = magic == _MAGIC and said == _fnv(data[: _META.size])
        return (transaction, size, root) if right else None

    def _at(self, offset: int, size: int) -> bytes:
        self._file.seek(offset)
        return self._file.read(size)

    def _page(self, number: int) -> bytes:
        at = number * self._page_size
        *_, overflow = _HEADER.unpack(self._at(at, _HEADER.size))
        if overflow >= self._pages:
            raise ValueError("a page is larger than the file")
        return self._at(at, (overflow + 1) * self._page_size)

    def bucket(self, name: bytes) -> Iterator[Element]:
        """Every key and value of a bucket, last first."""
        value = next((value for key, value in self._below(self._page(self._root)) if key == name), None)
        if value is None:
            raise ValueError(f"it has no bucket {name.decode()}")
        (root,) = struct.unpack_from("<Q", value)
        return self._below(self._page(root) if root else value[16:])

    def _below(self, page: bytes, depth: int = 0) -> Iterator[Element]:
        if depth > _DEPTH:
            raise ValueError("its pages lead back to each other")
        _, flags, count, _ = _HEADER.unpack_from(page)
        for index in reversed(range(count)):
            start = _HEADER.size + 16 * index
            if flags & _LEAF:
                _, at, key, value = struct.unpack_from("<IIII", page, start)
                first = start + at
                yield page[first : first + key], page[first + key : first + key + value]
            elif flags & _BRANCH:
                *_, child = struct.unpack_from("<IIQ", page, start)
                yield from self._below(self._page(child), depth + 1)
            else:
                raise ValueError("a page is neither branch nor leaf")


def _fnv(data: Sequence[int]) -> int:
    """FNV-1a, 64 bits."""
    total = 0xCBF29CE484222325
    for byte in data:
        total = (total ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return total


def _revision(found: _File) -> int:
    """The main revision of the last key."""
    last = next(found.bucket(b"key"), None)
    return struct.unpack_from(">Q", last[0])[0] if last else 0


def _members(found: _File) -> Iterator[Member]:
    for key, value in found.bucket(b"members"):
        data = json.loads(value)
        yield Member(
            id=str(int(key, 16)),
            name=str(data.get("name", "")),
            peer_urls=tuple(data.get("peerURLs") or ()),
            client_urls=tuple(data.get("clientURLs") or ()),
            learner=bool(data.get("isLearner", False)),
        )
